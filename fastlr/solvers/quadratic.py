"""The quadratic model that a proximal Newton step minimises, in two forms: by its Hessian, or by its scores.

On a active pairs of score column and feature, with the Hessian H of the loss at W and D what the penalty and
the damping add to its diagonal,

    minimise over w   q'(w - w0) + 1/2 (w - w0)'(H + D)(w - w0) + sum_c cut_c |w_c|.

Shapes: n samples, d features, K score columns. Scores and residuals are K x n, padded by zeros.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, solve

from fastlr._kernels import descent, scores
from fastlr.data import Pairs


@dataclass(frozen=True)
class Active:
    """The active pairs, and of each: its L1 threshold, the curvature of the L2 part, and a bound on that of
    the loss."""

    pairs: Pairs
    cut: np.ndarray
    curvature: np.ndarray
    bound: np.ndarray

    @classmethod
    def of(cls, problem, mask):
        """The pairs where `mask` (K, d) is true, and the intercepts."""
        pairs, penalty = Pairs.of(mask, problem.fit_intercept), problem.penalty
        feature, is_weight = np.maximum(pairs.feature, 0), pairs.feature >= 0
        square = problem.moments.variance + (problem.moments.mean - problem.shift) ** 2
        bound = problem.loss.curvature * problem.loss.s.sum() * np.where(is_weight, square[feature], 1.0)
        cut, curvature = penalty.thresholds[feature], penalty.curvatures[feature]
        return cls(pairs, is_weight * cut, is_weight * curvature, bound)

    def penalty(self, w):
        return np.sum(self.cut * np.abs(w)) + np.sum(self.curvature * w * w) / 2


class Scores:
    """The loss as a function of the scores Z of all samples."""

    def __init__(self, problem, W, b, dtype):
        loss, self.n = problem.loss, problem.data.n
        self.problem, self.dtype = problem, dtype
        room = -(-self.n // scores.PADDING) * scores.PADDING
        self.y, self.s = np.zeros(room, dtype=np.int32), np.zeros(room)
        self.y[: self.n], self.s[: self.n] = loss.y, loss.s
        self.Z = self.padded(self.of(W, b))

    def of(self, W, b):
        """Scores of a model, (K, n); arithmetic in `dtype`. Their differences along a step count, and these
        are exact enough."""
        data = self.problem.data
        V = data.weights(len(b), self.dtype) + W.astype(self.dtype)
        return data.scores(V, self.problem.bias(W, b).astype(self.dtype)).T

    def padded(self, Z):
        out = np.zeros((len(Z), len(self.y)))
        out[:, : self.n] = Z
        return out

    def at(self, Z):
        """Loss and residuals."""
        R = Z.copy()
        return scores.residuals(R, self.y, self.s, self.n), R

    def curvatures(self, temper, dtype):
        """(s, P) as `Data.hessian` takes them, at `temper` times the scores."""
        P = temper * self.Z
        scores.residuals(P, self.y, (self.s > 0).astype(np.float64), self.n)
        if len(P) > 1:
            P[self.y, np.arange(len(self.y))] += 1
            return self.s.astype(dtype), P.astype(dtype)
        p = P[0] + self.y
        return (self.s * p * (1 - p)).astype(dtype), P[:0].astype(dtype)


class Gram:
    """H itself: n a^2 / 2 multiply-adds, then a^2 a sweep; for dense data."""

    rounds = 1  # each takes a Hessian; a look at all features is cheap beside that
    rest, sweeps, polishes = 1e-5, 1000, 10

    def __init__(self, problem, active):
        self.problem, self.active = problem, active

    def minimiser(self, line, w, q, temper, damping, dtype):
        """The minimiser of the model of the loss at the scores of `line`."""
        a, w = len(w), w.copy()
        H = self.problem.data.hessian(*line.curvatures(temper, dtype), self.active.pairs, self.problem.shift)
        H[np.arange(a), np.arange(a)] += (self.active.curvature + damping * self.active.bound).astype(dtype)
        q = q.copy()
        for _ in range(self.polishes):
            sweeps, at_rest = descent.gram(H, q, w, self.active.cut, self.rest, self.sweeps)
            log('gram',sweeps,at_rest,a,np.count_nonzero(w),temper,damping)
            if at_rest or not _polish(H, q, w, self.active.cut):
                break
        return w

    def scores(self, line, dW, db):
        return line.of(dW, db)


def _polish(H, q, w, cut):
    """Where coordinate descent crawls: goes to the minimum over the weights that are not zero, or to where the
    first of them becomes zero, and so on; w and the gradient q change in place. Each step lowers the model, as
    signs stay as they are along it (Lee, Battle, Raina and Ng 2006). Whether there was a step."""
    for step in range(3):
        free = np.flatnonzero((w != 0) | (cut == 0))
        rows = H[free].astype(np.float64)
        try:
            move = -solve(rows[:, free], q[free] + cut[free] * np.sign(w[free]), assume_a="pos")
        except LinAlgError:
            return step > 0
        old = w[free]
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where((cut[free] > 0) & (old * move < 0), -old / move, np.inf)
        t = min(1.0, reach.min(initial=np.inf))
        w[free] = np.where(reach <= t, 0.0, old + t * move)
        q += (w[free] - old) @ rows[:, : len(q)]
        if t == 1.0:
            return True
    return True


class Columns:
    """H by the scores: a sweep takes some operations for each value of the active columns; for sparse data,
    and for more pairs than H has room for."""

    rounds = 10
    rest, sweeps = 1e-2, 60

    def __init__(self, problem, active):
        self.problem, self.active = problem, active
        pairs = active.pairs
        self.features, at = np.unique(pairs.feature[pairs.feature >= 0], return_inverse=True)
        self.at = np.full(len(pairs.feature), -1, dtype=np.int32)
        self.at[pairs.feature >= 0] = at
        self.X = problem.data.take_columns(self.features, problem.shift)
        self.indptr, self.indices = self.X.indptr.astype(np.int64), self.X.indices.astype(np.int32)

    def minimiser(self, line, w, q, temper, damping, dtype):
        """The minimiser of the model of the loss at the scores of `line`."""
        active, w = self.active, w.copy()
        s, P = line.curvatures(temper, dtype)
        root = np.sqrt(s[: line.n])
        values = self.X.data.astype(dtype) * root[self.indices]
        out=descent.columns(
            self.indptr, self.indices, values, root, P, self.at, active.pairs.first, q,
            active.curvature + damping * active.bound, w, active.cut, self.rest, self.sweeps,
        )  # fmt: skip
        log('cols',out,len(w),np.count_nonzero(w),temper,damping)
        return w

    def scores(self, line, dW, db):
        return (self.X @ dW[:, self.features].T + db).T

    def gradient(self, line, R):
        """Of the loss, for the active pairs, from the residuals."""
        pairs, R = self.active.pairs, R[:, : line.n]
        G = self.X.T @ R.T
        return np.where(pairs.feature < 0, R.sum(axis=1)[pairs.column], G[self.at, pairs.column])
VERB=False
def log(*a):
    import sys
    if VERB: print("   ",*a,file=sys.stderr)
