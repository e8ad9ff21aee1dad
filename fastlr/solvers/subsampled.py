"""All rows' gradient, a sample's curvature: min_W,b  sum_i s_i loss_i + penalty.

For more rows than memory holds, or than one cares to read often: a pass over all of them is a sum over
blocks, wherever these lie.

1. draw a sample of the rows, which is kept in memory, and start from its solution, by SAGA; where it is all
   rows, Newton's methods do the rest;
2. certify: the gradient G of all rows at W, in one pass;
3. minimise, by some epochs of SAGA on the sample,

       F_S(V) + <G - G_S, V> + hold/2 sum_kj q_j (V_kj - W_kj)^2,

   whose gradient at W is that of all rows (Shamir, Srebro and Zhang 2014: the error shrinks by that of the
   sample's Hessian, about sqrt(weights / rows of the sample)); q_j bounds the curvature that feature j has
   in all rows and not in the sample;
4. hold less and go on from there, or where the objective has risen, hold harder and do 3 again.

Shapes: n samples, m rows of the sample, d features, K score columns.
"""

from typing import NamedTuple

import numpy as np

from fastlr.certificate import certify
from fastlr.solvers.newton_cd import newton_cd
from fastlr.solvers.newton_cg import newton_cg
from fastlr.solvers.saga import Tilt, saga

_SAMPLE_BYTES = 128e6
# SAGA ends where so many epochs bring little of what all of them have brought.
_LOOK, _LOOKS, _MOST_LOOKS, _LITTLE = 5, 4, 20, 0.01
_HOLD, _LEAST, _MORE, _MOST = 0.1, 1e-3, 8.0, 1e6
_QUICKLY, _CAREFULLY = 0.1, 0.7  # how much less to hold after a step that was good: until one was not, then
_EVERYWHERE = 0.01  # of all the curvature of a feature, as if the sample lacked it


class _Seen(NamedTuple):
    """What SAGA takes of a certificate."""

    objective: float


def _solve(part, W, b, rng, dtype, tilt=None):
    """Weights after some epochs of SAGA, which hears now and then how it goes; yields None in between."""

    def objective(W, b):
        loss, _ = part.data.evaluate(W, part.bias(W, b), part.loss)
        return loss + part.penalty.value(W, b) + (tilt.value(W, b) if tilt else 0.0)

    steps = saga(part, W, b, rng, dtype, tilt)
    W, b = next(steps)
    seen = [objective(W, b)]
    while len(seen) <= _MOST_LOOKS:
        told = _Seen(seen[-1])
        for _ in range(_LOOK):
            while (iterate := steps.send(told)) is None:
                told = None
                yield None
            told = None
        seen.append(objective(*iterate))
        yield None
        if len(seen) > _LOOKS and seen[-2] - seen[-1] <= _LITTLE * (seen[0] - seen[-1]):
            break
    return tuple(part.astype(np.float64) for part in iterate)


def _exactly(part, W, b, rng, dtype, at):
    """The iterates of Newton's method on a sample that is all rows; `at` is the certificate of the start."""
    steps = (newton_cd if part.penalty.l1 > 0 else newton_cg)(part, W, b, rng, dtype)
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
    """Yields (W, b) after each step; ends where holding harder does not help."""
    at = yield None
    m = max(1, int(_SAMPLE_BYTES / problem.data.row_bytes))
    part = problem.sample(m, rng)
    yield None
    if m >= problem.data.n:
        yield from _exactly(part, W, b, rng, dtype, at)
        return
    if at is None:
        W, b = W.astype(np.float64), b.astype(np.float64)
        if not W.any():
            W, b = yield from _solve(part, W, b, rng, dtype)
        at = (yield W, b) or certify(problem, W, b)
    second = _second_moment(problem)
    missing = np.maximum(second - _second_moment(part), 0) + _EVERYWHERE * second
    missing *= problem.loss.curvature * problem.loss.class_mass.sum()
    hold, less = _HOLD, _QUICKLY
    while hold < _MOST:
        _, G, G_b = part.loss_gradient(at.W, at.b)
        held = hold * missing
        tilt = Tilt(at.G - G - held * at.W, at.G_b - G_b, held)
        W, b = yield from _solve(part, at.W, at.b, rng, dtype, tilt)
        new = (yield W, b) or certify(problem, W, b)
        better = new.objective < at.objective
        if better:
            hold, at = max(less * hold, _LEAST), new
        else:
            hold, less = _MORE * hold, _CAREFULLY
