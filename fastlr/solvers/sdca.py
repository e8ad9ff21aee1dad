"""Stochastic dual coordinate ascent, L2 penalty: min_W,b  sum_i s_i loss_i + l2/2 sum_kj u_j^2 W_kj^2.

1. give every row probabilities q_i, those of the start moved towards its label y_i as far as pays, and keep
   W = sum_i s_i (y_i - q_i) (h x_i)', h_j = 1 / (l2 u_j^2): where the dual is largest, q_i = softmax(z_i);
2. visit the rows in random order, each time setting q_i to the maximum of the dual over it and moving W by
   the change (Shalev-Shwartz and Zhang 2013; Yu, Huang and Lin 2011 for softmax), those that moved most more
   often than others;
3. a free intercept asks for sum_i s_i (y_i - q_i) = 0. During an epoch it is held near a centre by a penalty
   1/(2 h_b) |b - centre|^2, so that b moves along with W; then the centre moves to b, which is the method of
   multipliers and ends at the intercept without any penalty (Rockafellar 1976).

The number of epochs grows with a_i = s_i sum_j h_j x_ij^2, the curvature of the dual along a row.
Shapes: n samples, d features, K score columns, m classes.
"""

import numpy as np

from fastlr._kernels import sdca as kernel
from fastlr.data import CALL_WORK

# The metric h_b of the intercept: a share of a mean row's, for the rows then move little more slowly, and
# enough for a step of the multipliers to leave a tenth or less (10 K / sum_i s_i) where rows are short.
_SHARE, _GRIP = 0.1, 10.0
# Between two passes over all rows, one in 20 is visited ten times: text at C = 100 takes a fourth of the
# visits then, and what converges in a few epochs no more than before (raced on 20 Newsgroups).
_PART, _REVISITS = 20, 10
_ROW_WORK = 100  # multiply-adds for each class of a row that Newton's steps stand for
_SMALLEST = np.exp(kernel.LOWEST)
# Certificates in a row without a smaller gap, after which the arithmetic is thought to be exhausted.
_PATIENCE = {np.dtype(np.float32): 3, np.dtype(np.float64): 50}


def _log_probabilities(problem, W, b):
    """Of all m classes at (W, b), shape (n, m)."""
    Z = problem.data.scores(W, problem.bias(W, b))
    if problem.loss.n_classes == 2:
        Z = np.hstack([np.zeros_like(Z), Z])
    Z -= Z.max(axis=1, keepdims=True)
    Z -= np.log(np.exp(Z).sum(axis=1, keepdims=True))
    return np.maximum(Z, kernel.LOWEST, out=Z)


class _Dual:
    """The probabilities of all rows as logarithms L (n, m), and the weights that they stand for.

    W and b are changed in place; W is of the layout of `Data.weights`.
    """

    def __init__(self, problem, L, W, b):
        self.problem, self.L, self.W, self.b = problem, L, W, b
        moments, shift, h = problem.moments, problem.shift, 1 / problem.penalty.curvatures
        self.shift, self.h = shift.astype(W.dtype), h.astype(W.dtype)
        self.h_b = 0.0
        if problem.fit_intercept:
            mean_square = np.sum(h * (moments.variance + (moments.mean - shift) ** 2))
            self.h_b = _SHARE * mean_square + _GRIP * len(b) / problem.loss.s.sum()
        self.used = np.flatnonzero(problem.loss.s)
        self.excess = np.zeros(len(b))
        self.moved = np.zeros(problem.data.n, dtype=W.dtype)

    def _calls(self, count):
        """Slices of the rows to visit, each for a call of about 0.1 s at most."""
        work = self.problem.data.row_work(len(self.b)) + _ROW_WORK * self.L.shape[1]
        size = max(1, int(CALL_WORK / work))
        return (slice(first, first + size) for first in range(0, count, size))

    def image(self):
        """W and the excess of masses as the probabilities have them; yields None between calls."""
        problem, line = self.problem, self.problem.data.flat(self.W)
        line[:] = 0
        A = -np.exp(self.L)
        A[np.arange(len(A)), problem.loss.y] += 1
        A = np.ascontiguousarray(A[:, -len(self.b) :]) * problem.loss.s[:, None].astype(A.dtype)
        self.excess[:] = A.sum(axis=0, dtype=np.float64)
        for part in self._calls(len(self.used)):
            kernel.add_rows(problem.data.rows, self.used[part], A, self.shift, self.h, line)
            yield None

    def start(self):
        """Moves all q_i towards the labels; for q_i = (1 - c) y_i + c p_i, W is c times that of p_i."""
        yield from self.image()
        P, s = np.exp(self.L, dtype=np.float64), self.problem.loss.s
        entropy, size = -np.sum(s * np.sum(P * self.L, axis=1)), self.problem.penalty.value(self.W)
        # The entropy is concave, so that c times it is a lower bound; c^2 size is what W costs the dual.
        c = entropy / (2 * size) if entropy < 2 * size else 1.0
        P *= c
        P[np.arange(len(P)), self.problem.loss.y] += 1 - c
        np.log(np.maximum(P, _SMALLEST), out=self.L, casting="same_kind")
        self.W *= self.W.dtype.type(c)
        self.excess *= c

    def _visit(self, rows, rng):
        """Moves these rows, in random order; yields None between calls."""
        problem, order, line = self.problem, rng.permutation(rows), self.problem.data.flat(self.W)
        for part in self._calls(len(order)):
            kernel.ascend(
                problem.data.rows, problem.loss.s, order[part], self.shift, self.h, self.h_b,
                self.L, line, self.b, self.excess, self.moved,
            )  # fmt: skip
            yield None

    def epoch(self, rng):
        """Visits the rows that moved most several times, then all; yields None between calls."""
        few = len(self.used) // _PART
        for _ in range(_REVISITS if few and self.moved.any() else 0):
            yield from self._visit(self.used[np.argpartition(-self.moved[self.used], few)[:few]], rng)
        yield from self._visit(self.used, rng)
        self.b += (self.h_b * self.excess).astype(self.b.dtype)

    def exact(self):
        """The same in float64."""
        W = self.problem.data.weights(len(self.b), np.float64)
        return _Dual(self.problem, self.L.astype(np.float64), W, self.b.astype(np.float64))


def sdca(problem, W, b, rng, dtype):
    """Yields (W, b) after each epoch; goes on in float64 where float32 brings no smaller gap, and ends where
    float64 does not."""
    W, b = problem.data.weights(len(b), dtype) + W.astype(dtype), b.astype(dtype)
    yield W, b
    dual = _Dual(problem, _log_probabilities(problem, W, b), W, b)
    yield from dual.start()
    smallest, count = np.inf, 0
    while True:
        yield from dual.epoch(rng)
        certificate = yield dual.W, dual.b
        if certificate is None:
            continue
        count = 0 if certificate.gap < smallest else count + 1
        smallest = min(certificate.gap, smallest)
        if count == _PATIENCE[dual.W.dtype]:
            if dual.W.dtype == np.float64:
                return
            dual, count = dual.exact(), 0
            yield from dual.image()
