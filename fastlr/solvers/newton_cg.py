"""Truncated Newton for smooth problems: min_W,b  sum_i s_i loss_i + l2/2 |W|^2.

1. on dense rows, from a model without features: a few epochs of SAGA, which come nearer to the optimum than
   Newton's steps of the same price; where a pass takes no time to speak of, iterations of L-BFGS, which are
   all it takes if columns are hardly correlated;
2. gradient g on all rows; Hessian H on a sample of them where a product on all is dear (Byrd, Chin, Neveitt
   and Nocedal 2011);
3. H p = -g by preconditioned conjugate gradients, until the residual is a part of |g| (Dembo, Eisenstat and
   Steihaug 1982);
4. v <- v + t p, t = 1 or the first shorter length that decreases F enough;
5. a sample of twice the size when a step did not do what it promised.

Shapes: n samples, m rows of the sample, d features, K score columns; the variable v is W and b in one line of
K d + K numbers.
"""

import numpy as np

from fastlr.solvers.lbfgs import lbfgs
from fastlr.solvers.saga import saga
from fastlr.solvers.smooth import Objective, armijo_step

# Raced on MNIST, L2: 20 passes to 1e-5 of the null objective where C = 0.01, 130 where C = 1.
_EPOCHS = (2, 5, 10)  # when SAGA's iterate is yielded; 6 or 14 in all take up to a half more where C = 1
# Raced on made-up data, digits and 5,000 rows of MNIST: at worst these are in vain, and cost a third.
_QUICK = 1e6, 1e8  # multiply-adds of a pass, nearly; for fewer, nothing takes long
_ITERATIONS = 8, 12, 17, 24, 34, 48
_SAMPLE = 0.1  # of the rows; all of them take four times the passes without step 1, and as many with it
_ROWS_PER_FEATURE = 2  # at least, or the sample's Hessian misses directions that the data has
_KEPT_PROMISE = 0.5
_RESIDUAL = 0.25  # of |g|; less as |g| falls, which makes the convergence superlinear
_MAX_INNER = 50


def stratified(s, m, rng):
    """m rows, in order, drawn in proportion to s: one from each of m equal parts of the total."""
    total = np.cumsum(s)
    places = (np.arange(m) + rng.random(m)) * (total[-1] / m)
    # Rounding may carry the last place beyond the last row that has a weight.
    return np.minimum(np.searchsorted(total, places, side="right"), np.flatnonzero(s)[-1])


class Hessian:
    """Products with the Hessian of F at v, or with its estimate from a share of the rows.

    Parameters
    ----------
    objective : Objective
    v : array of shape (K d + K,)
    share : float in (0, 1]
    rng : Generator
    """

    def __init__(self, objective, v, share, rng):
        self.objective = objective
        problem = objective.problem
        self.s, self.order = problem.loss.s, None
        if share < 1:
            # Rows drawn in proportion to their weights all weigh the same.
            m = max(1, int(share * problem.data.n))
            self.order = stratified(self.s, m, rng)
            self.s = np.full(problem.data.n, self.s.sum() / m)
        W, b = objective.work(v)
        self.P = problem.data.probabilities(W, problem.bias(W, b), self.order)

    def __call__(self, p):
        """H p, in the type of the arithmetic."""
        objective, problem = self.objective, self.objective.problem
        out = np.zeros(len(p))
        (V, b), (G, mass) = objective.work(p), objective.split(out)
        problem.data.add_curvature_product(V, problem.bias(V, b), self.s, self.P, G, mass, self.order)
        if problem.shift.any():
            G -= np.multiply.outer(mass, problem.shift)
        if problem.penalty.l2 > 0:
            G += problem.penalty.smooth_gradient(V)
        if not problem.fit_intercept:
            mass[:] = 0
        return out.astype(objective.dtype, copy=False)

    def inverse_diagonal(self):
        """1 / the model of the diagonal, in the type of the arithmetic."""
        s = (self.s if self.order is None else self.s[self.order]).astype(self.P.dtype)
        mass = (self.P * (1 - self.P)) @ s
        return (1 / self.objective.diagonal(mass.astype(np.float64))).astype(self.objective.dtype)


def truncated_cg(hessian, g, inverse, residual):
    """p with |H p + g| <= residual |g| in the metric `inverse`, or what so many products give. Yields None
    after each.

    Returns
    -------
    p, slope, promise : array, <g, p>, and the decrease -<g, p> - <p, H p>/2 that p promises
    """
    p, r = np.zeros_like(g), -g
    z = inverse * r
    q, size = z.copy(), float(r @ z)
    enough = residual**2 * size
    for _ in range(_MAX_INNER):
        Hq = hessian(q)
        yield None
        bend = float(q @ Hq)
        # H is flat along q where rounding has made all probabilities 0 or 1.
        if not bend > np.finfo(g.dtype).tiny:
            break
        alpha = size / bend
        p += alpha * q
        Hq *= alpha
        r -= Hq
        np.multiply(inverse, r, out=z)
        last, size = size, float(r @ z)
        if size <= enough:
            break
        q *= size / last
        q += z
    if not p.any():
        p = z
    slope = float(g @ p)
    # r = -g - H p, so that <p, H p> = -slope - <p, r>.
    return p, slope, -0.5 * (slope - float(p @ r))


def _first(steps, shown):
    """The last of so many iterates of another method, None where it finds none; yields those that are worth a
    certificate, and None after the others."""
    next(steps)
    told, count, latest = None, 0, None
    while count < shown[-1]:
        try:
            iterate = steps.send(told)
        except StopIteration:
            break
        if iterate is not None:
            count, latest = count + 1, iterate
        told = yield iterate if count in shown else None
    return latest


def newton_cg(problem, W, b, rng, dtype):
    """Yields (W, b) after some epochs and each iteration; ends where no step descends, even in float64."""
    objective = Objective(problem, dtype)
    v, norm_0 = objective.join(W, b), None
    yield None
    value = np.inf
    if not problem.data.is_sparse and not W.any():
        is_quick = _QUICK[0] < problem.data.n * len(W) * problem.data.d <= _QUICK[1]
        first, shown = (lbfgs, _ITERATIONS) if is_quick else (saga, _EPOCHS)
        found = yield from _first(first(problem, W, b, rng, objective.dtype), shown)
        if found is not None:
            near = objective.join(*found)
            value, g = objective(near)
    if value < problem.null_objective:
        v = near
    else:
        value, g = objective(v)
    # Products with sparse rows cost no more than operations on v.
    data = problem.data
    share = 1.0 if data.is_sparse else min(1.0, max(_SAMPLE, _ROWS_PER_FEATURE * data.d / data.n))
    while True:
        hessian = Hessian(objective, v, share, rng)
        inverse, low = hessian.inverse_diagonal(), g.astype(objective.dtype, copy=False)
        norm = np.sqrt(float(low @ (inverse * low)))
        norm_0 = max(norm, np.finfo(float).tiny) if norm_0 is None else norm_0
        p, slope, promise = yield from truncated_cg(
            hessian, low, inverse, min(_RESIDUAL, np.sqrt(norm / norm_0))
        )
        found = armijo_step(objective, v, value, slope, p) if slope < 0 else None
        if found is not None:
            kept = value - found[1] >= _KEPT_PROMISE * promise
            v, value, g = found
        if share < 1 and (found is None or not kept):
            share = min(1.0, 2 * share)
        elif objective.dtype != np.float64 and (found is None or promise <= objective.noise * abs(value)):
            # The arithmetic of float32 is exhausted: go on in float64.
            objective.dtype = np.dtype(np.float64)
            value, g = objective(v)
        elif found is None:
            return
        yield objective.split(v)
