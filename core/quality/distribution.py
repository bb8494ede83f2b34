"""Categories of training against production: what is over- and under-represented, by how much, and what would mend it.

Works on the category or on any other column; numbers are put into bands. The statistics themselves are in `mismatch`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError, MissingInput
from core.quality import mismatch
from core.workspace import Dataset, Inputs, Output

# shares: of production, in place of records; total: how many requests they were counted from, None when they are exact.
DEFAULTS = {
    "column": "category",
    "shares": None,
    "total": None,
    "alpha": 0.5,
    "flag_ratio": 2.0,
    "confidence": 0.95,
    "draws": 2000,
    "seed": 0,
}
LENGTHS = {"prompt_length": "prompt", "response_length": "response", "reasoning_length": "reasoning"}
"""Columns that `compare_datasets` computes: characters of a text column."""
MANY = 50  # distinct numbers in a text column beyond which it is read as a quantity and put into bands


@dataclass(frozen=True)
class Comparison:
    """Training against production over K categories, sorted by production share unless the order was given."""

    categories: tuple[str, ...]
    training: np.ndarray  # counts (K,)
    production: np.ndarray | None  # counts (K,), None when given as shares
    training_share: np.ndarray
    production_share: np.ndarray
    ratio: np.ndarray  # training share / production share; 0: missing in training, inf: production never has it
    flag: tuple[str, ...]  # "over" | "under" (beyond flag_ratio, exactly at it is fine) | "missing" | "unasked" | ""
    contribution: np.ndarray  # to D(P||Q), nats; infinite where missing
    contribution_smoothed: np.ndarray
    kl: float  # D(production || training), nats; infinite when training lacks a category that production has
    kl_smoothed: float  # with alpha added to the counts of each sample: the value for comparisons and the interval
    kl_reverse: float
    kl_reverse_smoothed: float
    js: float  # bits
    tv: float
    psi: float
    psi_smoothed: float
    test: dict  # chi2, g, dof, p_chi2, p_g, least_expected, method
    null_mean: float  # KL that chance alone gives on average, nats
    null_line: float  # and in 95 of 100 sets at most
    low: float | None  # bootstrap interval of kl_smoothed
    high: float | None
    alpha: float
    flag_ratio: float
    confidence: float

    def table(self) -> pa.Table:
        """One row a category."""
        counts = (
            pa.nulls(len(self.categories), pa.int64())
            if self.production is None
            else pa.array(self.production, pa.int64())
        )
        return pa.table(
            {
                "category": pa.array(self.categories, pa.string()),
                "training": pa.array(self.training, pa.int64()),
                "production": counts,
                "training_share": self.training_share,
                "production_share": self.production_share,
                "ratio": self.ratio,
                "flag": pa.array(self.flag, pa.string()),
                "contribution": self.contribution,
                "contribution_smoothed": self.contribution_smoothed,
            }
        )

    def info(self) -> dict:
        """All single values, JSON-able: what is infinite is None, and `infinite` names it."""
        names = (
            "kl",
            "kl_smoothed",
            "kl_reverse",
            "kl_reverse_smoothed",
            "js",
            "tv",
            "psi",
            "psi_smoothed",
            "null_mean",
            "null_line",
        )
        values = {name: getattr(self, name) for name in names} | {
            k: v for k, v in self.test.items() if k in ("chi2", "g")
        }
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        return finite | {
            "infinite": sorted(name for name, value in values.items() if math.isinf(value)),
            **{k: self.test[k] for k in ("dof", "p_chi2", "p_g", "least_expected", "method")},
            "low": self.low,
            "high": self.high,
            "alpha": self.alpha,
            "flag_ratio": self.flag_ratio,
            "confidence": self.confidence,
            "categories": len(self.categories),
            "training": int(self.training.sum()),
            "production": None if self.production is None else int(self.production.sum()),
            **{kind: [c for c, f in zip(self.categories, self.flag, strict=True) if f == kind] for kind in FLAGS},
        }


FLAGS = ("over", "under", "missing", "unasked")


def compare(
    training: Mapping[str, int],
    production: Mapping[str, float],
    *,
    sampled: bool | None = None,
    order: Sequence[str] | None = None,
    alpha: float = 0.5,
    flag_ratio: float = 2.0,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    drawn: Mapping[str, np.ndarray] | None = None,
) -> Comparison:
    """Compare category counts of training with counts or shares of production.

    `drawn`: category -> (B,) shares drawn from what is known of production's, for shares that are themselves estimates.
    `sampled`: production are counts of records; by default it is told from whether they sum to 1 (then: shares). `draws` 0
    leaves the interval out. Errors: a side without records, a negative or non-finite value.
    """
    for side, values in (("training", training), ("production", production)):
        if any(not math.isfinite(v) or v < 0 for v in values.values()):
            raise InputError(f"A {side} count is negative or not a number; counts and shares must be >= 0.")
        if sum(values.values()) <= 0:
            raise InputError(
                f"No {side} record has a category to compare. Map a category column, or choose another column."
            )
    if sampled is None:
        sampled = abs(sum(production.values()) - 1) > 1e-3
    names = [n for n in dict.fromkeys([*production, *training]) if training.get(n, 0) > 0 or production.get(n, 0) > 0]
    if order is not None:
        rank = {name: i for i, name in enumerate(order)}
        names.sort(key=lambda n: (rank.get(n, len(rank)), n))
    else:
        names.sort(key=lambda n: (-production.get(n, 0), -training.get(n, 0), n))
    t = np.array([training.get(n, 0) for n in names], dtype=np.float64)
    counts = np.array([production.get(n, 0) for n in names], dtype=np.float64)
    p, q = mismatch.smoothed(counts), mismatch.smoothed(t)
    p_soft, q_soft = mismatch.smoothed(counts, alpha) if sampled else p, mismatch.smoothed(t, alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = q / p
    low, high = _interval(names, t, counts, sampled, alpha, draws, confidence, seed, drawn)
    null_mean, null_line = mismatch.null_band(
        len(names), int(t.sum()), int(counts.sum()) if sampled else None, confidence
    )
    return Comparison(
        categories=tuple(names),
        training=t.astype(np.int64),
        production=counts.astype(np.int64) if sampled else None,
        training_share=q,
        production_share=p,
        ratio=ratio,
        flag=tuple(_flag(float(r), flag_ratio) for r in ratio),
        contribution=mismatch.kl_terms(p, q),
        contribution_smoothed=mismatch.kl_terms(p_soft, q_soft),
        kl=mismatch.kl(p, q),
        kl_smoothed=mismatch.kl(p_soft, q_soft),
        kl_reverse=mismatch.kl(q, p),
        kl_reverse_smoothed=mismatch.kl(q_soft, p_soft),
        js=mismatch.js_bits(p, q),
        tv=mismatch.total_variation(p, q),
        psi=mismatch.psi(p, q),
        psi_smoothed=mismatch.psi(p_soft, q_soft),
        test=mismatch.independence(t, counts if sampled else p, sampled, draws=max(draws, 1000), seed=seed),
        null_mean=null_mean,
        null_line=null_line,
        low=low,
        high=high,
        alpha=alpha,
        flag_ratio=flag_ratio,
        confidence=confidence,
    )


def _interval(
    names: Sequence[str], training: np.ndarray, production: np.ndarray, sampled: bool, alpha: float, draws: int,
    confidence: float, seed: int, drawn: Mapping[str, np.ndarray] | None,
) -> tuple[float | None, float | None]:  # fmt: skip
    if not draws:
        return None, None
    shares = None
    if drawn:
        size = len(next(iter(drawn.values())))
        shares = np.stack([np.asarray(drawn.get(name, np.zeros(size)), dtype=np.float64) for name in names], axis=1)
    return mismatch.bootstrap_kl(training, production, sampled, alpha, draws, confidence, seed, drawn=shares)


def _flag(ratio: float, limit: float) -> str:
    if ratio == 0:
        return "missing"
    if math.isinf(ratio):
        return "unasked"
    slack = 1 + 1e-9  # 0.2 / 0.1 is not exactly 2 in binary, and exactly 2 is not flagged
    if ratio > limit * slack:
        return "over"
    return "under" if ratio * slack < 1 / limit else ""


# -- what would mend it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rebalancing:
    """Counts that would bring training to the production shares."""

    categories: tuple[str, ...]
    downsample: np.ndarray  # (K,) records left when only removing; sums to the largest set that fits
    add: np.ndarray  # (K,) records to add when only adding
    missing: tuple[
        str, ...
    ]  # categories without a single training record: removing cannot mend them, so they are left out there
    unasked: tuple[str, ...]  # categories production never has: adding cannot mend them, so they stay as they are there


def rebalance(comparison: Comparison) -> Rebalancing:
    """How many records of each category to keep (removing only) or to collect (adding only) for the production shares.

    A share under one in a million, which a classifier gives to what it never saw, is none: no count of records reaches it.
    """
    p, n = comparison.production_share, comparison.training.astype(np.float64)
    have, asked = n > 0, p > 1e-6
    both = have & asked
    keep = np.zeros(len(p), dtype=np.int64)
    if both.any():
        keep[both] = np.floor(p[both] * (n[both] / p[both]).min() + 1e-9).astype(np.int64)
    add = np.zeros(len(p), dtype=np.int64)
    target = np.ceil(p[asked] * (n[asked] / p[asked]).max() - 1e-9)
    # A category that training lacks altogether needs at least one record, whatever the total.
    add[asked] = np.maximum(target - n[asked], (n[asked] == 0).astype(float)).astype(np.int64)
    names = np.array(comparison.categories, dtype=object)
    return Rebalancing(comparison.categories, keep, add, tuple(names[asked & ~have]), tuple(names[have & ~asked]))


# -- columns of datasets -----------------------------------------------------------------------------------------------


def columns_of(dataset: Dataset) -> list[str]:
    """Columns that can be compared, category first."""
    plain = [
        c
        for c in ("category", "language", "annotator", "difficulty", "turns")
        if pc.any(dataset.column(c).is_valid()).as_py()
    ]
    return plain + list(LENGTHS) + [c for c in dataset.columns if c.startswith("field.")]


def column_counts(
    training: Dataset, production: Dataset | None, column: str
) -> tuple[dict[str, int], dict[str, int] | None, list[str] | None]:
    """Counts of each value in both datasets, and the order of the values when they are bands of numbers (else None).

    Records without a value are not counted; `unlabelled` says how many they are.
    """
    left, right, order = column_labels(training, production, column)
    counted = [_counted(side, order) if side is not None else None for side in (left, right)]
    return counted[0], counted[1], order


def column_labels(
    training: Dataset, production: Dataset | None, column: str
) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None, list[str] | None]:
    """The value, or band of numbers, that each record counts under, null where it has none; and the order of the bands (else None)."""
    left = _values(training, column)
    right = _values(production, column) if production is not None else None
    if not pa.types.is_string(left.type) or (right is not None and not pa.types.is_string(right.type)):
        return _banded(left, right)
    numbers = _as_numbers(left)
    if numbers is not None and pc.count_distinct(numbers).as_py() > MANY:
        other = _as_numbers(right) if right is not None else None
        if right is None or other is not None:
            return _banded(numbers, other)
    return left, right, None


def unlabelled(dataset: Dataset, column: str) -> int:
    """Records without a value in the column."""
    return _values(dataset, column).null_count


def compare_datasets(
    training: Dataset,
    production: Dataset | None,
    shares: Mapping[str, float] | None = None,
    column: str = "category",
    total: int | None = None,
    **options,
) -> Comparison:
    """`compare` over one column of two datasets; `shares` stand in for production records that are not there or have no value (column
    category only), counted from `total` requests or, without it, exact. MissingInput when neither is there."""
    left, right, order = column_counts(training, production, column)
    if not right:
        if not shares:
            raise MissingInput(
                "There is nothing to compare with. Import a production sample, or give the production shares."
                if right is None
                else f"No production record has a {column}: its categories can be predicted (step prevalence), or give the shares."
            )
        return compare(left, counted_from(shares, total), sampled=total is not None, order=order, **options)
    return compare(left, right, sampled=True, order=order, **options)


def counted_from(shares: Mapping[str, float], total: int | None) -> dict[str, float]:
    """The counts behind shares of `total` requests; the shares themselves without it."""
    return dict(shares) if total is None else {name: round(share * total) for name, share in shares.items()}


def _values(dataset: Dataset, column: str) -> pa.ChunkedArray:
    if column in LENGTHS:
        return pc.utf8_length(dataset.column(LENGTHS[column]))
    if column not in dataset.columns and not column.startswith("field."):
        raise InputError(
            f"The {dataset.role} data holds no column {column!r}; choose one of {', '.join(columns_of(dataset))}."
        )
    return dataset.column(column)


def _counted(values: pa.ChunkedArray, order: Sequence[str] | None = None) -> dict[str, int]:
    found = {e["values"]: e["counts"] for e in pc.value_counts(values.drop_null().combine_chunks()).to_pylist()}
    return found if order is None else {name: found.get(name, 0) for name in order}


def _as_numbers(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A text column as numbers, or None when one of its texts is not a number."""
    try:
        return pc.cast(values, pa.float64())
    except pa.ArrowInvalid:
        return None


def _banded(
    training: pa.ChunkedArray, production: pa.ChunkedArray | None, bands: int = 5
) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None, list[str]]:
    """Bands of about equally many records of both sides; few distinct numbers stay as they are."""
    sides = [
        np.asarray(side.cast(pa.float64()).fill_null(np.nan), dtype=np.float64)
        for side in (training, production)
        if side is not None
    ]
    present = [side[~np.isnan(side)] for side in sides]
    pooled = np.unique(np.concatenate(present))
    if not len(pooled):
        order, edges, side_of = ["none"], pooled, "left"
    elif len(pooled) <= 2 * bands:
        order, edges, side_of = [f"{value:g}" for value in pooled], pooled, "left"
    else:
        edges = np.unique(
            np.quantile(np.concatenate(present), np.linspace(0, 1, bands + 1)[1:-1]).round(0 if pooled[-1] > 20 else 2)
        )
        side_of = "right"
        order = [
            f"under {edges[0]:g}",
            *(f"{a:g} to {b:g}" for a, b in zip(edges, edges[1:], strict=False)),
            f"{edges[-1]:g} and over",
        ]
    names = pa.array(order, pa.string())
    labels = [
        pa.chunked_array([names.take(pa.array(np.searchsorted(edges, side, side=side_of), mask=np.isnan(side)))])
        for side in sides
    ]
    return labels[0], labels[1] if production is not None else None, order


# -- the step ----------------------------------------------------------------------------------------------------------


def run(inputs: Inputs) -> Output:
    """Step `distribution`: one row a category (`Comparison.table`), all single values in the info, and the rebalancing counts."""
    params = DEFAULTS | dict(inputs.params)
    training, production = inputs.datasets["training"], inputs.datasets.get("production")
    inputs.progress(0, 1, "comparing categories")
    options = {name: params[name] for name in ("alpha", "flag_ratio", "confidence", "draws", "seed")}
    comparison = compare_datasets(training, production, params["shares"], params["column"], params["total"], **options)
    plan = rebalance(comparison)
    table = comparison.table().append_column("keep", pa.array(plan.downsample)).append_column("add", pa.array(plan.add))
    info = comparison.info() | {
        "column": params["column"],
        "sampled": comparison.production is not None,
        "warnings": [],
    }
    for dataset in (training, production):
        without = unlabelled(dataset, params["column"]) if dataset is not None else 0
        if without:
            text = f"{without:,} of {dataset.count:,} {dataset.role} records have no {params['column']}; the shares leave them out."
            info["warnings"].append(text)
    inputs.progress(1, 1, "compared")
    return Output(table=table, info=info)
