"""L-BFGS for smooth problems: min_W,b  sum_i s_i loss_i + l2/2 |W|^2, and l2/2 (u_b b)^2 if asked for.

1. direction p = -H g, H the inverse Hessian that the last ten steps imply, starting from a diagonal model
   of the curvature (Liu and Nocedal 1989, two-loop recursion);
2. step length by bisection until the weak Wolfe conditions hold (Lewis and Overton 2013), 1 tried first;
3. remember the step and the change of the gradient.

Shapes: K score columns, d features; the variable v is W and b in one line of K d + K numbers.
"""

from collections import deque

import numpy as np

_MEMORY = 10
_DECREASE, _CURVATURE = 1e-4, 0.9  # the usual Wolfe constants (Nocedal and Wright, section 3.1)


class _Objective:
    """F and its gradient on v = (W, b)."""

    def __init__(self, problem, dtype):
        self.problem = problem
        self.dtype = dtype
        self.shape = (problem.loss.n_columns, problem.data.d)

    def split(self, v):
        n_columns, n_weights = self.shape[0], self.shape[0] * self.shape[1]
        order = "F" if self.problem.data.is_sparse else "C"
        W = v[:n_weights].reshape(self.shape, order=order)
        return W, v[n_weights : n_weights + n_columns]

    def join(self, W, b):
        return np.concatenate([self.problem.data.flat(W), b]).astype(np.float64)

    def __call__(self, v):
        problem = self.problem
        W, b = self.split(v)
        loss, G, residual = problem.loss_gradient(W.astype(self.dtype), b.astype(self.dtype))
        penalty = problem.penalty
        residual = residual + penalty.intercept_curvature * b
        if not problem.fit_intercept:
            residual = np.zeros_like(residual)
        gradient = self.join(G + penalty.smooth_gradient(W), residual)
        return loss + penalty.value(W, b), gradient

    def inverse_curvature(self):
        """1 / diagonal of a bound on the Hessian, loss curvature times weighted column variance."""
        problem = self.problem
        mass = max(problem.loss.class_mass.sum(), np.finfo(float).tiny)
        second_moment = problem.moments.variance + (problem.moments.mean - problem.shift) ** 2
        curvature = problem.loss.curvature * mass * second_moment + problem.penalty.curvatures
        curvature[curvature == 0] = 1.0
        W = problem.data.weights(self.shape[0], np.float64) + 1 / curvature
        curvature_b = problem.loss.curvature * mass + problem.penalty.intercept_curvature
        return self.join(W, np.full(self.shape[0], 1 / curvature_b))


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
    objective = _Objective(problem, dtype)
    noise_level = 10 * np.finfo(dtype).eps
    inverse_curvature = objective.inverse_curvature()
    v = objective.join(W, b)
    value, gradient = objective(v)
    pairs = deque(maxlen=_MEMORY)
    yield None
    while True:
        p = _direction(gradient, pairs, inverse_curvature)
        found = None
        if gradient @ p < 0:
            found = yield from _wolfe_step(objective, v, value, gradient, p, noise_level * abs(value))
        if found is not None:
            new, value, new_gradient = found
            s, t = new - v, new_gradient - gradient
            if s @ t > 0:
                pairs.append((s, t, 1 / (s @ t)))
            v, gradient = new, new_gradient
        elif pairs:
            pairs.clear()
        elif objective.dtype != np.float64:
            # The arithmetic of float32 is exhausted: go on in float64.
            objective.dtype, noise_level = np.dtype(np.float64), 10 * np.finfo(np.float64).eps
            value, gradient = objective(v)
        else:
            return
        yield objective.split(v)
