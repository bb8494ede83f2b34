"""The common task: one folder that every tool reads, and the one way to read it. Runs in the peers' own environments too.

    model/            config.json and model.safetensors, a Llama of given shape with random weights
    records.npz       train_ids, train_sizes, train_start; valid_ids, valid_sizes, valid_start (flat int32 arrays)
    task.json         rank, batch_tokens, threads

A record's loss is the *sum* of the NLL of its response tokens; the query is the mean gradient of the validation records. All
tools score the training records by <gradient, query> over the same parameters, so that their answers can be compared:

    lora-qkv, lora-linear   rank-r adapters (A0, B0) on query, key and value, or on every linear layer of the blocks
    linear                  the weights of every linear layer of the blocks
    all                     every parameter, the tied embedding once
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SPACES = ("lora-qkv", "lora-linear", "linear", "all")
QKV = ("q_proj", "k_proj", "v_proj")
LINEAR = (*QKV, "o_proj", "gate_proj", "up_proj", "down_proj")


def write_task(
    folder: Path, width: int, blocks: int, vocabulary: int, train: int, valid: int, length: int, batch_tokens: int,
    rank: int = 8, seed: int = 0,
) -> None:  # fmt: skip
    """Make the folder: random weights, records of random tokens (a quarter prompt), lengths varying by about a third."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=-(-8 * width // 3 // 64) * 64,
        num_hidden_layers=blocks, num_attention_heads=width // 64, num_key_value_heads=width // 64,
        max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, count in (("train", train), ("valid", valid)):
        sizes = np.clip(rng.normal(length, length / 3, count), 16, 2 * length).astype(np.int32)
        arrays |= {
            f"{name}_ids": rng.integers(2, vocabulary, int(sizes.sum()), dtype=np.int32),
            f"{name}_sizes": sizes,
            f"{name}_start": np.maximum(1, sizes // 4).astype(np.int32),
        }
    np.savez(folder / "records.npz", **arrays)
    (folder / "task.json").write_text(json.dumps({"rank": rank, "batch_tokens": batch_tokens}), "utf-8")


class Task:
    """A task as read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = json.loads((folder / "task.json").read_text("utf-8"))
        self.rank, self.batch_tokens = facts["rank"], facts["batch_tokens"]
        with np.load(folder / "records.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
        self.ids, self.start = {}, {}
        for name in ("train", "valid"):
            self.ids[name] = np.split(arrays[f"{name}_ids"], np.cumsum(arrays[f"{name}_sizes"])[:-1])
            self.start[name] = arrays[f"{name}_start"]

    def batches(self, name: str) -> list[np.ndarray]:
        """Row numbers, longest records first, each batch within the token budget."""
        sizes = np.array([len(x) for x in self.ids[name]])
        order, found, at = np.argsort(-sizes, kind="stable"), [], 0
        while at < len(order):
            count = max(1, self.batch_tokens // int(sizes[order[at]]))
            found.append(order[at : at + count])
            at += count
        return found

    def padded(self, name: str, rows: Any) -> tuple[Any, Any]:
        """(B, T) ids, and labels with -100 where nothing is scored, as torch tensors."""
        import torch

        width = max(len(self.ids[name][i]) for i in rows)
        ids, labels = np.zeros((len(rows), width), np.int64), np.full((len(rows), width), -100, np.int64)
        for b, i in enumerate(rows):
            x, s = self.ids[name][i], max(1, int(self.start[name][i]))
            ids[b, : len(x)], labels[b, s : len(x)] = x, x[s:]
        return torch.from_numpy(ids), torch.from_numpy(labels)

    def model(self, attention: str = "sdpa") -> Any:
        import torch
        from transformers import LlamaForCausalLM

        found = LlamaForCausalLM.from_pretrained(
            self.folder / "model", dtype=torch.float32, attn_implementation=attention
        )
        return found.eval().requires_grad_(False)

    def prepared(self, space: str, attention: str = "sdpa") -> tuple[Any, list[str]]:
        """(the model, names of the modules whose weights the gradients are taken of, which alone require one).

        In LoRA space each adapted layer becomes W x + B0 A0 x with W lessened by B0 A0, so that the function stays the same and the
        adapters are linear layers of their own, which every tool can hook.
        """
        import torch

        model = self.model(attention)
        ends = LINEAR if space != "lora-qkv" else QKV
        chosen = [
            n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n.rpartition(".")[2] in ends
        ]
        if space == "all":
            model.requires_grad_(True)
            return model, []
        if space == "linear":
            for name in chosen:
                model.get_submodule(name).weight.requires_grad_(True)
            return model, chosen
        hooked = []
        for name in chosen:
            parent, _, last = name.rpartition(".")
            old = model.get_submodule(name)
            a, b = adapters(f"{name}.weight", self.rank, old.in_features, old.out_features)
            setattr(model.get_submodule(parent), last, _lora(old, a, b))
            hooked += [f"{name}.a", f"{name}.b"]
        return model, hooked


def adapters(name: str, rank: int, d_in: int, d_out: int) -> tuple[Any, Any]:
    """(A0, B0) of one weight: those of core/influence/spaces.py at seed 0, which a test compares."""
    import hashlib

    import torch

    seed = int.from_bytes(hashlib.blake2b(f"0:{name}".encode(), digest_size=7).digest(), "little")
    generator = torch.Generator().manual_seed(seed)
    a = (torch.rand(rank, d_in, generator=generator) * 2 - 1) / d_in**0.5
    b = (torch.rand(d_out, rank, generator=generator) * 2 - 1) / d_out**0.5
    return a, b


def _lora(old: Any, a: Any, b: Any) -> Any:
    import torch

    class Adapted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.a = old, torch.nn.Linear(a.shape[1], a.shape[0], bias=False)
            self.b = torch.nn.Linear(b.shape[1], b.shape[0], bias=False)
            with torch.no_grad():
                self.base.weight -= b @ a
                self.a.weight.copy_(a)
                self.b.weight.copy_(b)

        def forward(self, x: Any) -> Any:
            return self.base(x) + self.b(self.a(x))

    module = Adapted().requires_grad_(False)
    module.a.weight.requires_grad_(True)
    module.b.weight.requires_grad_(True)
    return module


def summed_losses(logits: Any, labels: Any) -> Any:
    """(B,) summed NLL of the labelled tokens."""
    from torch.nn.functional import cross_entropy

    each = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none")
    return each.view(len(labels), -1).sum(1)


class Clock:
    """Wall and CPU seconds by phase, for the report."""

    def __init__(self) -> None:
        self.phases: dict[str, list[float]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        self.phases[name] = [time.perf_counter() - wall, time.process_time() - cpu]
        return found


def main(run: Callable[[Task, str, Clock], np.ndarray]) -> None:
    """`python -m benchmarks.peers.run_X TASK SPACE OUT`: scores in OUT/scores.npy, timings in OUT/report.json."""
    folder, space, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    scores = run(Task(folder), space, clock)
    np.save(out / "scores.npy", np.asarray(scores, np.float64))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (out / "report.json").write_text(json.dumps({"phases": clock.phases, "memory_mib": memory}), "utf-8")
