"""Whether a hole could be chance: how unlikely holes get when training and production are alike by construction."""

from dataclasses import dataclass

import numpy as np

from core.embedding.linking import link
from core.embedding.relative_density import relative_density
from core.progress import Progress, silent

MOST_PRODUCTION, MOST_TRAINING = 1500, 20_000  # texts dealt out
OWN = 1000  # training texts whose nearest other one sets the threshold of a draw
PAIRS = 600_000_000  # comparisons spent
FEWEST, DRAWS = 19, 99  # 19 draws are the fewest that can tell chance at 5 %


@dataclass(frozen=True)
class Rules:
    """How holes are looked for: as in the step `coverage`."""

    cut: float  # relative density below which a text is thin; NaN: none is
    quantile: float  # of the training texts' own nearest similarities, below which a text is far
    least: float  # mean similarity at which uncovered texts are one hole
    smallest: int
    k: int


@dataclass(frozen=True)
class Verdict:
    """What chance says: `chance` of each hole, and how it was found."""

    chance: list[float | None]  # p; None: it cannot be told
    draws: int
    production: int  # texts that were dealt out as production
    sampled: bool  # whether fewer than there are


def chance_holes(
    production: np.ndarray, training: np.ndarray, holes: np.ndarray, rules: Rules, seed: int = 0, progress: Progress = silent
) -> Verdict:  # fmt: skip
    """The p-value of each hole; `holes` (N,) numbers them from 0 among the distinct production texts (N, d), -1 for none.

    A scan statistic (Kulldorff 1997) with a permutation test. For a hole: of the texts around its centre, m, how likely is it that so
    many as are or more are production's, Bin(m, N / (N + M)); the least of that over the balls that end at its members. Then the
    distinct texts of both sets, (N, d) and (M, d) unit rows, are thrown together and dealt out again in their sizes 19 to 99 times,
    holes are looked for among them by the same rules (the threshold on 1,000 training texts, dealt anew each time), and p = (1 + draws
    with a hole at least as unlikely) / (1 + draws). It is that of the most unlikely hole of a draw, so that looking at many holes
    is allowed for. Low = hardly chance.

    Above 1,500 production or 20,000 training texts some are dealt, drawn at random, and the holes are judged on these too; a hole
    that then has fewer texts than the smallest hole cannot be told.
    """
    count, held, found = len(production), len(training), int(holes.max(initial=-1)) + 1
    if count <= rules.k or held < 2 or not found:
        return Verdict([None] * found, 0, 0, False)
    random = np.random.default_rng(seed)
    few, mine = min(count, MOST_PRODUCTION), min(held, MOST_TRAINING)
    rows, others = (np.sort(random.choice(size, n, replace=False)) for size, n in ((count, few), (held, mine)))
    own, other = np.asarray(production[rows], np.float32), np.asarray(training[others], np.float32)
    members = [np.flatnonzero(holes[rows] == n) for n in range(found)]
    told = [n for n in range(found) if len(members[n]) >= min(rules.smallest, int((holes == n).sum()))]
    seen = {n: unlikely(own, other, members[n]) for n in told}
    pool = np.concatenate([own, other])
    work = few * (2 * mine + few) + min(OWN, mine) * mine  # comparisons of a draw
    draws = int(min(DRAWS, max(FEWEST, PAIRS // work)))
    null = np.empty(draws)
    for n in range(draws):
        order = random.permutation(len(pool))
        null[n] = least_likely(pool[order[:few]], pool[order[few:]], rules, random)
        progress(n + 1, draws, "Learning how large a hole chance makes")
    chance = [(1 + int((null <= seen[n] + 1e-9).sum())) / (1 + draws) if n in seen else None for n in range(found)]
    return Verdict(chance, draws, few, few < count)


def unlikely(production: np.ndarray, training: np.ndarray, members: np.ndarray) -> float:
    """log10 of the least P(Bin(m, N / (N + M)) >= n) over balls around the members' mean, each reaching to one of them; n of the m
    texts in the ball are production's. Lower = less likely."""
    from scipy.special import betainc

    centre = production[members].mean(0)
    inside, outside = np.sort(-(production @ centre)), np.sort(-(training @ centre))
    reach = -(production[members] @ centre) + 1e-6
    n, t = np.searchsorted(inside, reach, "right"), np.searchsorted(outside, reach, "right")
    tail = betainc(n, t + 1.0, len(production) / (len(production) + len(training)))  # P(X >= n) of m = n + t
    return float(np.log10(np.maximum(tail, 1e-300)).min())


def least_likely(production: np.ndarray, training: np.ndarray, rules: Rules, random: np.random.Generator) -> float:
    """`unlikely` of the most unlikely hole of two sets; 0 where they have none."""
    some = np.sort(random.choice(len(training), min(OWN, len(training)), replace=False))
    threshold = min(float(np.quantile(_best(training[some], training, some), rules.quantile)), 1 - 1e-6)
    uncovered = _best(production, training) < threshold
    if np.isfinite(rules.cut):
        uncovered |= relative_density(production, training, rules.k) < rules.cut
    rows = np.flatnonzero(uncovered)
    if not len(rows):
        return 0.0
    groups = link(production[rows], rules.least)
    large = np.flatnonzero(np.bincount(groups[groups >= 0], minlength=1) >= rules.smallest)
    return min((unlikely(production, training, rows[groups == g]) for g in large), default=0.0)


def _best(left: np.ndarray, right: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """(N,) similarity of each row to its nearest of `right`, the row `own` of it left out."""
    out = np.empty(len(left), np.float32)
    for start in range(0, len(left), 512):
        similarity = left[start : start + 512] @ right.T
        if own is not None:
            similarity[np.arange(len(similarity)), own[start : start + 512]] = -2
        out[start : start + 512] = similarity.max(1)
    return out
