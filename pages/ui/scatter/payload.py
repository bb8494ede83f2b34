"""What the scatter draws, as bytes: a handful of blocks, each under its own digest, so that only what changed travels.

Built with numpy alone. A payload is immutable and cheap to vary: `payload.with_selected(mask)` shares every other block.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pages.ui import palette
from pages.ui.scatter.facets import FACETS, Facet

LABELS_UP_TO = 200_000  # above this many points the hover shows the values, and the text only after a click
LABEL_LENGTH = 120  # characters of a label that travel
Block = tuple[str, bytes]  # digest, content


@dataclass(frozen=True)
class Categories:
    """Colour by category: `codes` (N,) integers, index into `names`; a negative code is `noise`, drawn grey.

    `colours` and `dark_colours` ('#rrggbb', one a name) override the shared palette.
    """

    codes: np.ndarray
    names: Sequence[str]
    title: str = ""
    noise: str = "noise"
    colours: Sequence[str] | None = None
    dark_colours: Sequence[str] | None = None


@dataclass(frozen=True)
class Values:
    """Colour by a number: `values` (N,) float, NaN = no value, drawn grey.

    `limits` are the values at the two ends of the colour bar (beyond them the end colour); by default the 1st and 99th
    percentile, for a diverging scale made symmetric about 0.
    """

    values: np.ndarray
    title: str = ""
    scale: Literal["sequential", "diverging"] = "sequential"
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class ScatterPayload:
    """Everything the browser needs of the points. `digest` names the positions: x, y and the caller's `identity`."""

    digest: str
    count: int
    blocks: Mapping[str, Block]
    header: Mapping[str, Any]  # JSON: what the blocks mean

    def with_selected(self, mask: np.ndarray | None) -> ScatterPayload:
        """The same points with another selection: (N,) bool; None = the browser keeps its own."""
        return self._with_bits("selected", mask)

    def with_visible(self, mask: np.ndarray | None) -> ScatterPayload:
        """The same points with another filter: (N,) bool, False = not drawn and not selectable; None = all."""
        return self._with_bits("visible", mask)

    def with_colour(self, colour: Categories | Values) -> ScatterPayload:
        """The same points in another colour."""
        block, described = _colour(colour, self.count, self._overlaid())
        return replace(self, blocks={**self.blocks, "colour": block}, header={**self.header, "colour": described})

    def with_facets(self, facets: Sequence[Facet]) -> ScatterPayload:
        """The same points with columns to filter by in the browser, at most 12; the first 12 are taken."""
        blocks = {k: v for k, v in self.blocks.items() if not k.startswith("facet.")}
        for facet in facets[:FACETS]:
            if facet.codes.shape != (self.count,) or facet.codes.dtype != np.uint8:
                raise ValueError(
                    f"{facet.name} must be {self.count} bytes, not {facet.codes.dtype} {facet.codes.shape}"
                )
            content = facet.codes.tobytes()
            blocks[f"facet.{facet.name}"] = (_digest(facet.name.encode(), content), content)
        described = [facet.described() for facet in facets[:FACETS]]
        return replace(self, blocks=blocks, header={**self.header, "facets": described})

    def _overlaid(self) -> np.ndarray | None:
        """(N,) bool: points of the layers over the first; None without layers."""
        return np.frombuffer(self.blocks["layer"][1], np.uint8) > 0 if "layer" in self.blocks else None

    def xy(self) -> tuple[np.ndarray, np.ndarray]:
        """The coordinates as drawn: two float32 arrays (N,); add `header["origin"]` for the caller's values."""
        both = np.frombuffer(self.blocks["xy"][1], dtype="<f4")
        return both[: self.count], both[self.count :]

    def _with_bits(self, name: str, mask: np.ndarray | None) -> ScatterPayload:
        blocks = {k: v for k, v in self.blocks.items() if k != name}
        if mask is not None:
            blocks[name] = _bits(mask, self.count, name)
        return replace(self, blocks=blocks)


def scatter_payload(
    x: np.ndarray,
    y: np.ndarray,
    colour: Categories | Values,
    *,
    selected: np.ndarray | None = None,
    visible: np.ndarray | None = None,
    layer: np.ndarray | None = None,
    layers: Sequence[str] = ("training", "production"),
    labels: Sequence[str] | None = None,
    identity: str = "",
) -> ScatterPayload:
    """The points as bytes for `scatter`.

    x, y: (N,) numbers, drawn as float32; NaN or infinite = no position (not drawn, counted in the legend's foot).
    selected, visible: (N,) bool masks or None. layer: (N,) integers, index into `layers` (at most four): the first is drawn
    filled, the others as rings in the text colour; each can be switched in the legend. labels: (N,) texts for the hover, cut at
    120 characters, ignored above 200,000 points. identity: what the order of the points stands for (a dataset's digest), so that an
    event on another dataset with equal coordinates cannot be taken for one on this. Raises ValueError on lengths that differ.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x and y must be one-dimensional and of equal length, not {x.shape} and {y.shape}")
    count = len(x)
    origin = [_origin(x), _origin(y)]
    with np.errstate(over="ignore"):  # beyond float32 is infinite: no position
        both = np.concatenate([x - origin[0], y - origin[1]]).astype("<f4")
    content = both.tobytes()
    digest = _digest(b"order", identity.encode(), content)
    block, described = _colour(colour, count, None if layer is None else np.asarray(layer) > 0)
    blocks: dict[str, Block] = {"xy": (_digest(content), content), "colour": block}
    header: dict[str, Any] = {"origin": origin, "colour": described, "home": _home(both[:count], both[count:])}
    if layer is not None:
        layer = np.asarray(layer)
        if layer.shape != (count,) or len(layers) > 4 or (count and not 0 <= layer.min() <= layer.max() < len(layers)):
            raise ValueError(f"layer must be {count} integers from 0 to {len(layers) - 1}, of at most four layers")
        content = layer.astype(np.uint8).tobytes()
        blocks["layer"] = (_digest(content), content)
        header["layers"] = list(layers)
    if labels is not None and count <= LABELS_UP_TO:
        if len(labels) != count:
            raise ValueError(f"there are {count} points but {len(labels)} labels")
        texts = [" ".join(str(t)[: LABEL_LENGTH * 3].split())[:LABEL_LENGTH].encode("utf-8", "replace") for t in labels]
        ends = np.cumsum([0, *map(len, texts)], dtype="<u4")
        content = ends.tobytes() + b"".join(texts)
        blocks["labels"] = (_digest(content), content)
    payload = ScatterPayload(digest, count, blocks, header)
    if selected is not None:
        payload = payload.with_selected(selected)
    return payload.with_visible(visible) if visible is not None else payload


@dataclass(frozen=True)
class Name:
    """A text on the map at (x, y); where names would overlap, the one of larger `weight` is drawn."""

    text: str
    x: float
    y: float
    weight: float = 1.0


def centroid_names(x: np.ndarray, y: np.ndarray, codes: np.ndarray, names: Sequence[str]) -> list[Name]:
    """One Name per category at the medians of its points, weighted by its size; noise (negative codes) has none."""
    x, y, codes = np.asarray(x), np.asarray(y), np.asarray(codes)
    codes = np.where(np.isfinite(x) & np.isfinite(y), codes, -1)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    out = []
    for code, text in enumerate(names):
        rows = order[bounds[code] : bounds[code + 1]]
        if len(rows):
            out.append(Name(text, float(np.median(x[rows])), float(np.median(y[rows])), float(len(rows))))
    return out


def _digest(*parts: bytes) -> str:
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(part)
    return made.hexdigest()


def _origin(values: np.ndarray) -> float:
    """0, or the middle of values so far from 0 that float32 could not tell them apart."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0
    low, high = float(finite.min()), float(finite.max())
    return (low + high) / 2 if high - low < 1e-3 * max(abs(low), abs(high)) else 0.0


def _home(x: np.ndarray, y: np.ndarray) -> list[float] | None:
    """(x0, x1, y0, y1) of the first view where a few far points would shrink all others: the central 99.5 %; None without such."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 50:
        return None
    out, stretched = [], False
    for values in (x[known], y[known]):
        low, high = (float(q) for q in np.percentile(values, [0.25, 99.75]))
        least, most, room = float(values.min()), float(values.max()), 0.06 * (high - low)
        ends = [max(least, low - room), min(most, high + room)]
        stretched |= ends[1] - ends[0] < 0.75 * (most - least)
        out += ends
    return out if stretched and out[1] > out[0] and out[3] > out[2] else None


def _bits(mask: np.ndarray, count: int, name: str) -> Block:
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != (count,):
        raise ValueError(f"{name} must be {count} booleans, not {mask.dtype} {mask.shape}")
    content = np.packbits(mask, bitorder="little").tobytes()
    return _digest(name.encode(), content), content


def _colour(
    colour: Categories | Values, count: int, overlaid: np.ndarray | None = None
) -> tuple[Block, dict[str, Any]]:
    if isinstance(colour, Values):
        return _continuous(colour, count, overlaid)
    codes = np.asarray(colour.codes)
    names = [str(n) for n in colour.names]
    if codes.shape != (count,) or codes.dtype.kind not in "iu":
        raise ValueError(
            f"there are {count} points but codes are {codes.dtype} {codes.shape}: give one integer a point"
        )
    if count and codes.max() >= len(names):
        raise ValueError(f"code {codes.max()} has no name: there are {len(names)} names")
    light = list(colour.colours or palette.categorical(len(names)))
    dark = list(colour.dark_colours or colour.colours or palette.categorical(len(names), dark=True))
    noise = -1
    if count and codes.dtype.kind == "i" and codes.min() < 0:
        noise = len(names)
        codes = np.where(codes < 0, noise, codes)
        names, light, dark = [*names, colour.noise], [*light, palette.grey()], [*dark, palette.grey(dark=True)]
    if len(names) > 65_535:
        raise ValueError(f"{len(names)} categories: at most 65,535 can be coloured")
    content = codes.astype(np.uint8 if len(names) <= 256 else "<u2").tobytes()
    described = {
        "kind": "categories",
        "title": colour.title,
        "names": names,
        "light": light,
        "dark": dark,
        "noise": noise,
    }
    return (_digest(content, repr(names).encode(), repr(light).encode()), content), described


def _continuous(colour: Values, count: int, overlaid: np.ndarray | None) -> tuple[Block, dict[str, Any]]:
    values = np.asarray(colour.values, dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(f"there are {count} points but values are {values.shape}: give one number a point")
    finite = np.isfinite(values)
    low, high = colour.limits or _limits(values[finite], colour.scale == "diverging")
    with np.errstate(over="ignore"):
        content = values.astype("<f4").tobytes()
    described = {
        "kind": "values", "title": colour.title, "limits": [float(low), float(high)],
        "light": [*palette.scale(colour.scale)], "dark": [*palette.scale(colour.scale, dark=True)],
        "grey": [palette.grey(), palette.grey(dark=True)],
        "missing": int((~finite if overlaid is None else ~finite & ~overlaid).sum()),
    }  # fmt: skip
    return (_digest(content, repr(described).encode()), content), described


def _limits(finite: np.ndarray, diverging: bool) -> tuple[float, float]:
    if not len(finite):
        return (-1.0, 1.0) if diverging else (0.0, 1.0)
    low, high = (float(q) for q in np.percentile(finite, [1, 99]))
    if diverging:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    if not math.isfinite(high - low) or high <= low:
        low, high = float(finite.min()), float(finite.max())
    return low, high
