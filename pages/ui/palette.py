"""Colours that every chart shares: categories that colour-blind readers tell apart, noise as grey, and two continuous scales.

`LIGHT[i]` and `DARK[i]` are the colours of category i on a light and a dark page. Found by maximising the smallest distance in OKLab
between any two, to the background and to grey, under normal vision and simulated deuteranopia, protanopia and tritanopia
(Machado 2009, severity 1), in an order in which each next colour is the farthest from those before it. Smallest OKLab distance under
all four kinds of vision: first 8 colours 0.10, all 24 0.05 (0.02 is just noticeable); tests/unit/test_ui_palette.py recomputes it.
"""

from __future__ import annotations

from collections.abc import Sequence

LIGHT: tuple[str, ...] = (
    "#2355bb", "#e16618", "#3d9d75", "#b56dc5", "#27c4f5", "#9b332e", "#d7b431", "#51237a",
    "#6d060f", "#b0cdb5", "#715463", "#b55508", "#b895c8", "#8a7ff4", "#8fb886", "#72a4f7",
    "#6a69db", "#8a6e5b", "#72325f", "#954490", "#0e3c2b", "#7f7c9a", "#193ba1", "#52134f",
)  # fmt: skip
DARK: tuple[str, ...] = (
    "#6f86f6", "#eab527", "#59d4a9", "#cc77a9", "#aaf1f2", "#d04625", "#f7ec2e", "#8a50ae",
    "#c3bafe", "#5a805b", "#b9a272", "#8aa6fe", "#186d5b", "#8f452b", "#bf5395", "#ac61cb",
    "#f3821d", "#8e905e", "#655285", "#62f19f", "#f286d0", "#e3bfcf", "#ace767", "#d7f6c7",
)  # fmt: skip
# Noise (HDBSCAN label -1), missing values and everything else that is no category of its own.
GREY_LIGHT, GREY_DARK = "#a3abb0", "#5f6a70"

# Low to high. Viridis, cut where it would vanish into the page.
SEQUENTIAL_LIGHT: tuple[str, ...] = (
    "#440154",
    "#46327e",
    "#365c8d",
    "#277f8e",
    "#1fa187",
    "#4ac16d",
    "#86d549",
    "#c2d52e",
)
SEQUENTIAL_DARK: tuple[str, ...] = (
    "#4b3f8f",
    "#3f5f97",
    "#2f7f92",
    "#1fa187",
    "#4ac16d",
    "#86d549",
    "#c8e020",
    "#fde725",
)
# Below zero to above zero, grey at zero (influence: harmful to helpful).
DIVERGING_LIGHT: tuple[str, ...] = ("#b3470a", "#e08a4e", "#e8c3a6", "#c8cdd0", "#9fb6e6", "#5c84d6", "#1d4aa8")
DIVERGING_DARK: tuple[str, ...] = ("#f08a3c", "#c9713a", "#8a6450", "#566066", "#5d74a6", "#6b8be0", "#86a6ff")


def _mix(colour: str, other: str, share: float) -> str:
    a, b = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (colour, other))
    return "#" + "".join(f"{round(x * (1 - share) + y * share):02x}" for x, y in zip(a, b, strict=True))


def categorical(count: int, dark: bool = False) -> list[str]:
    """`count` colours for categories 0, 1, …; past the 24th the list starts again in a paler, then a deeper tone."""
    base, towards = (DARK, ("#11181b", "#ffffff")) if dark else (LIGHT, ("#ffffff", "#000000"))
    out = list(base[:count])
    for i in range(len(base), count):
        turn = i // len(base)
        out.append(_mix(base[i % len(base)], towards[(turn - 1) % 2], min(0.25 + 0.1 * turn, 0.6)))
    return out


def grey(dark: bool = False) -> str:
    """The colour of noise and of missing values."""
    return GREY_DARK if dark else GREY_LIGHT


def scale(kind: str, dark: bool = False) -> Sequence[str]:
    """Stops of a continuous scale, low to high: `sequential`, or `diverging` (middle = zero)."""
    scales = {
        ("sequential", False): SEQUENTIAL_LIGHT, ("sequential", True): SEQUENTIAL_DARK,
        ("diverging", False): DIVERGING_LIGHT, ("diverging", True): DIVERGING_DARK,
    }  # fmt: skip
    return scales[kind, dark]
