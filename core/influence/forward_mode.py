"""Forward-mode differentiation, which some operations of some models do not know: said as such, and nothing else is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    import torch

SIGNS = ("forward AD", "forward-mode", "forward mode", "jvp", "functorch", "the derivative for")
"""What torch's messages about it hold. Any other error, memory included, is somebody else's and passes."""


@contextmanager
def forward_mode(module: "torch.nn.Module", need: str, instead: str) -> Iterator[None]:
    """Turn torch's word that an operation knows no forward mode into an InputError: who lacks it, what `need` asks, what `instead`."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        if not any(sign in str(error) for sign in SIGNS):
            raise
        reason = str(error).strip().splitlines()[0][:160]
        raise InputError(
            f"{type(module).__name__} cannot be differentiated forwards ({reason}), which {need} needs. {instead}"
        ) from error
