"""The matching head: does this response belong to this prompt, and does the validation set need such prompts? Numpy alone.

A record is x (what the response has to fit, embedded), r (the response, embedded) and e (the prompt, embedded). The head is

    f_a(record) = (a . phi) b,    phi = [1, e],    b = [sqrt(kappa), u],    loss = 1/2 |t - f_a|^2,    t = [sqrt(kappa), r~]

u (unit) is what the response should look like: a ridge map x -> r of the *other* records (cross-fitted, so that no record vouches
for itself) plus x itself; r~ is the centred unit response; kappa > 0 is what all responses have in common. The parameters a (1 + d
of them) start at 0. There the gradient of a record is -(kappa + u . r~) phi, and the Gauss-Newton matrix is exact, because the loss
is quadratic: H = mean over training of (kappa + |u|^2) phi phi^T. So

    influence = (kappa + fit) * weight,    fit = u . r~,    weight = phi . v,
    v = (H + lambda I)^-1 mean over validation of (kappa + fit) phi

With lambda -> infinity v is the mean validation gradient (Dot). With a small lambda the weight becomes the ratio of the densities of
validation and training prompts (as in uLSIF, Kanamori 2009): about 1 where both are alike, and so the fit alone ranks.
Chosen by experiment: docs/adr/0004-proxy-by-experiment.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

KAPPA = 0.3
RIDGE = 1.0
FOLDS = 10

Array = np.ndarray


@dataclass(frozen=True)
class Part:
    """The frozen side of some records: phi (n, 1+d), fit (n,) in -1..1, size (n,) = |b|^2, target (n,) = |t|^2; float64.

    towards (n, d) = u and spread (n,) = |r - centre|: what a response of that record is held against.
    """

    phi: Array
    fit: Array
    size: Array
    target: Array
    towards: Array
    spread: Array
    centre: Array  # (d,)
    kappa: float

    @property
    def pull(self) -> Array:
        """(n,) kappa + fit: minus the gradient of a record is pull * phi."""
        return self.kappa + self.fit

    def gradients(self) -> Array:
        """(n, 1+d) gradients of the records' losses at the start, a = 0."""
        return -self.pull[:, None] * self.phi

    @property
    def sizes(self) -> Array:
        """(n,) lengths of the records' gradients."""
        return np.abs(self.pull) * np.linalg.norm(self.phi, axis=1)

    def losses(self, a: Array) -> Array:
        """(n,) losses of the records under parameters a (1+d,)."""
        gate = self.phi @ a
        return 0.5 * (self.target - 2 * gate * self.pull + gate**2 * self.size)  # t . b is kappa + fit

    def take(self, rows: Array) -> "Part":
        each = (x[rows] for x in (self.phi, self.fit, self.size, self.target, self.towards, self.spread))
        return Part(*each, self.centre, self.kappa)


def unit(rows: Array) -> Array:
    """Rows of length 1; zero rows stay zero."""
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 1e-9)


def folds_of(names: Sequence[str], seed: int = 0, most: int = FOLDS) -> Array:
    """(N,) int: the fold of each record, even in size; records of one name (copies) share theirs."""
    import hashlib

    marks = {n: hashlib.blake2b(f"{seed}:{n}".encode(), digest_size=8).digest() for n in set(names)}
    place = {n: k for k, n in enumerate(sorted(marks, key=lambda n: marks[n]))}
    count = max(2, min(most, len(place)))
    return np.array([place[n] % count for n in names], np.int64)


def parts(
    training: tuple[Array, Array, Array],
    validation: tuple[Array, Array, Array],
    learn: Array,
    folds: Array,
    *,
    kappa: float = KAPPA,
    ridge: float = RIDGE,
) -> tuple[Part, Part]:
    """The training and the validation records as the head sees them, in float64.

    Each side is (e, x, r), arrays (n, d) of unit rows or zero rows. `learn` (N,) bool: the training records that the map may learn
    from (those with both texts, and not held out); `folds` (N,): a record's map learns from the other folds alone.
    """
    (e, x, r), (ev, xv, rv) = training, validation
    count, wide = len(x), x.shape[1]
    middle = [a[learn].mean(0, dtype=np.float64) if learn.any() else np.zeros(wide) for a in (x, r)]
    grams, own = {}, [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    for k, rows in enumerate(own):  # one fold in float64 at a time
        left = rows[learn[rows]]
        xc, rc = _centred(x[left], middle[0]), _centred(r[left], middle[1])
        grams[k] = xc.T @ xc, xc.T @ rc
    gram, cross = (sum(g[i] for g in grams.values()) + (ridge * np.eye(wide) if i == 0 else 0) for i in (0, 1))
    towards, spread, fit = np.zeros(x.shape, np.float64), np.zeros(count), np.zeros(count)
    for k, rows in enumerate(own):
        less = np.linalg.solve(gram - grams[k][0], cross - grams[k][1])
        towards[rows], spread[rows], fit[rows] = _fit(x[rows], r[rows], middle, less)
    made = _fit(xv, rv, middle, np.linalg.solve(gram, cross))
    return _part(e, towards, spread, fit, middle[1], kappa), _part(ev, *made, middle[1], kappa)


def _part(e: Array, towards: Array, spread: Array, fit: Array, centre: Array, kappa: float) -> Part:
    phi = np.hstack([np.ones((len(e), 1)), np.asarray(e, np.float64)])
    size = np.einsum("nd,nd->n", towards, towards)
    return Part(phi, fit, kappa + size, kappa + (spread > 1e-9), towards, spread, centre, kappa)


def _centred(rows: Array, middle: Array) -> Array:
    """Minus the mean, in float64; zero rows (no text) stay zero."""
    return np.where(rows.any(1)[:, None], rows - middle, 0.0)


def _fit(x: Array, r: Array, middle: list[Array], ridge_map: Array) -> tuple[Array, Array, Array]:
    """(u, |r - centre|, u . r~) of some records."""
    xc, rc = _centred(x, middle[0]), _centred(r, middle[1])
    u = unit(unit(xc @ ridge_map) + unit(xc))
    return u, np.linalg.norm(rc, axis=1), np.einsum("nd,nd->n", u, unit(rc))


def curvature(training: Part, used: Array) -> tuple[Array, float]:
    """(H (1+d, 1+d), scale): the Gauss-Newton matrix over the `used` rows, and the mean |b|^2 |e|^2 that damping is a share of."""
    phi, size = training.phi[used], training.size[used]
    matrix = (phi * size[:, None]).T @ phi / max(1, len(phi))
    scale = float(np.mean(size * np.einsum("nd,nd->n", phi[:, 1:], phi[:, 1:]))) if len(phi) else 1.0
    return matrix, max(scale, 1e-12)


def directions(
    validation: Part, queries: Sequence[Array], matrix: Array | None = None, damping: float = 0.0, lengths: bool = True
) -> Array:
    """(1+d, Q): minus the mean gradient of each query's rows, times (H + damping I)^-1 where a matrix is given.

    Without `lengths` each gradient is divided by its own first: the direction of the mean of cosines.
    """
    each = -validation.gradients()
    if not lengths:
        each = each / np.maximum(validation.sizes, 1e-30)[:, None]
    mean = np.stack([each[rows].mean(0) for rows in queries], axis=1)
    return mean if matrix is None else np.linalg.solve(matrix + damping * np.eye(len(matrix)), mean)


def scores(training: Part, vectors: Array) -> tuple[Array, Array]:
    """(influence (N, Q), weight (N, Q)): <gradient, v> with both signs turned, so positive = lowers the validation loss."""
    weight = training.phi @ vectors
    return training.pull[:, None] * weight, weight
