"""All rows' gradient, a sample's curvature: min_W,b  sum_i s_i loss_i + penalty.

For more rows than memory holds, or than one cares to read often: a pass over all of them is a sum over
blocks, wherever these lie.

1. draw a sample of the rows, which is kept in memory, and start from its solution, by SAGA; where it is all
   rows, Newton's methods take over;
2. certify: the gradient G of all rows at W, in one pass;
3. minimise, by some epochs of SAGA on the sample,

       F_S(V) + <G - G_S, V> + hold/2 sum_kj q_j (V_kj - W_kj)^2,

   whose gradient at W is that of all rows (Shamir, Srebro and Zhang 2014: the error shrinks by that of the
   sample's Hessian, about sqrt(weights / rows of the sample)); q_j bounds the curvature that feature j has
   in all rows and not in the sample;
4. hold less and go on from there, or where the objective has risen, hold harder and do 3 again;
5. where the gap has not halved for a while, the sample tells too little: of rows in one array, other
   methods do the rest.

Shapes: n samples, m rows of the sample, d features, K score columns.
"""

from types import SimpleNamespace

import numpy as np

from fastlr.certificate import certify
from fastlr.solvers.newton_cd import newton_cd
from fastlr.solvers.newton_cg import newton_cg
from fastlr.solvers.saga import Tilt, saga

_SAMPLE_BYTES = 128e6
# SAGA ends where so many epochs bring little of what all of them have brought.
_LOOK, _LOOKS, _MOST_LOOKS, _LITTLE = 5, 4, 20, 0.01
_PATIENCE = 12  # steps
_FEW_WEIGHTS = 200  # of which the Hessian of all rows is quickly made
_HOLD, _LEAST, _MORE, _MOST = 0.1, 1e-3, 8.0, 1e6
_QUICKLY, _CAREFULLY = 0.1, 0.7  # how much less to hold after a step that was good: until one was not, then
_EVERYWHERE = 0.01  # of all the curvature of a feature, as if the sample lacked it


def _epoch(steps, told):
    """The next iterate of SAGA, which is told an objective; yields None meanwhile."""
    while (iterate := steps.send(told)) is None:
        told = None
        yield None
    return iterate


def _solve(part, W, b, rng, dtype, tilt=None):
    """Weights after some epochs of SAGA, which hears now and then how it goes; yields None in between."""

    def objective(W, b):
        loss, _ = part.data.evaluate(W, part.bias(W, b), part.loss)
        return loss + part.penalty.value(W, b) + (tilt.value(W, b) if tilt else 0.0)

    steps = saga(part, W, b, rng, dtype, tilt)
    seen = [objective(*next(steps))]
    for look in range(1, _MOST_LOOKS + 1):
        told = SimpleNamespace(objective=seen[-1])  # all that SAGA takes of a certificate
        for _ in range(_LOOK):
            W, b = yield from _epoch(steps, told)
            told = None
        seen.append(objective(W, b))
        yield None
        # After a rise SAGA takes shorter steps; what is not a number will not become one.
        brought = seen[-2] - seen[-1]
        if not np.isfinite(brought) or (look >= _LOOKS and 0 <= brought <= _LITTLE * (seen[0] - seen[-1])):
            break
    return W.astype(np.float64), b.astype(np.float64)


def _by(method, problem, W, b, rng, dtype, at):
    """The iterates of another method; `at` is the certificate of the start."""
    steps = method(problem, W, b, rng, dtype)
    next(steps)
    while True:
        try:
            iterate = steps.send(at)
        except StopIteration:
            return
        at = yield iterate


def _second_moment(problem):
    moments = problem.moments
    return moments.variance + (moments.mean - problem.shift) ** 2


def subsampled(problem, W, b, rng, dtype):
    """Yields (W, b) after each step; ends where holding harder does not help, and no other method can."""
    at, has_l1 = (yield None), problem.penalty.l1 > 0
    m = max(1, int(_SAMPLE_BYTES / problem.data.row_bytes))
    part = problem.sample(m, rng)
    yield None
    if m >= problem.data.n:
        yield from _by(newton_cd if has_l1 else newton_cg, part, W, b, rng, dtype, at)
        return
    if at is None:
        W, b = W.astype(np.float64), b.astype(np.float64)
        if not W.any():
            W, b = yield from _solve(part, W, b, rng, dtype)
        at = (yield W, b) or certify(problem, W, b)
    second = _second_moment(problem)
    missing = np.maximum(second - _second_moment(part), 0) + _EVERYWHERE * second
    missing *= problem.loss.curvature * problem.loss.class_mass.sum()
    hold, less, goal, late, others = _HOLD, _QUICKLY, at.gap / 2, 0, problem.data.is_whole
    while hold < _MOST and not (others and late == _PATIENCE):
        _, G, G_b = part.loss_gradient(at.W, at.b)
        held = hold * missing
        tilt = Tilt(at.G - G - held * at.W, at.G_b - G_b, held)
        W, b = yield from _solve(part, at.W, at.b, rng, dtype, tilt)
        new = (yield W, b) or certify(problem, W, b)
        if new.objective < at.objective:
            hold, at = max(less * hold, _LEAST), new
        else:
            hold, less = _MORE * hold, _CAREFULLY
        goal, late = (new.gap / 2, 0) if new.gap <= goal else (goal, late + 1)
    if others:
        few = at.W.size <= _FEW_WEIGHTS
        method = (newton_cd if few else saga) if has_l1 else newton_cg
        yield from _by(method, problem, at.W, at.b, rng, dtype, at)
