"""How a long computation reports: progress(done, total, message)."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called often with (done, total, message), 0 <= done <= total; total 0 means the length is unknown.
It may raise `core.errors.Cancelled`: let it pass through, after leaving resumable work in the scratch folder."""


def silent(done: int, total: int, message: str) -> None:
    """Progress for callers that do not watch."""


def part(progress: Progress, start: float, stop: float, what: str = "") -> Progress:
    """Progress for one phase that covers the span [start, stop] of the whole, both in 0..1; reported per mille.

    `what` names the phase before its message, where several count the same records.
    """

    def report(done: int, total: int, message: str) -> None:
        share = done / total if total else 0.0
        progress(round(1000 * (start + (stop - start) * share)), 1000, f"{what}: {message}" if what else message)

    return report
