"""To the GPU and back without waiting: batches from pinned memory, values fetched while the next batch already computes.

On a CPU all of this is the plain thing. A call that reads a value of the GPU waits until everything queued before it is done, so
values are copied out right behind their own batch, and read one batch later.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Values = dict[str, np.ndarray]
Work = Callable[[np.ndarray], "Values | Callable[[], Values]"]


def on_gpu(device: str) -> bool:
    return device.startswith("cuda")


def to_device(arrays: Sequence[np.ndarray], device: str) -> list["torch.Tensor"]:
    """The arrays as tensors on a device; on the way to a GPU from pinned memory, so that the copy overlaps with work."""
    import torch

    found = [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]
    if on_gpu(device):
        return [t.pin_memory().to(device, non_blocking=True) for t in found]
    return [t.to(device) for t in found]


def fetched(tensors: Sequence["torch.Tensor"]) -> Callable[[], list[np.ndarray]]:
    """A function that gives the tensors as arrays; the copy from a GPU is queued now, and only the call waits for it."""
    import torch

    if not any(t.is_cuda for t in tensors):
        return lambda: [t.numpy() for t in tensors]
    hosts = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in tensors]
    for host, tensor in zip(hosts, tensors, strict=True):
        host.copy_(tensor, non_blocking=True)
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(tensors[0].device))

    def wait() -> list[np.ndarray]:
        done.synchronize()
        return [host.numpy() for host in hosts]

    return wait


def settled(values: "Values | Callable[[], Values]") -> Values:
    """Values, waited for where they are still to come."""
    return values() if callable(values) else values


def one_behind(work: Work, batches: Sequence[np.ndarray], numbers: Sequence[int]) -> Iterator[tuple[int, Values]]:
    """(number, values) of each batch in order; values that are still to come are read after the next batch was started."""
    waiting: tuple[int, Any] | None = None
    for number in numbers:
        values = work(batches[number])
        if waiting is not None:
            yield waiting[0], settled(waiting[1])
            waiting = None
        if callable(values):
            waiting = (number, values)
        else:
            yield number, values
    if waiting is not None:
        yield waiting[0], settled(waiting[1])
