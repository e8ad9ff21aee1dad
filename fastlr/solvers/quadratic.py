"""The quadratic model that a proximal Newton step minimises, in two forms: by its Hessian, or by its scores.

On a active pairs of score column and feature, with the Hessian H of the loss at W and a diagonal D from the
penalty and the damping,

    minimise over w   q'(w - w0) + 1/2 (w - w0)'(H + D)(w - w0) + sum_c cut_c |w_c|.

Shapes: n samples, d features, K score columns. Scores and residuals are K x n, padded by zeros.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fastlr._kernels import descent, scores
from fastlr.data import Pairs

# Problems of fewer samples times pairs than this are modelled in float64: that is cheap, and they may be
# the ill-conditioned ones.
_SMALL = 1e6
_CALL_VALUES = 1e9  # of columns, visited in one call of coordinate descent: some seconds


@dataclass(frozen=True)
class Active:
    """The active pairs, and of each: its L1 threshold, the curvature of the L2 part, and a bound on that of
    the loss; arrays of shape (a,)."""

    pairs: Pairs
    cut: np.ndarray
    curvature: np.ndarray
    bound: np.ndarray

    @classmethod
    def of(cls, problem, mask):
        """The pairs where `mask` (K, d) is true, and the intercepts."""
        pairs, penalty = Pairs.of(mask, problem.fit_intercept), problem.penalty
        square = problem.moments.variance + (problem.moments.mean - problem.shift) ** 2
        bound = problem.loss.curvature * problem.loss.s.sum()

        def values(of_features, of_intercepts):
            # Feature -1, the intercept, is the last of the line.
            return np.append(of_features, of_intercepts)[pairs.feature]

        return cls(
            pairs,
            values(penalty.thresholds, penalty.intercept_threshold),
            values(penalty.curvatures, penalty.intercept_curvature),
            bound * values(square, 1.0),
        )

    def penalty(self, w):
        return np.sum(self.cut * np.abs(w)) + np.sum(self.curvature * w * w) / 2


class Scores:
    """The loss as a function of the scores Z of all samples."""

    def __init__(self, problem, W, b, dtype):
        loss, self.n = problem.loss, problem.data.n
        self.problem, self.dtype, self.kind = problem, dtype, loss.kind
        room = -(-self.n // scores.PADDING) * scores.PADDING
        self.y, self.s = np.zeros(room, dtype=np.int32), np.zeros(room)
        self.y[: self.n], self.s[: self.n] = loss.y, loss.s
        self.Z = self.padded(self.of(W, b))

    def of(self, W, b):
        """Scores of a model, (K, n). Computed in `dtype` and added up in float64: only differences along
        steps count, and these are exact enough."""
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
        return scores.residuals(R, self.y, self.s, self.n, self.kind), R

    def curvatures(self, temper, dtype):
        """(s, P) as `Data.hessian` takes them, at `temper` times the scores."""
        P = temper * self.Z
        scores.curvatures(P, self.y, self.s, self.n, self.kind)
        if len(P) > 1:
            return self.s.astype(dtype), P.astype(dtype)
        return P[0].astype(dtype), np.empty((0, 0), dtype)


class Gram:
    """H itself: n a^2 / 2 multiply-adds, then a^2 a sweep; for dense data."""

    rounds = 1  # each takes a Hessian; a look at all features is cheap beside that
    sweeps, polishes = 100, 10

    def __init__(self, problem, active, dtype):
        self.problem, self.active = problem, active
        small = problem.data.n * len(active.cut) < _SMALL
        self.dtype = np.dtype(np.float64 if small else dtype)

    def minimiser(self, line, w0, q, temper, damping, rest):
        """The minimiser of the model of the loss at `temper` times the scores of `line`."""
        active, w, q = self.active, w0.copy(), q.copy()
        H = self.problem.data.hessian(*line.curvatures(temper, self.dtype), active.pairs, self.problem.shift)
        diagonal = np.arange(len(w))
        H[diagonal, diagonal] += (active.curvature + damping * active.bound).astype(self.dtype)
        # A polish costs as much as about a / 30 sweeps.
        sweeps = max(self.sweeps, len(w))
        for _ in range(self.polishes):
            at_rest = descent.gram(H, q, w, active.cut, rest, sweeps)
            if at_rest or not _polish(H, q, w, active.cut):
                break
        return w

    def scores(self, line, dW, db):
        """Change of the scores along a step, (K, n)."""
        return line.of(dW, db)


def _polish(H, q, w, cut):
    """Where coordinate descent crawls: goes towards the minimum over the weights that are not zero, for the
    signs that they have, as far as the model falls that way, signs changing (Lee, Battle, Raina and Ng 2006);
    three times at most. w and the gradient q change in place. Whether there was a step."""
    for step in range(3):
        free = np.flatnonzero((w != 0) | (cut == 0))
        if len(free) == 0:  # SciPy before 1.14 refuses systems of no equations
            return step > 0
        rows = H[free].astype(np.float64)
        slopes = q[free] + cut[free] * np.sign(w[free])
        try:
            # Not `solve`, which warns where H is nearly singular.
            factor = cho_factor(rows[:, free], check_finite=False)
        except LinAlgError:
            return step > 0
        # The matrix is singular, too, where of a pivot nothing but rounding is left: the model could rise.
        pivots = factor[0].diagonal() ** 2
        if np.any(pivots <= len(free) * np.finfo(float).eps * rows[:, free].diagonal()):
            return step > 0
        move = -cho_solve(factor, slopes, check_finite=False)
        old, fall = w[free], -slopes @ move
        if not fall > 1e-14 * np.abs(slopes) @ np.abs(old):  # at the minimum, but for rounding
            return step > 0
        t, zero = _lowest(old, move, cut[free], fall)
        new = np.where(zero, 0.0, old + t * move)
        w[free] = new
        q += (new - old) @ rows[:, : len(q)]
        if t == 1.0:
            break
    return True


def _lowest(w, move, cut, fall):
    """Where the model is lowest along w + t move; its slope is fall (t - 1) until a weight changes sign, and
    higher by 2 cut |move| from there on. Also which weights are zero there."""
    at = np.divide(-w, move, out=np.full(len(w), np.inf), where=(cut > 0) & (w * move < 0))
    order = np.argsort(at)
    kinks = np.concatenate([[0.0], at[order], [np.inf]])
    risen = np.append(0.0, np.cumsum(2 * cut[order] * np.abs(move[order])))
    bottoms = 1 - risen / fall  # where the slope is zero, were there no further kinks
    last = np.flatnonzero(kinks[:-1] <= bottoms)[-1]  # kink that the model still falls beyond
    t = min(bottoms[last], kinks[last + 1])
    return t, at == t


class Columns:
    """H by the scores: a sweep takes some operations for each value of the active columns; for sparse data,
    and for more pairs than H has room for."""

    rounds = 10
    sweeps = 60
    least_rest = 1e-2  # a further round is worth more than more exact ones

    def __init__(self, problem, active, dtype):
        self.active, pairs = active, active.pairs
        self.features, at = np.unique(pairs.feature[pairs.feature >= 0], return_inverse=True)
        self.at = np.full(len(pairs.feature), -1, dtype=np.int32)
        self.at[pairs.feature >= 0] = at
        self.X = problem.data.take_columns(self.features, problem.shift)
        self.indptr, self.indices = self.X.indptr.astype(np.int64), self.X.indices.astype(np.int32)

    def minimiser(self, line, w0, q, temper, damping, rest):
        """The minimiser of the model of the loss at `temper` times the scores of `line`."""
        active, w = self.active, w0.copy()
        s, P = line.curvatures(temper, np.float32)
        root = np.sqrt(s[: line.n])
        with np.errstate(over="ignore"):  # no step comes of values beyond float32: the fit has stalled
            values = self.X.data.astype(np.float32) * root[self.indices]
        model = descent.ColumnModel(
            self.indptr, self.indices, values, root, P, self.at,
            active.pairs.first, q, active.curvature + damping * active.bound, active.cut, w0,
        )  # fmt: skip
        # Long sweeps are few in a call, lest a time limit wait for all of them.
        values = len(w) * self.X.nnz / max(self.X.shape[1], 1)
        sweeps = int(np.clip(_CALL_VALUES / (values + 1), 3, self.sweeps))
        model.descend(w, max(rest, self.least_rest), sweeps)
        return w

    def scores(self, line, dW, db):
        """Change of the scores along a step, (K, n)."""
        return (self.X @ dW[:, self.features].T + db).T

    def gradient(self, line, R):
        """Of the loss, for the active pairs, from the residuals."""
        pairs, R = self.active.pairs, R[:, : line.n]
        G, weights = self.X.T @ R.T, self.at >= 0
        gradient = R.sum(axis=1)[pairs.column]  # of the intercepts
        gradient[weights] = G[self.at[weights], pairs.column[weights]]
        return gradient
