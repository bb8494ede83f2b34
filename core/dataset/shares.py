"""Production given as shares of categories instead of records: {category: share}, in CSV, TSV, Excel or JSON."""

import math
from pathlib import Path
from typing import Any

from core.dataset import names
from core.dataset.jsontext import Written
from core.dataset.limits import Limits
from core.dataset.reading import open_source
from core.errors import InputError

_CATEGORY = ("category", "key", "name", "label", "class", "specialty", "topic", "domain", "intent")
_UNITS = {
    "share": None, "fraction": None, "proportion": None, "weight": None, "value": None, "probability": None, "p": None,
    "percent": "percent", "percentage": "percent", "%": "percent", "pct": "percent", "share%": "percent",
    "count": "count", "n": "count", "records": "count", "requests": "count", "frequency": None,
}  # fmt: skip
TOLERANCE = 1e-3


def looks_like_shares(rows: list[dict]) -> bool:
    """Whether rows are a category and a number each, and nothing else."""
    return bool(rows) and _columns(rows) is not None


def _columns(rows: list[dict]) -> tuple[str, str] | None:
    fields = list(rows[0])
    if len(fields) != 2 or any(list(row) != fields for row in rows):
        return None
    for category, share in (fields, fields[::-1]):
        if names.key(share) in _UNITS and all(_number(row[share]) is not None for row in rows):
            return category, share
    category, share = fields
    if names.key(category) in _CATEGORY and all(_number(row[share]) is not None for row in rows):
        return category, share
    return None


def _number(value: Any) -> tuple[float, bool] | None:
    """(number, it was written with a percent sign)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value), False
    text = str(value).strip()
    try:
        return float(text.removesuffix("%")), text.endswith("%")
    except ValueError:
        return None


def read_shares(path: str | Path, unit: str | None = None, limits: Limits | None = None) -> dict[str, float]:
    """{category: share}, summing to 1, in the order of the file; see `read_counted`."""
    return read_counted(path, unit, limits)[0]


def read_counted(
    path: str | Path, unit: str | None = None, limits: Limits | None = None
) -> tuple[dict[str, float], int | None]:
    """({category: share} summing to 1 in the order of the file, how many requests they were counted from or None for shares).

    `unit`: "fraction" (0.45), "percent" (45) or "count". Left None, it is read off the file where that is certain: a percent sign,
    a column called percent or count, or values that sum to 1. Values that sum to 100 are asked about, not guessed.
    Raises InputError for values that are negative, not finite, repeated or do not sum to 1.
    """
    name = Path(path).name
    if unit not in (None, "fraction", "percent", "count"):
        raise InputError(f"The unit of shares is fraction, percent or count, not {unit!r}.")
    with open_source(path, limits=limits) as source:
        rows = []
        for row in source.rows:
            if row.value is None:
                raise InputError(f"{name}, line {row.line}: {row.reason} ({row.detail}). Correct the row.")
            rows.append(row.value)
            if len(rows) > 100_000:
                raise InputError(
                    f"{name} holds more than 100,000 rows, too many for shares of categories. Import it as records."
                )
    if not rows:
        raise InputError(f"{name} holds no shares. Give one row a category.")
    columns = _columns([{k: v for k, v in row.items()} for row in rows]) or _named(rows)
    if columns is None:
        raise InputError(
            f"{name} is no table of shares: two fields are needed, a category and a number; it has {', '.join(list(rows[0])[:10])}."
        )
    category, share = columns
    values, signs = {}, 0
    for position, row in enumerate(rows, 1):
        label, number = row.get(category), _number(row.get(share))
        label = label.text if isinstance(label, Written) else str(label)
        if number is None or not math.isfinite(number[0]):
            raise InputError(
                f"{name}, row {position}: {row.get(share)!r} is not a number. Shares are numbers from 0 to 1."
            )
        if number[0] < 0:
            raise InputError(
                f"{name}, row {position}: the share of {label!r} is {number[0]:g}; shares are not negative. Correct it."
            )
        if label in values:
            raise InputError(f"{name} gives the category {label!r} twice. Add the two shares up.")
        values[label], signs = number[0], signs + number[1]
    if 0 < signs < len(values):
        raise InputError(
            f"{name} writes {signs} of {len(values)} shares with a percent sign and the others without. Write all alike."
        )
    unit = unit or ("percent" if signs else _UNITS.get(names.key(share)))
    counted = unit == "count" and all(value == int(value) for value in values.values())
    return _normal(values, unit, name), int(math.fsum(values.values())) if counted else None


def _named(rows: list[dict]) -> tuple[str, str] | None:
    by_key = {names.key(field): field for field in rows[0]}
    category = next((by_key[k] for k in _CATEGORY if k in by_key), None)
    share = next((by_key[k] for k in _UNITS if k in by_key and by_key[k] != category), None)
    return (category, share) if category and share else None


def _normal(values: dict[str, float], unit: str | None, name: str) -> dict[str, float]:
    total = math.fsum(values.values())
    if unit == "count":
        if total <= 0:
            raise InputError(f"{name}: the counts are all 0. Give at least one.")
        return {label: value / total for label, value in values.items()}
    whole = 100 if unit == "percent" else 1
    if abs(total / whole - 1) <= TOLERANCE:
        return {label: value / total for label, value in values.items()}
    if unit is None and abs(total / 100 - 1) <= TOLERANCE:
        raise InputError(
            f"{name}: the shares sum to {total:g}. Are they percent? Say so (unit percent), or write 0.45 for 45 %."
        )
    if unit is None and all(value == int(value) for value in values.values()):
        raise InputError(f"{name}: the shares sum to {total:g}, not 1. If they are counts, say so (unit count).")
    raise InputError(f"{name}: the shares sum to {total:.6g}; they must sum to {whole}. Correct them.")
