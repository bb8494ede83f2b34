"""Several raters of the same records, compared: every statistic of `agreement`, pair by pair and all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import InputError
from core.review import bootstrap
from core.review.agreement import (
    Agreement,
    ac1,
    ac1_error,
    agreement,
    contested,
    fleiss_kappa,
    krippendorff_alpha,
)
from core.review.intervals import Interval

TARGET_RAW, TARGET_KAPPA = 0.90, 0.80
TARGET_SOURCE = (
    "The practice: inter-annotator agreement over 90 % and Cohen's kappa over 0.8, on a random 5–10 % of records."
)
PREVALENT, APART = 0.8, 0.2
"""A class with this share of all ratings, and AC1 this far above kappa: the kappa paradox is worth a word."""


@dataclass(frozen=True)
class Comparison:
    """What several raters say of the same records; None marks what is undefined."""

    names: Sequence[str]
    classes: Sequence[str]
    """In numeric order when all are numbers, else in the order of the text."""
    numeric: bool
    records: int
    """Records that at least two raters rated."""
    unanimous: int
    """Of these, how many have one rating only."""
    raw: float | None
    """Mean over records of the share of rater pairs that agree."""
    ac1: float | None
    ac1_error: float | None
    """Its standard error (Gwet)."""
    alpha: float | None
    ordinal: float | None
    interval: float | None
    """Krippendorff's alpha for ranks and for numbers; None unless the classes are numbers."""
    fleiss: float | None
    prevalent: tuple[str, float] | None
    """The most frequent class and its share of all ratings of these records."""
    pairs: Mapping[tuple[int, int], Agreement]
    """Both raters' statistics for each two of them."""
    intervals: Mapping[str, Interval | None]
    """Of raw, ac1, fleiss, nominal, ordinal, interval: by resampling whole records; None marks what is undefined."""
    resamples: int
    pair_intervals: Mapping[tuple[int, int], Mapping[str, Interval | None]]
    """Of each two: raw, plain, linear, quadratic, ac1, alpha; by resampling whole records."""
    contested: Sequence[tuple[str, float]]
    """(record id, share of its rater pairs that disagree), the most contested first."""

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa of two raters; Fleiss' of more."""
        if len(self.names) > 2:
            return self.fleiss
        found = self.pairs[0, 1].kappa
        return found.value if found else None

    @property
    def paradox(self) -> bool:
        """Whether kappa is low for the rarity of the other classes rather than for disagreement."""
        if self.kappa is None or self.ac1 is None or self.prevalent is None:
            return False
        return self.prevalent[1] >= PREVALENT and self.ac1 - self.kappa >= APART


def compare(
    ratings: Sequence[Sequence[str | None]], names: Sequence[str], ids: Sequence[str], most: int = 200
) -> Comparison:
    """All statistics of the ratings (raters x records, None = not rated); the `most` contested records with them."""
    if len(ratings) < 2:
        raise InputError("Agreement needs two raters or more. Choose another one to compare with.")
    twice = [n for n, said in enumerate(zip(*ratings, strict=True)) if sum(one is not None for one in said) >= 2]
    kept = [[row[n] for n in twice] for row in ratings]
    counts = Counter(value for row in kept for value in row if value is not None)
    numbers = {value: _number(value) for value in counts}
    numeric = bool(numbers) and all(number is not None for number in numbers.values())
    classes = sorted(counts, key=lambda value: (numbers[value], value)) if numeric else sorted(counts)
    top = max(counts.items(), key=lambda pair: (pair[1], pair[0]), default=None)
    apart = contested(kept, [ids[n] for n in twice], len(twice)) if twice else []
    pairs = {(i, j): agreement(kept[i], kept[j], classes) for i in range(len(kept)) for j in range(i + 1, len(kept))}
    scaled = numeric and len(set(numbers.values())) == len(classes) > 2
    # AC1 and Fleiss' kappa take the shares of the classes from records that one rater alone rated, too.
    seen = [[value if value in counts else None for value in row] for row in ratings]
    intervals, resamples = bootstrap.of_all(seen, classes, scaled) if twice else ({}, 0)
    return Comparison(
        names=list(names),
        classes=classes,
        numeric=scaled,
        records=len(twice),
        unanimous=len(twice) - len(apart),
        raw=1 - sum(share for _, share in apart) / len(twice) if twice else None,
        ac1=ac1(seen, classes) if twice else None,
        ac1_error=ac1_error(seen, classes) if twice else None,
        alpha=krippendorff_alpha(kept, "nominal", classes) if twice else None,
        ordinal=krippendorff_alpha(kept, "ordinal", classes) if scaled else None,
        interval=krippendorff_alpha(kept, "interval", classes) if scaled else None,
        fleiss=fleiss_kappa(seen) if twice else None,
        prevalent=(top[0], top[1] / counts.total()) if top else None,
        pairs=pairs,
        intervals=intervals,
        resamples=resamples,
        pair_intervals={pair: bootstrap.of_pair(both.table) for pair, both in pairs.items()},
        contested=apart[:most],
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None
