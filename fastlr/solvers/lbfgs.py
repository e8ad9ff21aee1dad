"""L-BFGS for smooth problems: min_W,b  sum_i s_i loss_i + l2/2 |W|^2, and l2/2 (u_b b)^2 if asked for.

1. direction p = -H g, H the inverse Hessian that the last ten steps imply, starting from a diagonal model
   of the curvature (Liu and Nocedal 1989, two-loop recursion);
2. step length by bisection until the weak Wolfe conditions hold (Lewis and Overton 2013), 1 tried first;
3. remember the step and the change of the gradient.

Shapes: K score columns, d features; the variable v is W and b in one line of K d + K numbers.
"""

from collections import deque

import numpy as np

from fastlr.solvers.smooth import Objective

_MEMORY = 10
_DECREASE, _CURVATURE = 1e-4, 0.9  # the usual Wolfe constants (Nocedal and Wright, section 3.1)


def _direction(gradient, pairs, inverse_curvature):
    """-H g by the two-loop recursion."""
    q = gradient.copy()
    kept = []
    for s, t, rho in reversed(pairs):
        alpha = rho * (s @ q)
        q -= alpha * t
        kept.append(alpha)
    if pairs:
        s, t, _ = pairs[-1]
        q *= inverse_curvature * ((s @ t) / (t @ (inverse_curvature * t)))
    else:
        q *= inverse_curvature
    for (s, t, rho), alpha in zip(pairs, reversed(kept), strict=True):
        q += (alpha - rho * (t @ q)) * s
    return -q


def _wolfe_step(objective, v, value, gradient, p, noise):
    """A step length that satisfies the weak Wolfe conditions, up to `noise` in the objective; the point,
    its value and its gradient. None if there is none to be found. Yields None after each pass."""
    slope = gradient @ p
    low, high, t = 0.0, np.inf, 1.0
    for _ in range(30):
        new = v + t * p
        new_value, new_gradient = objective(new)
        yield None
        if not new_value <= value + _DECREASE * t * slope + noise:
            high = t
        elif new_gradient @ p < _CURVATURE * slope:
            low = t
        else:
            return new, new_value, new_gradient
        t = (low + high) / 2 if np.isfinite(high) else 2 * low
    return None


def lbfgs(problem, W, b, rng, dtype):
    """Yields (W, b) after each iteration; ends where no step descends, not even in float64."""
    objective = Objective(problem, dtype)
    inverse_curvature = objective.inverse_curvature()
    v = objective.join(W, b)
    value, gradient = objective(v)
    pairs = deque(maxlen=_MEMORY)
    yield None
    while True:
        p = _direction(gradient, pairs, inverse_curvature)
        found = None
        if gradient @ p < 0:
            found = yield from _wolfe_step(objective, v, value, gradient, p, objective.noise * abs(value))
        if found is not None:
            new, value, new_gradient = found
            s, t = new - v, new_gradient - gradient
            if s @ t > np.finfo(np.float64).tiny:  # its inverse is finite
                pairs.append((s, t, 1 / (s @ t)))
            v, gradient = new, new_gradient
        elif pairs:
            pairs.clear()
        elif objective.dtype != np.float64:
            # The arithmetic of float32 is exhausted: go on in float64.
            objective.dtype = np.dtype(np.float64)
            value, gradient = objective(v)
        else:
            return
        yield objective.split(v)
