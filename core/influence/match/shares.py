"""Token shares under the matching head: what each token of a response adds to the record's influence. A sum, exact to rounding.

influence = weight * (kappa + u . r~). The response's embedding is the mean of its tokens' last states h_t, made a unit vector; so
u . r~ is a sum over tokens, each weight * (u . h_t) / (T |mean h| |r - centre|), plus what no word is to blame for: kappa, the
centre, and the two tokens that frame a text. A state is read in its context: a word's share is that of the word as it stands there.
"""

import time
from typing import Any

import numpy as np

from core.embedding.encoders import DEFAULT_MODEL, open_encoder
from core.errors import InputError
from core.influence import spans
from core.influence.encode import Conversation
from core.influence.match.step import Fitted, fitted
from core.workspace import Inputs, Output


class _Read:
    """What `shares._store` asks of tokenised records."""

    def __init__(self, count: int, truncated: np.ndarray) -> None:
        self.start, self.truncated = np.ones(count, np.int32), truncated


def run(inputs: Inputs) -> Output:
    from core.influence import shares

    started, params, data = time.monotonic(), inputs.params, inputs.datasets["training"]
    if params["score"] != "dot":
        raise InputError(
            "Token shares under the matching proxy are of the dot product alone. Set influence.score to dot."
        )
    inputs.progress(0, 0, "fitting the matching head")
    made = fitted(inputs)
    if made.facts["encoder"] != DEFAULT_MODEL:
        raise InputError(f"Token shares need the encoder {DEFAULT_MODEL}, which is not installed here.")
    ids, able = data.ids(), made.own.able
    rows = np.flatnonzero(shares._wanted(ids, params["records"]) & able)
    encoder = open_encoder()
    texts = [made.own.responses[r] for r in rows]
    raw = _raw(made, encoder, rows, texts, inputs.progress)
    told = spans.offsets(encoder._tokenizer, texts)  # the last share of each record is no token's
    ends = {row: end[: len(x) - 1] for row, end, x in zip(rows.tolist(), told, raw, strict=True)}
    scores = inputs.results["influence"].table(["influence"]).column(0).to_numpy()
    gap, factor = shares._against(scores[rows], np.array([x.sum() for x in raw]), "dot")
    kind = "reasoning" if params["target"] == "reasoning" else "response"
    said = [Conversation((), r) for r in made.own.responses]
    cut = made.facts["cut"]
    columns = data.table(["record_id", "reasoning", "response"])
    table = shares._store(
        inputs, [ids[r] for r in rows], rows, raw, factor, _Read(len(ids), cut), ends, columns, said, kind
    )
    info = {
        "model": params["model"], "proxy": True, "records": len(rows), "tokens": int(sum(len(x) - 1 for x in raw)), "score": "dot",
        "method": "each token's part of the response's embedding, as it stands in its context; exact (the embedding is their mean)",
        "quantised": shares.QUANTISED, "agreement": gap, "check": shares._check(gap, "dot"),
        "seconds": round(time.monotonic() - started, 1), "warnings": [],
    }  # fmt: skip
    return Output(table=table, info=info)


def _raw(made: Fitted, encoder: Any, rows: np.ndarray, texts: list[str], progress: Any) -> list[np.ndarray]:
    """For each row the shares of the tokens that are read of its response, then one for all the rest."""
    import torch

    pull, weight = made.mine.pull, made.weight.mean(1)
    tokens = encoder.tokenise(texts)
    found: list[np.ndarray] = []
    for k, row in enumerate(rows.tolist()):
        ids = torch.from_numpy(tokens.payload[0][tokens.payload[1][k] : tokens.payload[1][k + 1]].astype(np.int64))[
            None
        ].to(encoder.device)
        features = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        with torch.inference_mode():
            states = encoder.model[0](features)["token_embeddings"][0].double().cpu().numpy()
        middle = states.mean(0)
        size = np.linalg.norm(middle) * made.mine.spread[row]
        parts = weight[row] * (states @ made.mine.towards[row]) / max(len(states) * size, 1e-30)
        inner = parts[1:-1]  # the first and the last token frame the text
        found.append(np.append(inner, weight[row] * pull[row] - inner.sum()))
        if k % 20 == 0:
            progress(k, len(rows), f"{k:,} of {len(rows):,} records")
    return found
