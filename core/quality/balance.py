"""The least number of changes after which every category lies within its band around production's share.

n_k records of category k are to become x_k, N' = sum of x. The band: 1/r <= (x_k / N') / s_k <= r. For a given N' each x_k has whole
bounds L_k..U_k, the cheapest x is n clipped into them, and what its sum misses N' by costs one change a record more. The smallest cost
over N' is found exactly: the same cost without rounding is convex in N' and never larger, so only where it is at most the best cost
found can a better N' lie, and every whole number there is tried.
"""

from dataclasses import dataclass

import numpy as np

from core.errors import InputError


@dataclass(frozen=True)
class InBand:
    """Counts x (K,) and what they cost."""

    counts: np.ndarray
    removed: int
    added: int

    @property
    def changes(self) -> int:
        return self.removed + self.added


def in_band(
    counts: np.ndarray, shares: np.ndarray, ratio: float = 2.0, least: np.ndarray | None = None, floor: np.ndarray | None = None,
    remove: bool = True, add: bool = True,
) -> InBand:  # fmt: skip
    """The fewest removals and additions that bring every category into the band. counts, shares (K,); shares sum to 1.

    least: records that a category must have at the end (adding what lacks), band or not. floor: records of it that must not be
    removed (pinned, high stakes), band or not. A category that production never has is outside any band and goes but for its floor.
    Without `remove` or `add` only the other is done. InputError when then no counts are in the band, saying which way is missing.
    """
    n, s = np.asarray(counts, dtype=np.int64), np.asarray(shares, dtype=np.float64)
    if ratio <= 1:
        raise InputError(f"A band of {ratio:g}x has no room; give a ratio over 1, such as 2.")
    if len(n) != len(s) or n.sum() == 0 or abs(s.sum() - 1) > 1e-6:
        raise InputError("A plan needs a count and a share for each category; the shares sum to 1.")
    floor = np.minimum(n, np.zeros_like(n) if floor is None else np.asarray(floor, dtype=np.int64))
    least = np.zeros_like(n) if least is None else np.where(s > 0, np.asarray(least, dtype=np.int64), 0)
    low_end, high_end = (np.maximum(floor, 0) if remove else n), (None if add else n)

    def bounds(total: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray]:
        """((T, K), (T, K)) the least and the most of each category when all are `total` (T,)."""
        wanted = total[:, None] * s
        low, high = wanted / ratio, wanted * ratio
        if whole:  # 0.2 * 10 / 2 is not exactly 1 in binary
            low, high = np.ceil(low - 1e-9), np.floor(high + 1e-9)
        low, high = np.maximum(low, low_end), np.maximum(high, np.maximum(floor, least))
        low = np.maximum(low, least)
        if high_end is not None:
            high = np.minimum(high, high_end)
        return low, high

    def cost(total: np.ndarray, whole: bool = True) -> np.ndarray:
        """(T,) changes; infinite where no counts are in the band."""
        low, high = bounds(total.astype(np.float64), whole)
        able = (low <= high + 1e-9).all(axis=1) & (low.sum(axis=1) <= total + 1e-6) & (high.sum(axis=1) >= total - 1e-6)
        nearest = np.clip(n, low, high)
        found = np.abs(nearest - n).sum(axis=1) + np.abs(nearest.sum(axis=1) - total)
        return np.where(able, found, np.inf)

    most = int(max(n.sum(), least.sum()) * (1 if not add else 2 * ratio) + len(n) * ratio + least.sum() + 1)
    if add and (s > 0).any():
        most = int(max(most, (n[s > 0] / s[s > 0]).max() + 1 if not remove else most))
    slab = max(1, 2_000_000 // len(n))

    def best_of(totals: np.ndarray) -> tuple[float, int]:
        best, at = np.inf, -1
        for start in range(0, len(totals), slab):
            part = cost(totals[start : start + slab])
            i = int(part.argmin())
            if part[i] < best:
                best, at = float(part[i]), int(totals[start + i])
        return best, at

    step = max(1, most // 2000)
    coarse = np.arange(1, most + 1, step)
    best, at = best_of(np.unique(np.append(coarse, n.sum())))
    if step > 1:
        relaxed = np.concatenate([cost(coarse[i : i + slab], whole=False) for i in range(0, len(coarse), slab)])
        # A record more or less in the total changes the relaxed cost by at most 2 r + 1: bounds by r in all, the gap by r + 1.
        near = (
            coarse[relaxed <= best + (2 * ratio + 1) * step + 1e-6]
            if np.isfinite(best)
            else coarse[np.isfinite(relaxed)]
        )
        if len(near):
            low, high = max(1, int(near.min()) - step), min(most, int(near.max()) + step)
            while high - low > 4000:  # halve by the convex cost before the whole numbers are tried
                inner = np.unique(np.linspace(low, high, 400).astype(int))
                value = cost(inner, whole=False)
                fine, fine_at = best_of(inner)
                best, at = (fine, fine_at) if fine < best else (best, at)
                gap = int(np.diff(inner).max())
                able = inner[value <= best + (2 * ratio + 1) * gap + 1e-6]
                new = (max(1, int(able.min()) - gap), min(most, int(able.max()) + gap)) if len(able) else (low, high)
                if new[1] - new[0] >= high - low:
                    break
                low, high = new
            fine, fine_at = best_of(np.arange(low, high + 1))
            best, at = (fine, fine_at) if fine < best else (best, at)
    if not np.isfinite(best):
        way = "collecting records" if not add else "removing records" if not remove else "other minimums"
        raise InputError(f"No counts bring every category within {ratio:g}x this way; it takes {way} too.")
    low, high = (part[0] for part in bounds(np.array([at], dtype=np.float64), True))
    x = np.clip(n, low, high).astype(np.int64)
    gap = at - int(x.sum())
    for i in np.argsort(-(s * at - x) * np.sign(gap), kind="stable"):  # where it helps the mix most
        if gap == 0:
            break
        move = min(gap, int(high[i]) - int(x[i])) if gap > 0 else max(gap, int(low[i]) - int(x[i]))
        x[i] += move
        gap -= move
    return InBand(x, int(np.maximum(n - x, 0).sum()), int(np.maximum(x - n, 0).sum()))


def wished(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K,) the shares aimed at when some categories are wanted `weights` times as often as production asks for them, on purpose."""
    found = np.asarray(shares, dtype=np.float64) * np.asarray(weights, dtype=np.float64)
    if (np.asarray(weights) < 0).any() or found.sum() <= 0:
        raise InputError("Weights of categories are 0 or more, and at least one is over 0.")
    return found / found.sum()
