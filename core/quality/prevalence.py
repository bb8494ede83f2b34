"""The shares of categories in a production sample without labels: predicted, then corrected for the errors of the prediction.

A classifier that confuses categories also miscounts them. Its confusions are known from training records that it did not learn
from: C[k, j] = P(predicted j | category k). Production's predictions count a mixture, c_j ~ sum_k s_k C[k, j], whose shares s are
estimated by maximum likelihood: adjusted classify-and-count (Forman 2008) that stays within 0..1. Both samples are drawn anew for the
intervals: the confusions within each category, and production's predictions. Beside it stands the estimate of Saerens, Latinne and
Decaestecker (2002), which reads the probabilities and not the predicted categories alone.

What it takes for granted: within a category, production's records look like those of training, and production asks for no category
that training lacks. Neither can be seen from the predictions.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.neighbours import check_same_space, has_vector
from core.errors import InputError, MissingInput
from core.quality.columns import Columns
from core.quality.label_features import Texts, folds_of
from core.quality.softmax import out_of_fold, predict
from core.workspace import Dataset, Inputs, Output

DEFAULTS = {
    "column": "category", "folds": 5, "least": 5, "inverse_penalty": 0.0, "draws": 400, "confidence": 0.95, "seed": 0,
}  # fmt: skip
ROUNDS = 300  # of expectation and maximisation
PSEUDO = 0.5  # of a record on its own category, added to each row of confusions: an empty row must mean something


def confusions(given: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) float64 counts of given category (row) against the predicted one."""
    return np.bincount(given * classes + predicted, minlength=classes * classes).reshape(classes, classes).astype(float)


def rates(counts: np.ndarray) -> np.ndarray:
    """(…, K, K) rows of counts as probabilities, with PSEUDO of a record more on the own category of each."""
    own = np.eye(counts.shape[-1]) * PSEUDO
    rows = counts + own
    return rows / rows.sum(axis=-1, keepdims=True)


def mixture_shares(counted: np.ndarray, rate: np.ndarray, rounds: int = ROUNDS, tolerance: float = 1e-7) -> np.ndarray:
    """(…, K) the shares s, >= 0 and summing to 1, under which counts (…, K) of predictions are likeliest, given rates (…, K, K).

    Expectation-maximisation from even shares: s_k <- sum_j (c_j / C) s_k R[k, j] / sum_l s_l R[l, j]. It never leaves the simplex,
    and the likelihood is concave, so it has one maximum.
    """
    counted, rate = np.asarray(counted, dtype=np.float64), np.asarray(rate, dtype=np.float64)
    seen = counted / counted.sum(axis=-1, keepdims=True)
    shares = np.full(np.broadcast_shapes(seen.shape, rate.shape[:-1]), 1 / seen.shape[-1])
    for _ in range(rounds):
        mixed = np.einsum("...k,...kj->...j", shares, rate)
        weight = np.divide(seen, mixed, out=np.zeros_like(mixed), where=mixed > 0)
        new = shares * np.einsum("...kj,...j->...k", rate, weight)
        new /= new.sum(axis=-1, keepdims=True)
        done = np.abs(new - shares).max() < tolerance
        shares = new
        if done:
            break
    return shares


def prior_shift(probabilities: np.ndarray, trained: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    """(K,) shares of production by Saerens et al.: probabilities (M, K) of a model that learned with shares `trained` (K,)."""
    ratio = np.ones(len(trained))
    for _ in range(rounds):
        weighted = probabilities * ratio
        shares = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        new = np.divide(shares, trained, out=np.zeros_like(shares), where=trained > 0)
        if np.abs(new - ratio).max() < 1e-7:
            break
        ratio = new
    return shares


def redrawn(counts: np.ndarray, counted: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """(draws, K) float64 shares of `mixture_shares`, the confusions (K, K) within each row and the predictions (K,) drawn anew."""
    random, classes = np.random.default_rng(seed), len(counted)
    size, rows = counts.sum(axis=1).astype(np.int64), rates(counts)
    found = np.empty((draws, classes))
    slab = max(1, 8_000_000 // classes**2)
    for start in range(0, draws, slab):
        stop = min(draws, start + slab)
        again = np.stack(
            [random.multinomial(n, row, size=stop - start) for n, row in zip(size, rows, strict=True)], axis=1
        )
        seen = random.multinomial(int(counted.sum()), counted / counted.sum(), size=stop - start)
        found[start:stop] = mixture_shares(seen, rates(again), rounds=100, tolerance=1e-5)
    return found


def intervals(shares: np.ndarray, drawn: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """((K,), (K,)) percentile intervals of redrawn shares (B, K), each widened to hold its estimate."""
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return np.minimum(low, shares), np.maximum(high, shares)


def wanted(params: Mapping[str, Any], datasets: Mapping[str, Dataset]) -> bool:
    """Whether an analysis runs this unasked: training has labels in the column, and production none of its own."""
    column = str(params["column"])
    training, production = datasets["training"], datasets["production"]
    if column not in training.columns or training.column(column).null_count == training.count:
        return False
    return column not in production.columns or production.column(column).null_count == production.count


def run(inputs: Inputs) -> Output:
    """Step `prevalence`: for each category production's estimated share with its interval, the plain count of predictions, and the
    share by Saerens et al. The array holds the redrawn shares (draws, K), for whatever is computed from them.

    Categories with fewer than `least` training records are left out, and said.
    """
    params = DEFAULTS | dict(inputs.params)
    training, production = inputs.datasets["training"], inputs.datasets["production"]
    embed, other = inputs.results["embed"], inputs.results["embed:production"]
    check_same_space(embed.info, other.info)
    column = str(params["column"])
    if column not in training.columns:
        raise InputError(f"The training data holds no column {column!r} with labels; choose one of its columns.")
    given = training.column(column).to_pylist()
    vectors, asked = embed.array(), other.array()
    size = Counter(given)
    rows = np.flatnonzero(has_vector(vectors) & np.array([v is not None and size[v] >= params["least"] for v in given]))
    names = sorted({str(given[row]) for row in rows})
    if len(names) < 2:
        raise MissingInput(
            f"Categories of production cannot be predicted: {len(names)} of training's has {params['least']} records or more."
        )
    index = {name: i for i, name in enumerate(names)}
    labels = np.array([index[str(given[row])] for row in rows], dtype=np.int64)
    fold = folds_of(
        Texts(training, str(embed.params.get("text", "prompt")), rows), labels, params["folds"], params["seed"]
    )
    seen = Columns(((vectors, rows),))
    inputs.progress(0, 3, "learning the categories")
    model = out_of_fold(seen, labels, fold, params["inverse_penalty"] or None, scratch=inputs.scratch)
    inputs.progress(1, 3, "predicting production")
    there = np.flatnonzero(has_vector(asked))
    if not len(there):
        raise InputError("No production record has a text to predict its category from.")
    likely = predict(seen, labels, Columns(((asked, there),)), model.inverse_penalty, scratch=inputs.scratch)
    counts = confusions(labels, model.probabilities.argmax(axis=1), len(names))
    counted = np.bincount(likely.argmax(axis=1), minlength=len(names))
    inputs.progress(2, 3, "drawing both samples anew")
    shares = mixture_shares(counted, rates(counts))
    drawn = redrawn(counts, counted, params["draws"], params["seed"])
    low, high = intervals(shares, drawn, params["confidence"])
    of_training = np.bincount(labels, minlength=len(names)) / len(labels)
    agreement = float(np.trace(counts) / counts.sum())
    small = [str(name) for name, n in size.items() if name is not None and n < params["least"]]
    warnings = [
        f"Production has no {column} of its own: its shares are predicted by a classifier that is right on {agreement:.0%} of the "
        "training records it did not learn from, and corrected for its confusions."
    ]
    if small:
        warnings.append(
            f"{len(small):,} categories with fewer than {params['least']} training records cannot be predicted."
        )
    if len(there) < production.count:
        warnings.append(f"{production.count - len(there):,} production records have no text to predict from.")
    table = pa.table({
        "category": names, "share": shares, "low": low, "high": high, "counted": counted / counted.sum(),
        "prior_shift": prior_shift(likely.astype(np.float64), of_training), "training_share": of_training,
    })  # fmt: skip
    info = {
        "column": column, "records": len(there), "categories": len(names), "agreement": agreement,
        "confidence": params["confidence"], "draws": params["draws"], "small": small, "warnings": warnings,
    }  # fmt: skip
    inputs.progress(3, 3, "categories predicted")
    return Output(table=table, array=drawn.astype(np.float32), info=info)
