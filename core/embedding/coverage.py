"""Step `coverage`: how much of production the training set reaches, and the holes where it does not, with names."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.balls import inside_and_nearest
from core.embedding.chance import RESAMPLES, intervals, thin_cut
from core.embedding.hole_chance import Rules, Verdict, chance_holes
from core.embedding.linking import link, usual_link
from core.embedding.neighbours import check_same_space, cross_knn, has_vector, knn
from core.embedding.radii import distinct_coverage
from core.embedding.relative_density import SMOOTH, relative_density
from core.embedding.terms import name_rows, titles
from core.embedding.texts import texts_of
from core.progress import part
from core.workspace import Inputs, Output

DEFAULTS: dict[str, Any] = {
    "k": 5,  # neighbours that set the radius of a production record (Naeem et al. use 5)
    "quantile": 0.05,  # of the training records' own nearest similarities: production below it is uncovered
    "thin": 0.5,  # production around which training is less than this dense, relative to production, is uncovered too …
    "level": 0.02,  # … unless more than this share would be, were both alike: then the cut is lowered until it is not
    "seed": 0,  # of the null draws and of the bootstrap
    "smallest_hole": 3,
    "link": 0.0,  # mean similarity at which uncovered records belong to one hole; 0: production's own mean + 0.75 standard deviations
}
EXAMPLES, NEAREST = 5, 5
SAMPLE = 20_000  # training texts whose own nearest similarity sets the threshold, of more than that


def run(inputs: Inputs) -> Output:
    """table (production rows) record_id, nearest_id, similarity (cosine, to the nearest training record), covered, hole (-1 none).

    A production record is uncovered when it is far or in a thin region. Far: its nearest training record is less similar than
    `threshold`, the 5 % quantile of the similarity that training records have to their own nearest record of another text. Thin:
    training is less than half as dense around it as production is (core.embedding.relative_density), and so thin that at most 2 % of
    production would be were both sets alike (core.embedding.chance: without that, half as dense flags 18 % of CLINC150 against
    itself). Far finds single strange
    questions (on CLINC150 .85 of the out-of-scope ones with .08 false alarms, where the radius of Naeem et al. finds .17), thin finds
    topics that production asks for and training hardly has (the sample data's two planted holes: .82 with .005 false alarms).
    Each hole has `chance`: in how many draws, were both sets alike, a hole would be as unlikely (core.embedding.hole_chance).
    info: coverage, density (Naeem et al. 2020, eq. 3 and 4, production as the reference) with expected_coverage; covered_share
    with its 95 % interval; threshold; thin (the cut in force), thin_by_chance; holes by production mass; scattered (uncovered, in no
    hole); regions (production by training cluster, with its share and 95 % Wilson interval).
    """
    params = inputs.params
    embed, other = inputs.results["embed"], inputs.results["embed:production"]
    train, prod = embed.array(), other.array()
    check_same_space(embed.info, other.info)
    ids, prod_ids = (r.table(["record_id"]).column(0).to_pylist() for r in (embed, other))
    keys, prod_keys = (np.array(r.table(["text_key"]).column(0).to_pylist(), dtype=object) for r in (embed, other))
    has = has_vector(prod)
    nearest, similarity = cross_knn(prod, train, NEAREST, part(inputs.progress, 0.0, 0.4))
    best = similarity[:, 0] if similarity.shape[1] else np.full(len(prod), np.nan, np.float32)
    threshold, looked = own_quantile(train, keys, float(params["quantile"]), part(inputs.progress, 0.4, 0.7))
    # No vector, no verdict: such records count neither as covered nor as holes.
    far = np.nan_to_num(best, nan=-2.0) < threshold
    density, cut, inside = distinct_density(train, prod, prod_keys, params, part(inputs.progress, 0.7, 0.8))
    thin = np.nan_to_num(density, nan=1.0) < cut["cut"]
    covered = ~far & ~thin
    numbers = distinct_coverage(train, prod, prod_keys, int(params["k"]), int(params["seed"]), inside)
    inputs.progress(800, 1000, "Looking for holes")
    least = float(params["link"]) or usual_link(prod, int(params["seed"]))
    hole, holes = find_holes(inputs, prod, has & ~covered, nearest, best, ids, prod_ids, least)
    told = judge(holes, hole, train, keys, prod, prod_keys, cut["cut"], least, params, part(inputs.progress, 0.82, 1.0))
    low, high = share_intervals(prod_keys, has, covered, hole, holes, int(params["seed"]))
    info = numbers | {
        "threshold": threshold,
        "threshold_rule": f"{params['quantile']:.0%} quantile of the training records' own nearest similarity"
        + (f", of {looked:,} of them" if looked else ""),
        "threshold_sampled": looked,
        "thin": cut["cut"] if cut["draws"] else float(params["thin"]),
        "thin_asked": float(params["thin"]),
        "thin_level": float(params["level"]),
        "thin_by_chance": cut["by_chance"] if cut["draws"] else None,
        "thin_draws": cut["draws"],
        "thin_sampled": cut["sampled"],
        "far_records": int((has & far).sum()),
        "thin_records": int((has & thin).sum()),
        "covered_share": float(covered[has].mean()) if has.any() else None,
        "covered_low": low,
        "covered_high": high,
        "production": len(prod),
        "training": len(train),
        "without_vector": int((~has).sum()),
        "holes": holes,
        "hole_draws": told.draws,
        "hole_sampled": told.production if told.sampled else 0,
        "scattered": int((has & ~covered & (hole < 0)).sum()),
        "regions": regions(inputs, nearest, covered),
        "warnings": _warnings(has),
        "resamples": RESAMPLES,
    }
    first = [ids[i] if i >= 0 else None for i in (nearest[:, 0] if nearest.shape[1] else np.full(len(prod), -1))]
    table = pa.table(
        {
            "record_id": prod_ids,
            "nearest_id": pa.array(first, pa.string()),
            "similarity": pa.array(best, pa.float32(), from_pandas=True),
            "density": pa.array(density, pa.float32(), from_pandas=True),
            "covered": pa.array(covered),
            "hole": pa.array(hole),
        }
    )
    return Output(table, None, info)


def own_quantile(
    train: np.ndarray, keys: np.ndarray, quantile: float, progress, sample: int = SAMPLE
) -> tuple[float, int]:
    """(the quantile of each training text's similarity to the nearest other text, how many were looked at when not all). One row a
    distinct text: copies of a record must not make the set look dense. 1.0 with fewer than two texts, so that only the same text
    covers. Of more than `sample` texts a random sample is compared with all: the level of a 5 % quantile then has a standard error
    of .0015, and a million records take two minutes in place of hours."""
    _, first = np.unique(keys, return_index=True)
    first = np.sort(first)
    texts = train if len(first) == len(train) else train[first]
    sampled = len(texts) > sample
    if sampled:
        rows = np.sort(np.random.default_rng(0).choice(len(texts), sample, replace=False))
        # The record itself is among the two nearest, with the largest similarity there is.
        similarity = cross_knn(texts[rows], texts, 2, progress)[1][:, 1:]
    else:
        _, similarity = knn(texts, 1, progress)
    nearest = similarity[np.isfinite(similarity[:, 0]), 0] if similarity.shape[1] else np.zeros(0)
    found = float(min(np.quantile(nearest, quantile), 1 - 1e-6)) if len(nearest) else 1 - 1e-6
    return found, sample if sampled else 0


def distinct_density(
    train: np.ndarray, prod: np.ndarray, keys: np.ndarray, params, progress
) -> tuple[np.ndarray, dict, np.ndarray | None]:
    """Relative density (N,) of each production record, computed over the distinct texts, NaN without a vector; the cut below
    which it is thin (core.embedding.chance); training records in the ball of each distinct text (None where there are no balls)."""
    inside, out = None, np.full(len(prod), np.nan)
    has, mine = has_vector(prod), has_vector(train)
    _, first, back = np.unique(keys[has].astype(str), return_index=True, return_inverse=True)
    rows = np.flatnonzero(has)[first]
    k, texts, pool = int(params["k"]), prod[rows], train if mine.all() else train[mine]
    if len(texts) > k and len(pool):
        counted = inside_and_nearest(texts, pool, k, SMOOTH, part(progress, 0.0, 0.5))
        inside, out[has] = counted[0], relative_density(texts, pool, k, counted=counted)[back]
    most, level, seed = float(params["thin"]), float(params["level"]), int(params["seed"])
    return out, thin_cut(texts, pool, level, most, k, seed, part(progress, 0.5, 1.0)), inside


def share_intervals(
    keys: np.ndarray, has: np.ndarray, covered: np.ndarray, hole: np.ndarray, holes: list[dict[str, Any]], seed: int
) -> tuple[float | None, float | None]:
    """95 % bootstrap interval, over the distinct texts, of the covered share; each hole gets `low` and `high` of its share of all."""
    said = np.where(has, keys.astype(str), [f"no vector {n}" for n in range(len(keys))])
    if holes:
        found = intervals(said, hole[:, None] == np.arange(len(holes)), seed=seed)
        for n, one in enumerate(holes):
            one |= {"low": round(float(found[0, n]), 6), "high": round(float(found[1, n]), 6)}
    if not has.any():
        return None, None
    found = intervals(said[has], covered[has, None], seed=seed)
    return round(float(found[0, 0]), 6), round(float(found[1, 0]), 6)


def judge(holes, hole, train, keys, prod, prod_keys, cut: float, least: float, params, progress) -> Verdict:
    """Give each hole `texts`, its distinct texts, and `chance`, how often chance alone makes one as unlikely
    (core.embedding.hole_chance; None where it cannot be told)."""
    rows = [np.sort(np.unique(k.astype(str), return_index=True)[1]) for k in (keys, prod_keys)]
    mine, other = (some[has_vector(array[some])] for some, array in zip(rows, (train, prod), strict=True))
    rules = Rules(cut, float(params["quantile"]), least, int(params["smallest_hole"]), int(params["k"]))
    found = chance_holes(prod[other], train[mine], hole[other], rules, int(params["seed"]), progress)
    for one in holes:
        one["texts"] = int((hole[other] == one["hole"]).sum())
        one["chance"] = found.chance[one["hole"]]
    return found


def find_holes(
    inputs: Inputs, prod, uncovered, nearest, best, ids, prod_ids, least: float
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Hole number of each production record (-1: none), and the holes, the one with most production first.

    [{hole, name, terms, size, share (of production), similarity (mean, to the nearest training record), examples: production
    ids, the most typical first, nearest: training ids, collect: records that would bring training to production's share}]
    """
    rows = np.flatnonzero(uncovered)
    labels = np.full(len(prod), -1, np.int32)
    groups = link(np.asarray(prod[rows], np.float32), least)
    sizes = Counter(groups.tolist())
    kept = [
        g for g, n in sorted(sizes.items(), key=lambda e: (-e[1], e[0])) if n >= int(inputs.params["smallest_hole"])
    ]
    for number, group in enumerate(kept):
        labels[rows[groups == group]] = number
    if not kept:
        return labels, []
    texts, _ = texts_of(
        inputs.datasets["production"], inputs.results["embed:production"].info.get("text", "prompt"), True
    )
    members = {n: np.flatnonzero(labels == n) for n in range(len(kept))}
    # What other production texts say as well names no hole.
    terms = name_rows(members, np.flatnonzero(labels < 0), texts, prod)
    names = titles(terms, "hole")
    training = len(ids)
    holes = []
    for number, found in members.items():
        centre = np.asarray(prod[found], np.float64).mean(0)
        typical = found[np.argsort(-(np.asarray(prod[found]) @ centre), kind="stable")]
        around = Counter(ids[i] for row in found for i in nearest[row, :2] if i >= 0)
        holes.append(
            {"hole": number, "name": names[number], "terms": terms[number], "size": len(found), "share": len(found) / len(prod),
             "similarity": float(np.mean(best[found])), "examples": [prod_ids[i] for i in typical[:EXAMPLES]],
             "nearest": [i for i, _ in around.most_common(NEAREST)], "collect": math.ceil(len(found) / len(prod) * training)}
        )  # fmt: skip
    return labels, holes


def regions(inputs: Inputs, nearest: np.ndarray, covered: np.ndarray) -> list[dict[str, Any]]:
    """[{cluster, training, production}]: how many covered production records are nearest to each training cluster; 0: none."""
    clusters = inputs.results.get("clusters")
    if clusters is None:
        return []
    labels = clusters.table(["cluster"]).column(0).to_numpy()
    first = nearest[covered, 0] if nearest.shape[1] else np.zeros(0, int)
    visits = Counter(labels[first[first >= 0]].tolist())
    out = []
    for cluster, count in sorted(Counter(labels.tolist()).items()):
        low, high = wilson(visits.get(cluster, 0), len(covered))
        told = {"cluster": int(cluster), "training": count, "production": visits.get(cluster, 0)}
        out.append(told | {"share": told["production"] / max(1, len(covered)), "low": low, "high": high})
    return out


def wilson(hits: int, count: int) -> tuple[float | None, float | None]:
    """95 % Wilson interval of a share; (None, None) of nothing."""
    if not count:
        return None, None
    z, p = 1.959963984540054, hits / count
    middle, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return max(0.0, (middle - half) / (1 + z * z / count)), min(1.0, (middle + half) / (1 + z * z / count))


def _warnings(has: np.ndarray) -> list[str]:
    lost = int((~has).sum())
    return [f"{lost:,} production records have no vector and are left out."] if lost else []
