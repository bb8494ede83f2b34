"""What influence and difficulty begin with: the model that the step names, and the records in its tokens."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InputError, MissingInput
from core.influence import adapters, models
from core.influence.batches import kept_budget
from core.influence.encode import Encoder, Tokens, conversations
from core.workspace import Dataset, Inputs


@dataclass(frozen=True)
class Setup:
    model: models.LanguageModel
    encoder: Encoder
    batch_tokens: int
    batching: str  # how the size of the batches was chosen, for the page

    def encode(self, dataset: Dataset, target: str) -> Tokens:
        return self.encoder.encode(conversations(dataset, target))

    def facts(self, tokens: Tokens, inputs: Inputs) -> dict[str, Any]:
        """What the page must say of model and tokens."""
        cut, empty = int(tokens.truncated.sum()), int((tokens.response_tokens == 0).sum())
        facts = self.model.facts() | {
            "proxy": inputs.params["model"] == models.PROXY,
            "sentence": inputs.results["proxy"].info["sentence"]
            if inputs.params["model"] == models.PROXY
            else self.model.name,
            "template": tokens.template,
            "target": inputs.params["target"],
            "max_length": self.encoder.max_length,
            "truncated": cut,
            "truncation": f"{cut:,} of {len(tokens.ids):,} records were cut at {self.encoder.max_length} tokens",
            "without_response": empty,
        }
        notes = []
        if tokens.fell_back:
            notes.append(f"{tokens.fell_back:,} records were refused by the chat template and got the plain one.")
        if empty:
            notes.append(f"{empty:,} records have no response to score; their values are empty.")
        return facts | {"warnings": notes}


def prepare(inputs: Inputs) -> Setup:
    """Load the model of `params["model"]` ("proxy", a folder or a hub id). Errors: InputError, MissingInput."""
    params = inputs.params
    name, folder = params["model"], None
    if name == models.MATCH:
        raise InputError(
            "The matching proxy is no language model and has no tokens to compute this on. Set model=proxy, or name a language model."
        )
    inputs.progress(0, 0, f"loading {name}")
    if name == models.PROXY:
        if "proxy" not in inputs.results:
            raise MissingInput("The proxy was not trained yet. Run `proxy` first, or name another model.")
        result = inputs.results["proxy"]
        folder = result.file("model.safetensors").parent
        for file in ("config.json", "tokenizer.json"):
            result.file(file)
    model = models.load(
        name, folder=folder, device=params["device"], dtype=params["dtype"], revision=params["revision"]
    )
    if params.get("adapter"):
        if params.get("checkpoints") or params.get("warmup"):
            raise InputError(
                "An adapter goes with one state of its model. Set checkpoints and warmup to none, or adapter to nothing."
            )
        model = adapters.merged(model, params["adapter"])
    longest = min(params["max_length"], model.max_positions)
    if params["batch_tokens"]:
        budget, batching = params["batch_tokens"], f"{params['batch_tokens']:,} tokens a batch, as set"
    else:
        budget, batching = kept_budget(inputs.scratch, model, longest)
    return Setup(model, Encoder(model.tokenizer, longest), budget, batching)


def alone_and_together(score: Any, batches: list[np.ndarray]) -> float | None:
    """Largest relative difference of three records scored alone and in their batch; None when no batch holds two records.

    Relative to the larger of the score and a hundredth of the batch's root mean square, so that a score near zero cannot
    blow it up.
    """
    full = [b for b in batches if len(b) > 1]
    if not full:
        return None
    batch = full[len(full) // 2]
    together = score(batch)
    size = float(np.sqrt(np.mean(together**2)))
    picks = np.unique([0, len(batch) // 2, len(batch) - 1])
    gaps = [abs(score(batch[i : i + 1])[0] - together[i]) / max(abs(together[i]), 0.01 * size, 1e-30) for i in picks]
    return float(max(gaps))
