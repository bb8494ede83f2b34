"""Batches as large as memory allows: a budget of tokens from what is free now, halved where it was too much after all."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.influence.models import LanguageModel
from core.influence.transfer import settled

CPU_MOST = 4096  # tokens; larger batches bring a CPU nothing
CUDA_MOST = 65536
SHARE = 0.6  # of the free memory that a batch may take


def free_bytes(device: str) -> int:
    """Memory that is free now: of the GPU as the driver counts it, or of the machine."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows and others: a modest guess
        return 2**31


def bytes_per_token(model: LanguageModel) -> int:
    """What one token of a batch costs in forward and backward, estimated from the shape of the model, on the high side.

    Each block keeps about 16 vectors of the hidden size and 4 of the inner size in the dtype of the model, and the norms keep some
    in float32; the gradients on their way back take as much again for one block. Logits are chunked and counted apart (losses.chunk).
    """
    config = model.module.config.get_text_config()
    width = int(getattr(config, "hidden_size", 0) or getattr(config, "n_embd", 0) or 1024)
    inner = int(getattr(config, "intermediate_size", 0) or getattr(config, "n_inner", 0) or 4 * width)
    blocks = int(getattr(config, "num_hidden_layers", 0) or getattr(config, "n_layer", 0) or 24)
    size = {"float64": 8, "float32": 4}.get(model.dtype, 2)
    return (blocks + 1) * (size * (16 * width + 4 * inner) + 4 * 4 * width)


def token_budget(model: LanguageModel, longest: int) -> tuple[int, str]:
    """(tokens a batch, a sentence that says why), a power of two so that small changes of what is free change nothing."""
    free, most = free_bytes(model.device), CUDA_MOST if model.device.startswith("cuda") else CPU_MOST
    from core.influence.losses import chunk

    logits = 4 * 3 * chunk(model.device)
    fits = max(free * SHARE - logits, 0) / bytes_per_token(model)
    budget = most
    while budget > max(fits, 64):
        budget //= 2
    tight = f"; one record may have {longest:,}" if budget < longest else ""
    where = "GPU memory" if model.device.startswith("cuda") else "memory"
    return budget, f"{budget:,} tokens a batch, for {free / 2**30:.1f} GiB of free {where}{tight}"


def kept_budget(scratch: Path, model: LanguageModel, longest: int) -> tuple[int, str]:
    """The budget of this run: a run that is resumed keeps that of its first start, or its finished batches would not fit."""
    note = scratch / "batch_tokens.txt"
    try:
        budget, _, sentence = note.read_text("utf-8").partition("\n")
        return int(budget), sentence
    except (OSError, ValueError):
        budget, sentence = token_budget(model, longest)
        note.write_text(f"{budget}\n{sentence}", "utf-8")
        return budget, sentence


def out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )


class Halving:
    """Calls `work(rows)` on batches; one that does not fit is halved, and so is every later one of its size before it is tried."""

    def __init__(self, work: Callable[[np.ndarray], dict[str, np.ndarray]], lengths: np.ndarray) -> None:
        self.work, self.lengths = work, lengths
        self.limit: int | None = None  # tokens with padding
        self.halved = 0

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        size = len(rows) * int(self.lengths[rows].max())
        if self.limit is None or size <= self.limit or len(rows) == 1:
            problem: Any = None
            try:
                return self.work(rows)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                problem = str(error)
            if len(rows) == 1:
                raise InputError(
                    f"One record of {int(self.lengths[rows[0]]):,} tokens does not fit into memory ({problem[:80]}). "
                    "Lower max_length, or use space=lora."
                )
            self.halved, self.limit = self.halved + 1, size // 2
            gc.collect()
            self._release()
        parts = [settled(self(half)) for half in np.array_split(rows, 2)]
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    @staticmethod
    def _release() -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def note(self) -> str:
        return f"; {self.halved} batches did not fit and were halved" if self.halved else ""
