"""Multinomial logistic regression, fitted for all folds at once: the out-of-fold probabilities that confident learning reads.

Each fold's objective is its own (sum of log-losses + |W|^2 / 2C, intercepts free), so the minimum is the one that fitting fold
after fold would find. It is fast by L-BFGS in coordinates in which the objective is nearly round: the rows are turned to their
principal components (all but the last 2 % of the variance), of variances v. At the start every class has probability about 1/K, so
the curvature along component j is n v_j (1 - 1/K) / K + 1/C; dividing by its root makes it 1 along all. And the first slope needs
no product: with the same probabilities in all rows it is a difference of sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.progress import Progress, part, silent
from core.quality.columns import Columns, columns_of, drawn, room

if TYPE_CHECKING:
    import torch

PATH = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Inverse penalties to choose from, from strong to weak."""
BLOCK = 2**22  # values of (rows, folds, classes) held at once: 16 MB
SEARCH = 10_000  # records, at most, that the penalty is chosen on
AXES = 50_000  # records, at most, that the principal components are of
VARIANCE, LEAST = 0.98, 64  # the components taken hold this share of the variance; never fewer than LEAST
STEPS = 8  # of L-BFGS; on clinc150_noisy more rank no better and have no lower log-loss
PAIRS = 10  # steps that L-BFGS remembers


@dataclass(frozen=True)
class OutOfFold:
    probabilities: np.ndarray  # (N, K) float32, each row from a model that never saw its fold
    inverse_penalty: float
    log_loss: float  # mean over records, nats, of the given label
    searched: int = 0  # records that the penalty was chosen on; 0 when it was given


def out_of_fold(
    vectors: np.ndarray | Columns,
    labels: np.ndarray,
    fold: np.ndarray,
    inverse_penalty: float | None = None,
    progress: Progress = silent,
    steps: int = STEPS,
    scratch: Path | None = None,
) -> OutOfFold:
    """Probabilities of labels 0..K-1 for vectors (N, d), by regressions that leave one of the folds (N,) out.

    Without an inverse penalty C, the strongest of PATH is taken whose log-loss on the first fold is within one standard error of the
    lowest (wrong labels reward a weak penalty); the search ends when the loss has risen. A label that occurs in one fold only gets
    probability 0 there. L-BFGS stops after `steps`: a ranking by self-confidence gains nothing from more. Large arrays
    are files in `scratch`, when it is given.
    """
    import torch

    names, fold = np.unique(fold, return_inverse=True)
    columns, parts, classes = columns_of(vectors), len(names), int(labels.max()) + 1
    order = np.argsort(fold, kind="stable")
    progress(0, 1, "turning the vectors to their principal components")
    space = _space(columns)
    x = torch.from_numpy(space.rows(columns, order, room((len(order), space.width + 1), scratch, "turned")))
    y, edges = torch.from_numpy(labels[order].astype(np.int64)), np.searchsorted(fold[order], np.arange(parts + 1))
    searched = 0
    if inverse_penalty is None:
        inverse_penalty, searched = _search(x, y, int(edges[1]), classes, space, steps, part(progress, 0.0, 0.2))
    fit = _Fit(
        x, y,
        [(int(edges[h]), int(edges[h + 1]), [k for k in range(parts) if k != h]) for h in range(parts)],
        parts, classes, space.variances,
    )  # fmt: skip
    fit.learn(inverse_penalty, steps, part(progress, 0.2, 1.0), f"learning the labels, {parts} folds")
    found, loss = room((len(order), classes), scratch, "probabilities"), 0.0
    weights = fit.weights()
    for held in range(parts):
        for rows, likely in fit.probabilities(weights[:, held], int(edges[held]), int(edges[held + 1]), held):
            found[order[rows]] = likely
            own = likely[np.arange(len(likely)), labels[order[rows]]].astype(np.float64)
            loss -= float(np.log(np.maximum(own, 1e-12)).sum())
    progress(1, 1, "labels learnt")
    return OutOfFold(found, inverse_penalty, loss / len(order), searched)


def _search(
    x: "torch.Tensor", y: "torch.Tensor", held: int, classes: int, space: "_Space", steps: int, progress: Progress
) -> tuple[float, int]:
    """(C, records it was chosen on). The first `held` rows are held out; of many records SEARCH are enough to choose by."""
    some = drawn(len(x), SEARCH)
    judged, learnt = some[some < held], some[some >= held]
    fit, losses = _Fit(x[learnt], y[learnt], None, 1, classes, space.variances), []
    rows, own = x[judged], y[judged].numpy()
    for done, c in enumerate(PATH):
        progress(done, len(PATH), f"choosing the penalty: 1/{c:g}")
        fit.learn(c, max(1, steps // 2))  # from the weights of the penalty before
        likely = ((rows @ fit.weights()[:, 0]) + fit.shift[0]).softmax(1).numpy()
        found = -np.log(np.maximum(likely[np.arange(len(own)), own].astype(np.float64), 1e-12))
        losses.append((float(found.mean()), float(found.std() / np.sqrt(len(found)))))
        if len(losses) > 1 and losses[-1] >= losses[-2]:
            break
    lowest, error = min(losses)
    return next(c for c, (loss, _) in zip(PATH, losses, strict=False) if loss <= lowest + error), len(some)


def predict(
    vectors: np.ndarray | Columns,
    labels: np.ndarray,
    others: np.ndarray | Columns,
    inverse_penalty: float,
    steps: int = STEPS,
    scratch: Path | None = None,
) -> np.ndarray:
    """(M, K) float32 probabilities of labels 0..K-1 for other vectors (M, d), by one regression that learns from all of (N, d)."""
    import torch

    columns, more = columns_of(vectors), columns_of(others)
    space = _space(columns)
    x = torch.from_numpy(
        space.rows(columns, np.arange(len(columns)), np.empty((len(columns), space.width + 1), np.float32))
    )
    fit = _Fit(x, torch.from_numpy(labels.astype(np.int64)), None, 1, int(labels.max()) + 1, space.variances)
    fit.learn(inverse_penalty, steps)
    weights, found = fit.weights()[:, 0], np.zeros((len(more), fit.classes), np.float32)
    for start in range(0, len(more), fit.size):
        rows = np.arange(start, min(start + fit.size, len(more)))
        turned = torch.from_numpy(space.rows(more, rows, np.empty((len(rows), space.width + 1), np.float32)))
        found[rows] = (turned @ weights).softmax(1).numpy()
    return found


@dataclass(frozen=True)
class _Space:
    """The principal components of some rows, the largest first."""

    mean: np.ndarray  # (d,)
    axes: np.ndarray  # (d, p)
    variances: np.ndarray  # (p,)

    @property
    def width(self) -> int:
        return self.axes.shape[1]

    def rows(self, columns: Columns, which: np.ndarray, into: np.ndarray, block: int = 16_384) -> np.ndarray:
        """`into` (N, p + 1), filled with the coordinates of the rows `which` (N,) and a column of ones."""
        for start in range(0, len(which), block):
            some = slice(start, start + block)
            into[some, :-1] = (columns.take(which[some]) - self.mean) @ self.axes
        into[:, -1] = 1
        return into


def _space(columns: Columns, block: int = 16_384) -> _Space:
    which = drawn(len(columns), AXES)
    middle = columns.take(which[:block]).mean(axis=0)  # near the mean, so that float32 sums lose nothing
    total, product = np.zeros(columns.width), np.zeros((columns.width, columns.width))
    for start in range(0, len(which), block):
        rows = columns.take(which[start : start + block]) - middle
        total += rows.sum(axis=0, dtype=np.float64)
        product += rows.T @ rows
    off = total / len(which)
    variances, axes = np.linalg.eigh(product / len(which) - np.outer(off, off))
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
    enough = np.searchsorted(np.cumsum(variances), VARIANCE * variances.sum()) + 1
    width = min(max(LEAST, int(enough)), len(variances))
    return _Space((middle + off).astype(np.float32), axes[:, :width].astype(np.float32), variances[:width])


class _Fit:
    """`parts` regressions on rows x (N, p + 1) of labels y (N,). A segment (start, stop, the parts that learn from these rows)."""

    def __init__(
        self, x: "torch.Tensor", y: "torch.Tensor", segments: Sequence[tuple[int, int, list[int]]] | None, parts: int,
        classes: int, variances: np.ndarray,
    ) -> None:  # fmt: skip
        import torch

        self.x, self.y, self.parts, self.classes, self.variances = x, y, parts, classes, variances
        self.segments = [(0, len(x), [0])] if segments is None else segments
        self.size = max(1, BLOCK // (parts * classes))
        self.seen = torch.zeros(parts, classes, dtype=torch.int64)
        for start, stop, learning in self.segments:
            self.seen[learning] += torch.bincount(y[start:stop], minlength=classes)
        absent = (self.seen == 0) & (self.seen.sum(1, keepdim=True) > 0)
        self.shift = torch.where(absent, -torch.inf, 0.0)
        self.whole = not bool(absent.any())
        self.scale = torch.ones(x.shape[1])
        self.round: torch.Tensor | None = None  # the weights (p + 1, parts, K) in the coordinates of `scale`

    def weights(self) -> "torch.Tensor":
        """(p + 1, parts, K), of rows as they are in x."""
        return self.round * self.scale[:, None, None]

    def probabilities(
        self, weights: "torch.Tensor", start: int, stop: int, part: int
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and their probabilities (B, K) by the weights (p + 1, K) of one part."""
        size = self.size * self.parts
        for first in range(start, stop, size):
            rows = slice(first, min(first + size, stop))
            yield rows, (self.x[rows] @ weights + self.shift[part]).softmax(1).numpy()

    def learn(self, c: float, steps: int, progress: Progress = silent, doing: str = "") -> None:
        """L-BFGS from the weights that are there; at most `steps` steps."""
        import torch

        before = None if self.round is None else self.weights()
        learnt = float(self.seen.sum()) / self.parts
        flat = learnt * (1 - 1 / self.classes) / self.classes
        curvature = np.append(flat * self.variances + 1 / c, max(flat, 1e-6))
        self.scale = torch.from_numpy((1 / np.sqrt(curvature)).astype(np.float32))
        penalty = self.scale.square()[:, None, None] / c
        penalty[-1] = 0
        if before is None:
            value, slope = self._begin()
        else:
            self.round = before / self.scale[:, None, None]
            value, slope = self._objective(self.round, penalty)
        moves: list[tuple[torch.Tensor, torch.Tensor, float]] = []
        for done in range(steps):
            progress(done, steps, doing)
            way = -_turned(slope, moves)
            falls = float((slope * way).sum(dtype=torch.float64))
            if falls > -1e-9 * max(learnt, 1.0):
                break
            length = 1.0
            while True:
                new = self.round + length * way
                found, steep = self._objective(new, penalty)
                if found <= value + 1e-4 * length * falls:
                    break
                # The lowest point of the parabola through both values and the slope, but no nearer than a tenth.
                lowest = -falls * length / (2 * (found - value - falls * length))
                length *= min(max(lowest, 0.1), 0.5)
                if length < 1e-4:
                    return
            move, change = length * way, steep - slope
            bend = float((move * change).sum(dtype=torch.float64))
            if bend > 0:
                moves = [*moves[1 - PAIRS :], (move, change, bend)]
            self.round, value, slope = new, found, steep

    def _begin(self) -> tuple[float, "torch.Tensor"]:
        """Value and slope where each part gives every row the shares of the labels that it learns from."""
        import torch

        shares = self.seen / self.seen.sum(1, keepdim=True).clamp(min=1)
        self.round = torch.zeros(self.x.shape[1], self.parts, self.classes)
        self.round[-1] = torch.where(self.seen > 0, shares.log(), 0.0) / self.scale[-1]
        sums = torch.zeros(self.parts, self.classes, self.x.shape[1])
        for start, stop, learning in self.segments:
            own = torch.zeros(self.classes, self.x.shape[1])
            for first in range(start, stop, 16_384):
                rows = slice(first, min(first + 16_384, stop))
                own.index_add_(0, self.y[rows], self.x[rows])
            sums[learning] += own
        slope = shares[:, :, None] * sums.sum(1, keepdim=True) - sums
        value = -float(torch.xlogy(self.seen.double(), shares.double()).sum())
        return value, slope.permute(2, 0, 1) * self.scale[:, None, None]

    def _objective(self, weights: "torch.Tensor", penalty: "torch.Tensor") -> tuple[float, "torch.Tensor"]:
        """Sum over parts of log-losses and penalties, and its slope (p + 1, parts, K), in the coordinates of `scale`."""
        import torch

        plain, slope, total = weights * self.scale[:, None, None], torch.zeros_like(weights), 0.0
        for start, stop, learning in self.segments:
            if not learning:
                continue
            mine = plain[:, learning].reshape(len(plain), -1)
            own = torch.zeros_like(mine)
            for first in range(start, stop, self.size):
                rows = slice(first, min(first + self.size, stop))
                x, y = self.x[rows], self.y[rows]
                likely = (x @ mine).view(len(y), len(learning), self.classes)
                likely = (likely if self.whole else likely + self.shift[learning]).softmax(2)
                at = torch.arange(len(y))
                given = likely[at, :, y]
                total -= float(given.clamp(min=1e-38).log().sum(dtype=torch.float64))
                likely[at, :, y] = given - 1
                own.addmm_(x.T, likely.view(len(y), -1))
            slope[:, learning] += own.view(len(own), len(learning), self.classes)
        slope *= self.scale[:, None, None]
        total += 0.5 * float((weights.square() * penalty).sum(dtype=torch.float64))
        return total, slope.add_(weights * penalty)


def _turned(slope: "torch.Tensor", moves: "list[tuple[torch.Tensor, torch.Tensor, float]]") -> "torch.Tensor":
    """The slope times the inverse curvature that the last moves, changes of slope and their products tell (two loops)."""
    found, shares = slope.clone(), []
    for move, change, bend in reversed(moves):
        shares.append(float((move * found).sum()) / bend)
        found -= shares[-1] * change
    if moves:
        _, change, bend = moves[-1]
        found *= bend / float(change.square().sum())
    for (move, change, bend), share in zip(moves, reversed(shares), strict=True):
        found += move * (share - float((change * found).sum()) / bend)
    return found
