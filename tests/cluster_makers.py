"""What workers are made of in tests: they run in processes of Ray's own."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from core.cluster import made
from core.errors import InputError


def thirds(settings: dict[str, Any]):
    """A third of each number, and the process that computed it."""

    def work(unit: dict[str, Any]) -> dict[str, np.ndarray]:
        if settings.get("fails") == unit["batch"]:
            raise InputError("Batch 3 is bad. Mend it.")
        return {"thirds": np.array(unit["x"], np.float64) / 3, "process": np.array([os.getpid()])}

    return work


def killed_once(settings: dict[str, Any]):
    """Another maker's work, whose process dies by SIGKILL in the middle of one batch, the first time that it gets there."""
    inner, flag = made(settings["make"], settings), Path(settings["flag"])

    def work(unit: dict[str, Any]) -> dict[str, np.ndarray]:
        if unit["batch"] == settings["dies_at"] and not flag.exists():
            flag.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(unit)

    return work
