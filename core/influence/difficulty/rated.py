"""The step `rated_difficulty`: difficulty as people, a language model or a column rated it, learned and carried over to every record.

Features are the frozen embeddings and transparent text features (text_features.py), both blocks scaled to weigh the same;
the model is core.influence.difficulty.ordinal. What it is worth is measured on ratings it had not seen, by repeated cross-validation.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import MissingInput
from core.influence.difficulty import ordinal
from core.influence.difficulty.rank_measures import interval, length_matched_spearman, quadratic_kappa, spearman
from core.influence.difficulty.text_features import NAMES, text_features
from core.workspace import Dataset, Inputs, Output

DEFAULTS: dict[str, Any] = {
    "source": "people",  # people, llm (the step llm_difficulty) or column (the mapped difficulty)
    "ratings": {},  # of people: {record_id: [level, picked]}, put here by core.actions.rating when the model is trained
    "dimension": "overall",  # of the language model: knowledge, reasoning or overall
    "folds": 5,
    "repeats": 4,
    "seed": 0,
}
LEAST = 20
MOST_LEVELS = 10
MOST = 5_000  # ratings that are learned from; more are drawn from by chance, and said
JUDGED_LEAST = 20


def fingerprint(params: dict[str, Any]) -> str:
    """Nothing outside the parameters counts; MissingInput where there is nothing to learn from yet."""
    if params["source"] == "people" and not params["ratings"]:
        raise MissingInput(
            f"Nobody's ratings were learned from yet. Rate at least {LEAST} records, then train on them."
        )
    if params["source"] not in ("people", "llm", "column"):
        raise MissingInput(f"source={params['source']!r} is not known; it is people, llm or column.")
    return ""


def design(vectors: np.ndarray, data: Dataset) -> tuple[np.ndarray, list[str]]:
    """((N, d + F) features, names of the last F): embeddings, centred, and text features, standardised, of equal total variance."""
    texts = [pc.fill_null(data.column(name), "").to_pylist() for name in ("prompt", "response", "reasoning")]
    plain = text_features(*texts)
    spread = plain.std(0)
    varies = spread > 1e-6
    plain = (plain[:, varies] - plain[:, varies].mean(0)) / spread[varies]
    centred = np.asarray(vectors, np.float32) - np.asarray(vectors, np.float32).mean(0)
    size = float((centred**2).sum(1).mean())
    if size > 0:
        centred *= np.sqrt(max(1, int(varies.sum())) / size)
    return np.hstack([centred, plain]), [name for name, v in zip(NAMES, varies, strict=True) if v]


def targets(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """(ratings with NaN where none, the levels, how they came about): few different values are levels, others fall into fifths."""
    known = np.isfinite(values)
    different = np.unique(values[known])
    if len(different) <= MOST_LEVELS:
        return values, different, "as rated"
    edges = np.unique(np.percentile(values[known], (20, 40, 60, 80)))
    levels = np.where(known, np.searchsorted(edges, values, side="right") + 1.0, np.nan)
    return levels, np.unique(levels[known]), f"fifths of the {len(different):,} different values, 1 to {len(edges) + 1}"


def people(ratings: Mapping[str, Any], ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """((N,) levels with NaN, (N,) bool: drawn by chance) of what people rated."""
    values, chance = np.full(len(ids), np.nan), np.zeros(len(ids), bool)
    for row, record in enumerate(ids):
        if record in ratings:
            level, picked = ratings[record]
            values[row], chance[row] = float(level), picked == "random"
    return values, chance


def run(inputs: Inputs) -> Output:
    """table: record_id, expected (level, higher = harder), level (the nearest), sd (in levels), novelty, rated, and p_<level>.

    novelty: the variance of the score left by what was rated, in units of the rating noise; higher = less like anything rated.
    info: ratings, levels, counts, judged, spearman and kappa with intervals, calibration, weights, warnings.
    """
    params, data, started = inputs.params, inputs.datasets["training"], time.monotonic()
    ids = data.ids()
    raw, chance = _source(inputs, data, ids)
    values, levels, how = targets(raw)
    rated = np.flatnonzero(np.isfinite(values))
    if len(rated) < LEAST:
        raise MissingInput(
            f"{len(rated)} rated records are too few to learn from: {LEAST} are needed. Rate more first."
        )
    if len(levels) < 2:
        raise MissingInput(
            f"All {len(rated)} ratings are {levels[0]:g}: there is nothing to tell apart. Rate other records too."
        )
    warnings = []
    if len(rated) > MOST:
        warnings.append(f"{MOST:,} of the {len(rated):,} rated records, drawn by chance, were learned from.")
        rated = np.sort(np.random.default_rng(params["seed"]).choice(rated, MOST, replace=False))
    inputs.progress(0, 3, "Reading the records")
    features, names = design(inputs.results["embed"].array(), data)
    x, y = features[rated], values[rated]
    inputs.progress(1, 3, f"Learning from {len(rated):,} ratings")
    model = ordinal.fit(x, y, levels)
    expected, sd, chances = model.predict(features)
    inputs.progress(2, 3, "Judging it on ratings it has not seen")
    judged, caution = _judged(chance[rated])
    warnings += [caution] if caution else []
    words = _words(data)[rated]
    worth = measure(x, y, levels, judged, words, params)
    if model.links.weak:
        warnings.append(
            "These ratings show nothing yet that the features could learn: all predictions are nearly equal, and their order may "
            "be chance."
        )
    warnings += _absent(levels, y, params["source"])
    table = pa.table(
        {"record_id": ids, "expected": expected, "level": ordinal.nearest_level(expected, levels), "sd": sd,
         "novelty": novelty(features, rated, model.ridge.strength), "rated": np.isin(np.arange(len(ids)), rated)}
        | {f"p_{level:g}": chances[:, k] for k, level in enumerate(levels)}
    )  # fmt: skip
    info = worth | {
        "ratings": int(len(rated)), "source": params["source"], "levels": [float(v) for v in levels], "levels_are": how,
        "counts": [int((y == v).sum()) for v in levels], "drawn_by_chance": int(chance[rated].sum()),
        "strength": model.ridge.strength, "slope": model.links.slope, "cuts": [float(c) for c in model.links.cuts],
        "dimensions": int(features.shape[1]), "embedding": inputs.results["embed"].info.get("model", ""),
        "weights": _weights(model, names, features), "warnings": warnings, "seconds": round(time.monotonic() - started, 1),
        "note": f"learned from {len(rated):,} ratings",
    }  # fmt: skip
    return Output(table=table, info=info)


def _source(inputs: Inputs, data: Dataset, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    source = inputs.params["source"]
    if source == "people":
        return people(inputs.params["ratings"], ids)
    if source == "llm":
        column = inputs.results["llm_difficulty"].table([inputs.params["dimension"]]).column(0)
    else:
        column = data.column("difficulty")
    values = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(zero_copy_only=False).copy()
    return values, np.isfinite(values)


def _words(data: Dataset) -> np.ndarray:
    return np.array([len((t or "").split()) for t in data.column("response").to_pylist()], float)


def _judged(chance: np.ndarray) -> tuple[np.ndarray, str]:
    """(positions of the ratings that the model is judged on, a caution or ""): those drawn by chance, where there are enough."""
    drawn = np.flatnonzero(chance)
    if len(drawn) == len(chance):
        return drawn, ""
    if len(drawn) >= JUDGED_LEAST:
        return drawn, ""
    return np.arange(len(chance)), (
        f"Only {len(drawn)} of these records were drawn by chance, so the measures are taken over all {len(chance)}; records "
        "that were picked are not typical, and the figures may be off either way. Rate 25 at random for honest ones."
    )


def measure(
    x: np.ndarray, y: np.ndarray, levels: np.ndarray, judged: np.ndarray, words: np.ndarray, params: Mapping[str, Any]
) -> dict[str, Any]:
    """How well unseen ratings are predicted: kappa, rank correlation, the same with length held equal, error, calibration."""
    folds, repeats, seed = int(params["folds"]), int(params["repeats"]), int(params["seed"])
    chances = ordinal.out_of_fold(x, y, levels, judged, folds, repeats, seed)
    expected, _, _ = ordinal.moments(chances, levels)
    truth, nearest, length = y[judged], ordinal.nearest_level(expected, levels), words[judged]

    def kappa(a: np.ndarray, b: np.ndarray) -> float:
        return quadratic_kappa(a, b, levels)

    def pair(value: float, low_high: tuple[float, float]) -> list[float | None]:
        return [None if not np.isfinite(v) else round(float(v), 4) for v in (value, *low_high)]

    return {
        "judged": int(len(judged)),
        "spearman": pair(spearman(expected, truth), interval(spearman, (expected, truth), seed)),
        "kappa": pair(kappa(nearest, truth), interval(kappa, (nearest, truth), seed)),
        "length_matched": pair(
            length_matched_spearman(expected, truth, length),
            interval(length_matched_spearman, (expected, truth, length), seed, 300),
        ),
        "length_alone": pair(spearman(length, truth), interval(spearman, (length, truth), seed)),
        "error": round(float(np.abs(expected - truth).mean()), 4),
        "error_of_the_mean": round(float(np.abs(truth.mean() - truth).mean()), 4),
        "calibration": calibration(expected, truth),
        "how": f"{repeats} x {folds}-fold cross-validation on the {len(judged):,} judged ratings, seed {seed}; 95 % intervals by "
        "1,000 bootstrap draws of records (300 for matched lengths)",
    }


def calibration(expected: np.ndarray, truth: np.ndarray, groups: int = 5) -> list[dict[str, float]]:
    """Fifths by predicted level: how many, the mean prediction and the mean rating, which should be alike."""
    found = []
    for rows in np.array_split(np.argsort(expected, kind="stable"), min(groups, len(expected))):
        found.append(
            {
                "records": len(rows),
                "predicted": round(float(expected[rows].mean()), 3),
                "rated": round(float(truth[rows].mean()), 3),
            }
        )
    return found


def novelty(features: np.ndarray, rated: np.ndarray, strength: float) -> np.ndarray:
    """(N,) posterior variance of each record's score after the ratings, in units of the rating noise; 0..|x|^2 / strength."""
    x = np.asarray(features[rated], float)
    values, vectors = np.linalg.eigh(x.T @ x)
    size = np.asarray(features, float) @ vectors
    return (size**2) @ (1 / (np.maximum(values, 0) + strength))


def _weights(model: ordinal.Ordinal, names: list[str], features: np.ndarray) -> list[dict[str, Any]]:
    """Spread of the score by each block; then the text features, largest first, in levels for one standard deviation more of each."""
    count = len(names)
    own = model.ridge.weights[-count:] if count else np.array([])
    order = np.argsort(-np.abs(own), kind="stable")
    listed = [{"feature": names[i], "weight": round(float(own[i]), 4)} for i in order]
    by_embedding = float(
        (np.asarray(features[:, : features.shape[1] - count], float) @ model.ridge.weights[: -count or None]).std()
    )
    by_text = float((np.asarray(features[:, features.shape[1] - count :], float) @ own).std()) if count else 0.0
    return [
        {"feature": "all of the embedding", "spread": round(by_embedding, 4)},
        {"feature": "all text features", "spread": round(by_text, 4)},
        *listed,
    ]


def _absent(levels: np.ndarray, y: np.ndarray, source: str) -> list[str]:
    if source == "people" and len(levels) < 5:
        missing = ", ".join(str(k) for k in range(1, 6) if k not in set(levels.astype(int)))
        return [f"No record was rated {missing}, so none can be predicted there."]
    return []
