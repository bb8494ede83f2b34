"""An ordinal model of ratings: a ridge score over features, and a cumulative-link model on that score.

    score(x) = w . (x - mean) + m,  w by ridge regression, its strength by leave-one-out error (closed form)
    P(level <= k | x) = logistic(c_k - b score(x)),  b > 0,  by maximum likelihood on the leave-one-out scores

The second stage sees only scores of records that the first had not seen, so its probabilities are calibrated for new records, and
it is one number wide, so a few dozen ratings suffice. McCullagh (1980) is the cumulative-link model; fitting it in two stages is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRENGTHS = np.logspace(0, 5, 21)
LEAST_SLOPE = 0.05  # for one standard deviation of the score: keeps an order, hardly moves a level
PRIOR = 1.0  # ratings' worth of pseudo-counts, spread over the levels, so that a level nobody gave yet keeps a little chance


@dataclass(frozen=True)
class Ridge:
    """A linear score with the strength that predicts left-out ratings best."""

    weights: np.ndarray  # (d,)
    mean: np.ndarray  # (d,) of the features it was fitted on
    middle: float  # mean rating
    strength: float
    left_out: np.ndarray  # (n,) score of each rated record by a model that had not seen it

    def score(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) @ self.weights + self.middle


def fit_ridge(features: np.ndarray, ratings: np.ndarray, strengths: np.ndarray = STRENGTHS) -> Ridge:
    """Ridge regression of ratings (n,) on features (n, d), the intercept unpenalised."""
    mean, middle = features.mean(0), float(ratings.mean())
    x, y = np.asarray(features - mean, float), ratings - middle
    # The eigenvectors of the smaller of x x' and x'x give every strength at once: fitted = basis @ (part / (size + strength)).
    wide = len(y) <= x.shape[1]
    size, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    size = np.maximum(size, 0)
    basis = vectors * np.sqrt(size) if wide else x @ vectors
    part = basis.T @ y
    best = None
    for strength in strengths:
        # The mean is taken as known: leaving it out too would make every left-out score lean away from its own rating.
        hat = (basis**2) @ (1 / (size + strength))
        residual = (y - basis @ (part / (size + strength))) / np.maximum(1 - hat, 1e-9)
        error = float(residual @ residual)
        if best is None or error < best[0]:
            best = (error, strength, residual)
    _, strength, residual = best
    weights = x.T @ (vectors @ (vectors.T @ y / (size + strength))) if wide else vectors @ (part / (size + strength))
    return Ridge(weights, mean, middle, float(strength), ratings - residual)


@dataclass(frozen=True)
class Links:
    """P(level <= k) = logistic(cuts[k] - slope * score) over the K levels, K - 1 cuts."""

    cuts: np.ndarray
    slope: float
    levels: np.ndarray
    weak: bool = False

    def probabilities(self, score: np.ndarray) -> np.ndarray:
        """(n, K), rows sum to 1."""
        below = _logistic(self.cuts[None, :] - self.slope * np.asarray(score, float)[:, None])
        edges = np.hstack([np.zeros((len(below), 1)), below, np.ones((len(below), 1))])
        return np.diff(edges, axis=1)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


def fit_links(score: np.ndarray, ratings: np.ndarray, levels: Sequence[float]) -> Links:
    """Cuts and slope by maximum likelihood; `weak` where the left-out scores tell nothing, so that the least slope stands."""
    from scipy.optimize import minimize

    levels = np.asarray(levels, float)
    at = np.searchsorted(levels, ratings)
    centre, scale = float(np.mean(score)), float(np.std(score)) or 1.0
    z = (score - centre) / scale
    weight = np.concatenate([np.ones(len(z)), np.full(len(levels), PRIOR / len(levels))])
    z, at = np.concatenate([z, np.zeros(len(levels))]), np.concatenate([at, np.arange(len(levels))])
    shares = np.cumsum(np.bincount(at, weight, len(levels)))[:-1] / weight.sum()
    first = np.log(shares / (1 - shares))
    start = np.concatenate([[first[0]], np.log(np.maximum(np.diff(first), 1e-3)), [0.5]])

    def cuts_of(params: np.ndarray) -> np.ndarray:
        return np.cumsum(np.concatenate([[params[0]], np.exp(params[1:-1])]))

    def loss(params: np.ndarray) -> tuple[float, np.ndarray]:
        cuts, slope = cuts_of(params), params[-1]
        below = _logistic(cuts[None, :] - slope * z[:, None])
        edges = np.hstack([np.zeros((len(z), 1)), below, np.ones((len(z), 1))])
        chance = np.maximum(edges[np.arange(len(z)), at + 1] - edges[np.arange(len(z)), at], 1e-12)
        steep = np.hstack([np.zeros((len(z), 1)), below * (1 - below), np.zeros((len(z), 1))])
        over = weight / chance
        upper, lower = over * steep[np.arange(len(z)), at + 1], over * steep[np.arange(len(z)), at]
        by_cut = np.zeros(len(cuts) + 2)
        np.add.at(by_cut, at + 1, -upper)
        np.add.at(by_cut, at, lower)
        by_cut = by_cut[1:-1]
        tail = np.cumsum(by_cut[::-1])[::-1]
        gradient = np.concatenate([[tail[0]], tail[1:] * np.exp(params[1:-1]), [float(((upper - lower) * z).sum())]])
        return float(-(weight * np.log(chance)).sum()), gradient

    bounds = [(-30, 30)] + [(-12, 5)] * (len(levels) - 2) + [(LEAST_SLOPE, 30)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    cuts, slope = cuts_of(found.x), float(found.x[-1]) / scale
    return Links(cuts + slope * centre, slope, levels, bool(found.x[-1] <= LEAST_SLOPE * 1.001))


@dataclass(frozen=True)
class Ordinal:
    """Both stages."""

    ridge: Ridge
    links: Links

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(expected level (n,), its standard deviation (n,), probabilities (n, K)), in the units of the ratings; higher = harder."""
        return moments(self.links.probabilities(self.ridge.score(features)), self.links.levels)


def moments(chances: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    expected = chances @ levels
    return expected, np.sqrt(np.maximum(chances @ levels**2 - expected**2, 0)), chances


def nearest_level(expected: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """The level with the least expected squared error: the one next to the expected level, the lower of two equally near."""
    levels = np.asarray(levels, float)
    return levels[np.abs(np.asarray(expected)[:, None] - levels[None, :]).argmin(1)]


def fit(features: np.ndarray, ratings: np.ndarray, levels: Sequence[float]) -> Ordinal:
    ridge = fit_ridge(features, ratings)
    return Ordinal(ridge, fit_links(ridge.left_out, ratings, levels))


def out_of_fold(
    features: np.ndarray,
    ratings: np.ndarray,
    levels: Sequence[float],
    judged: np.ndarray,
    folds: int = 5,
    repeats: int = 4,
    seed: int = 0,
) -> np.ndarray:
    """(len(judged), K) probabilities for the rows `judged`, each by models that had not seen it, averaged over the repeats.

    Only `judged` rows are split into folds; every other row helps to train each time. So records that were picked because they
    are unusual teach the model, and those drawn by chance say how good it is.
    """
    from threadpoolctl import threadpool_limits

    random, total = np.random.default_rng(seed), np.zeros((len(judged), len(levels)))
    # Matrices so small are quickest on one core; more threads wait for each other on a busy machine.
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in range(repeats):
            fold = random.permutation(np.arange(len(judged)) % folds)
            for k in range(folds):
                keep = np.ones(len(ratings), bool)
                keep[judged[fold == k]] = False
                if not (fold == k).any():
                    continue
                model = fit(features[keep], ratings[keep], levels)
                total[fold == k] += model.predict(features[judged[fold == k]])[2]
    return total / repeats


def most_useful(
    features: np.ndarray, rated: np.ndarray, candidates: np.ndarray, strength: float, count: int
) -> np.ndarray:
    """Rows of `candidates`, at most `count`, in order: each lowers the model's uncertainty about all candidates the most.

    The score of a ridge model has a posterior covariance K given what was rated; rating record i lowers the summed variance by
    sum_j K_ij^2 / (1 + K_ii) (transductive experimental design: Yu, Bi and Tresp 2006). It takes what is uncertain *and* typical, and
    a pick makes its likes less useful, so the batch is diverse. Variances are in units of the rating noise.
    """
    x = np.asarray(features[candidates], float)
    covariance = x @ x.T / strength
    if len(rated):
        r = np.asarray(features[rated], float)
        cross = x @ r.T
        covariance -= cross @ np.linalg.solve(r @ r.T + strength * np.eye(len(rated)), cross.T) / strength
    left, picked = np.ones(len(candidates), bool), []
    for _ in range(min(count, len(candidates))):
        gain = (covariance**2).sum(1) / (1 + np.maximum(np.diag(covariance), 0))
        best = int(np.where(left, gain, -np.inf).argmax())
        picked.append(candidates[best])
        left[best] = False
        row = covariance[best].copy()
        covariance -= np.outer(row, row) / (1 + max(row[best], 0))
    return np.array(picked, np.int64)
