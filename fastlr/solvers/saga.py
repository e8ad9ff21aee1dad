"""SAGA in blocks: min_W,b  sum_i s_i loss_i + sum_kj l1_j |W_kj| + l2_j/2 W_kj^2.

1. shuffle the rows once and cut them into m blocks of B rows; the blocks are SAGA's samples;
2. give each feature j a metric h_j. Its weighted second moment would let features that are rare but large
   where they occur dictate the step of all, its largest square would slow them down for good: the
   geometric mean of the two undoes any scaling and does neither (raced on standardised MNIST). In sparse
   data of one scale, such as text, the rare features are the many, and all have the same metric (raced on
   20 Newsgroups: both other choices need several times the epochs);
3. before each epoch, measure the curvature L of a few blocks, and of one that has far more weight than
   others, along their gradients, in that metric. The bound 1/2 on the softmax Hessian (Boehning 1992) is ten
   times too large once most rows are fitted;
4. visit the blocks in random order: W <- prox(W - eta/h (m (g_B - stored g_B) + sum of stored g)), with
   eta a fraction of 1/L (Defazio, Bach and Lacoste-Julien 2014 prove 1/(3L) for the largest L).

CSR rows take the same steps, a feature's own steps being delayed until a row holds it.
Shapes: n samples, d features, K score columns.
"""

from dataclasses import dataclass

import numpy as np

from fastlr._kernels import lagged
from fastlr._kernels import saga as dense
from fastlr.crew import Crew
from fastlr.data import CALL_WORK

_BLOCK = 32
_STEP = 0.7  # of 1/L; 2 diverges on standardised MNIST, 1/3 takes twice the epochs
_PROBES = 4
_COMMON_SCALE = 30.0  # text has a spread of 6, columns in different units of thousands


def _metric(problem):
    """h_j, shape (d,), that of the intercept being 1; only ratios matter, as the step is measured."""
    moments, shift, units = problem.moments, problem.shift, problem.penalty.units
    second_moment = moments.variance + (moments.mean - shift) ** 2
    if problem.data.is_sparse and _spread(problem.data.X, units) < _COMMON_SCALE:
        common = np.max(second_moment / units**2)
        if common > 0:
            return common * units**2
    largest = np.maximum(np.abs(moments.high - shift), np.abs(moments.low - shift))
    h = largest * np.sqrt(second_moment)
    h[h == 0] = 1.0
    return h


def _spread(X, units):
    """How far apart the sizes of the entries of a CSR matrix's columns are, in the units of the penalty:
    between nine tenths of the entries, a ratio."""
    count = np.bincount(X.indices, minlength=X.shape[1])
    square = np.bincount(X.indices, weights=np.square(X.data, dtype=np.float64), minlength=X.shape[1])
    square /= units**2
    used = np.flatnonzero(square)
    if not len(used):
        return 1.0
    sizes = square[used] / count[used]
    order = np.argsort(sizes)
    share = np.cumsum(count[used][order]) / count[used].sum()
    low, high = (sizes[order[np.searchsorted(share, part)]] for part in (0.05, 0.95))
    return float(np.sqrt(high / low))


def _curvature(problem, rows, m, W, b, h, L):
    """Curvature q of m times the loss of a few rows, along the step of length 1/L down its gradient.

    f(v - g/L) = f(v) - |g|^2 / L + q/2 |g|^2 / L^2 gives q; norms and steps are in the metric h.
    """
    part = problem.rows(rows)
    f, G, g = (m * value for value in part.loss_gradient(W, b))
    if not problem.fit_intercept:
        g = np.zeros_like(g)
    norm = np.sum(G * G / h) + g @ g
    if norm <= 1e-12 * abs(f) * L:  # at a minimum of these rows there is nothing to measure
        return 0.0
    ahead, _, _ = part.loss_gradient(W - G / (L * h), b - g / L)
    return 2 * L * (L * (m * ahead - f) / norm + 1)


@dataclass(frozen=True)
class Tilt:
    """Terms <G, W> + <G_b, b> + sum_kj curvatures_j / 2 W_kj^2 beside the objective; G is (K, d), G_b (K,),
    curvatures (d,)."""

    G: np.ndarray
    G_b: np.ndarray
    curvatures: np.ndarray

    def value(self, W, b):
        square = np.einsum("kj,kj,j->", W, W, self.curvatures, dtype=np.float64)
        return np.vdot(self.G, W) + self.G_b @ b + square / 2


class _Table:
    """The blocks, their stored residuals, and the sums of their stored gradients."""

    def __init__(self, problem, order, size, dtype, tilt=None):
        K = problem.loss.n_columns
        self.tilt, self.curvatures = tilt, problem.penalty.curvatures
        if tilt is not None:
            self.curvatures = self.curvatures + tilt.curvatures
        self.problem, self.order, self.size = problem, order, size
        self.m = -(-len(order) // size)
        self.shift = problem.shift.astype(dtype)
        self.average, self.average_b = problem.data.weights(K, dtype), np.zeros(K)
        self.stored = np.zeros(K * len(order), dtype=dtype)
        self.G = problem.data.weights(K, dtype)
        self.crew = Crew(problem.data.n_threads)
        # Where weights differ, the block that carries the most; probes that miss it make steps far too long.
        mass = np.add.reduceat(problem.loss.s[order], np.arange(0, len(order), size))
        self.heavy = [mass.argmax()] if mass.max() > 2 * mass.mean() else []

    def visit(self, draws, W, b, eta, h, fit_intercept):
        """One step for each block drawn, cut into short calls, None after each; W and b change in place."""
        n = max(1, int(CALL_WORK / (self.problem.data.row_work(len(b)) * self.size)))
        for first in range(0, len(draws), n):
            self._visit(draws[first : first + n], W, b, eta, h, fit_intercept)
            yield None

    def _visit(self, draws, W, b, eta, h, fit_intercept):
        data, loss, penalty = self.problem.data, self.problem.loss, self.problem.penalty
        step = np.minimum(eta / h, np.finfo(W.dtype).max)  # of a feature that is hardly more than zero
        cut, keep = step * penalty.thresholds, 1 / (1 + step * self.curvatures)
        common = data.rows, loss.y, loss.s, self.order, self.size, draws, eta, fit_intercept
        if data.is_sparse:
            lagged.saga_steps(
                *common, W.T, b, self.average.T, self.average_b, self.stored, step, cut, keep, self.G.T
            )
            return
        factors = (values.astype(W.dtype) for values in (step, cut, keep))
        arguments = (
            *common, W, b, self.average, self.average_b, self.stored, self.shift, *factors, self.G,
        )  # fmt: skip
        self.crew.run(lambda threads: dense.saga_steps(*arguments, threads), len(draws))

    def fill(self, W, b, h):
        """Stores the gradients at (W, b). At W = 0 they follow from the column sums; elsewhere every
        block is visited by a step of size zero."""
        if W.any() or self.tilt is not None:
            yield from self.visit(np.arange(self.m), W.copy(order="K"), b.copy(), 0.0, h, False)
            if self.tilt is not None:
                self.average += self.tilt.G + np.multiply.outer(self.tilt.G_b, self.problem.shift)
                self.average_b += self.tilt.G_b
            return
        problem, loss = self.problem, self.problem.loss
        z = b.astype(np.float64)
        p = 1 / (1 + np.exp(-z)) if len(z) == 1 else np.exp(z - z.max())
        p = p if len(z) == 1 else p / p.sum()
        dense.constant_residuals(loss.y, loss.s, self.order, self.size, p, self.stored)
        self.average_b[:] = p * loss.s.sum() - loss.column_mass
        self.average[:] = np.multiply.outer(p, problem.centred_total) - problem.label_sums
        self.average += np.multiply.outer(self.average_b, problem.shift)


def saga(problem, W, b, rng, dtype, tilt=None):
    """Yields (W, b) after each epoch; with a `tilt`, of the problem with its terms."""
    data = problem.data
    W, b = data.weights(len(b), dtype) + W.astype(dtype), b.astype(dtype)
    start = yield W, b

    table = _Table(problem, rng.permutation(data.n), max(1, min(_BLOCK, data.n // 8)), dtype, tilt)
    h = _metric(problem)
    yield from table.fill(W, b, h)

    def curvature(L):
        """The largest of some blocks, measured by steps of length 1/L."""
        exact = W.astype(np.float64), b.astype(np.float64)
        drawn = [*rng.integers(table.m, size=_PROBES), *table.heavy]
        probes = (table.order[block * table.size :][: table.size] for block in drawn)
        return max(_curvature(problem, rows, table.m, *exact, h, L) for rows in probes)

    # Before the first epoch a tiny step measures the curvature on the spot; then, steps as those taken.
    # Blocks without a gradient have none to measure: then a bound for the mean block, as h >= second moment.
    mass = problem.loss.s.sum()
    L = curvature(1e6 * mass) or problem.loss.curvature * mass * (1 + data.d)
    last, caution = problem.null_objective if start is None else start.objective, 1.0
    while True:
        yield from table.visit(rng.permutation(table.m), W, b, caution * _STEP / L, h, problem.fit_intercept)
        certificate = yield W, b
        if certificate is not None:
            # The probes may have missed the block that matters.
            if not certificate.objective <= last:
                caution /= 2
            last = certificate.objective
        L = max(L / 2, curvature(L) or L)
