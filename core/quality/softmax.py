"""Multinomial logistic regression, fitted for all folds at once: the out-of-fold probabilities that confident learning reads.

One product of the records with the weights of every fold, by rows, and L-BFGS on their sum: each fold's objective is its own
(sum of log-losses + |W|^2 / 2C, intercepts free), so the minimum is the one that fitting fold after fold would find.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.progress import Progress, silent

if TYPE_CHECKING:
    import torch

PATH = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Inverse penalties to choose from, from strong to weak."""
BLOCK = 2**23  # values of (rows, folds, classes) held at once: 32 MB
SEARCH = 4096  # records, about, that the penalty is chosen on
STEPS = 10  # of L-BFGS; on clinc150_noisy more rank no better and have a higher log-loss


@dataclass(frozen=True)
class OutOfFold:
    probabilities: np.ndarray  # (N, K) float32, each row from a model that never saw its fold
    inverse_penalty: float
    log_loss: float  # mean over records, nats, of the given label


def out_of_fold(
    vectors: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    inverse_penalty: float | None = None,
    progress: Progress = silent,
    steps: int = STEPS,
) -> OutOfFold:
    """Probabilities of labels 0..K-1 for vectors (N, d), by regressions that leave one of the folds (N,) out.

    Without an inverse penalty C, the strongest of PATH is taken whose log-loss on the first fold is within one standard error of the
    lowest (wrong labels reward a weak penalty); the search ends when the loss has risen. A label that occurs in one fold only gets
    probability 0 there. L-BFGS stops after `steps`: a ranking by self-confidence gains nothing from more.
    """
    import torch

    names, fold = np.unique(fold, return_inverse=True)
    x = torch.from_numpy(np.concatenate([vectors, np.ones((len(labels), 1))], axis=1).astype(np.float32))
    y, held = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(fold.astype(np.int64))
    if inverse_penalty is None:
        # The records of fold 0 are held out, those of "fold 1" learnt from; of many records every n-th is enough to choose by.
        some = slice(None, None, max(1, len(labels) // SEARCH))
        first, losses = _Fit(x[some], y[some], (held[some] != 0).long(), 1, int(y.max()) + 1), []
        for done, c in enumerate(PATH):
            progress(done, len(PATH) + 3, f"choosing the penalty: 1/{c:g}")
            first.learn(c, steps // 2)  # from the weights of the penalty before
            found = first.log_losses()[fold[some] == 0]
            losses.append((float(found.mean()), float(found.std() / np.sqrt(len(found)))))
            if len(losses) > 1 and losses[-1] >= losses[-2]:
                break
        lowest, error = min(losses)
        inverse_penalty = next(c for c, (loss, _) in zip(PATH, losses, strict=False) if loss <= lowest + error)
    progress(len(PATH), len(PATH) + 3, f"learning the labels, {len(names)} folds")
    fit = _Fit(x, y, held, len(names))
    fit.learn(inverse_penalty, steps)
    progress(1, 1, "labels learnt")
    return OutOfFold(fit.held_out(), inverse_penalty, float(fit.log_losses().mean()))


def predict(
    vectors: np.ndarray, labels: np.ndarray, others: np.ndarray, inverse_penalty: float, steps: int = STEPS
) -> np.ndarray:
    """(M, K) float32 probabilities of labels 0..K-1 for other vectors (M, d), by one regression that learns from all of (N, d)."""
    import torch

    x, more = (
        torch.from_numpy(np.concatenate([rows, np.ones((len(rows), 1))], axis=1).astype(np.float32))
        for rows in (vectors, others)
    )
    fit = _Fit(x, torch.from_numpy(labels.astype(np.int64)), torch.ones(len(x), dtype=torch.int64), 1)
    fit.learn(inverse_penalty, steps)
    weights = fit.weights.detach()
    parts = [(more[i : i + fit.size] @ weights).softmax(1).numpy() for i in range(0, len(more), fit.size)]
    return np.concatenate(parts) if parts else np.zeros((0, fit.classes), np.float32)


class _Fit:
    """The weights (d + 1, parts * K) of `parts` regressions; number k learns from the records whose `held` is not k."""

    def __init__(
        self, x: "torch.Tensor", y: "torch.Tensor", held: "torch.Tensor", parts: int, classes: int = 0
    ) -> None:
        import torch

        self.x, self.y, self.held, self.parts, self.classes = x, y, held, parts, classes or int(y.max()) + 1
        self.weights = torch.zeros(x.shape[1], parts * self.classes, requires_grad=True)
        seen = torch.stack([torch.bincount(y[held != k], minlength=self.classes) for k in range(parts)])
        self.shift = torch.where((seen == 0) & (seen.sum(1, keepdim=True) > 0), -torch.inf, 0.0)
        self.size = max(1, BLOCK // (parts * self.classes))

    def _blocks(self) -> "Iterator[tuple[slice, torch.Tensor]]":
        """Rows and their log-probabilities (B, parts, K)."""
        for start in range(0, len(self.x), self.size):
            rows = slice(start, start + self.size)
            logits = (self.x[rows] @ self.weights.detach()).view(-1, self.parts, self.classes)
            yield rows, (logits + self.shift).log_softmax(2)

    def learn(self, c: float, steps: int) -> None:
        import torch

        weights, count = self.weights, len(self.x)

        def objective() -> "torch.Tensor":
            weights.grad = torch.zeros_like(weights)
            total = 0.0
            with torch.no_grad():
                for rows, log in self._blocks():
                    at = self.y[rows, None, None].expand(-1, self.parts, 1)
                    learnt = (self.held[rows, None] != torch.arange(self.parts)).float()
                    # A label that a part never saw is -inf in its held-out records alone, whose loss does not count.
                    total -= float(
                        (log.gather(2, at)[:, :, 0].nan_to_num(neginf=0.0) * learnt).sum(dtype=torch.float64)
                    )
                    slope = log.exp_().scatter_add_(2, at, torch.full(at.shape, -1.0)) * learnt[:, :, None]
                    weights.grad += self.x[rows].T @ slope.view(len(slope), -1)
                weights.grad[:-1] += weights[:-1] / c
                weights.grad /= count
                square = float(weights[:-1].square().sum(dtype=torch.float64))
                return torch.tensor((total + square / (2 * c)) / count, dtype=torch.float64)

        torch.optim.LBFGS(
            [weights], max_iter=steps, max_eval=2 * steps, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=10,
            line_search_fn="strong_wolfe",
        ).step(objective)  # fmt: skip

    def held_out(self) -> np.ndarray:
        """(N, K) float32 probabilities, each record's by the part that did not learn from it (part 0 for those of no part)."""
        import torch

        found = np.empty((len(self.x), self.classes), np.float32)
        for rows, log in self._blocks():
            own = self.held[rows].clamp(max=self.parts - 1)
            found[rows] = log[torch.arange(len(own)), own].exp_().numpy()
        return found

    def log_losses(self) -> np.ndarray:
        """(N,) float64: -log of the probability that `held_out` gives the given label."""
        given = self.held_out()[np.arange(len(self.y)), self.y.numpy()].astype(np.float64)
        return -np.log(np.maximum(given, 1e-12))
