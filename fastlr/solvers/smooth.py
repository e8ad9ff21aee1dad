"""What the methods for smooth problems share: F, its gradient and its curvature on one line of numbers.

Shapes: n samples, d features, K score columns; the variable v is W and b in one line of K d + K numbers.
"""

import numpy as np

_DECREASE = 1e-4  # of the decrease that the slope promises (Nocedal and Wright, section 3.1)
_SHORTEST = 1e-10  # part of a step that Newton's method proposes: shorter ones are lost in rounding


class Objective:
    """F and its gradient on v = (W, b).

    Parameters
    ----------
    problem : LinearProblem
        Without an L1 part.
    dtype : dtype
        The type of arithmetic; sums, values and gradients are float64. It may be changed on the way.
    """

    def __init__(self, problem, dtype):
        self.problem = problem
        self.dtype = np.dtype(dtype)
        self.shape = (problem.loss.n_columns, problem.data.d)

    @property
    def noise(self):
        """Relative error to be expected of F."""
        return 10 * np.finfo(self.dtype).eps

    def split(self, v):
        n_columns, n_weights = self.shape[0], self.shape[0] * self.shape[1]
        order = "F" if self.problem.data.is_sparse else "C"
        W = v[:n_weights].reshape(self.shape, order=order)
        return W, v[n_weights : n_weights + n_columns]

    def work(self, v):
        """W and b in the type of the arithmetic."""
        W, b = self.split(v)
        return W.astype(self.dtype, copy=False), b.astype(self.dtype, copy=False)

    def join(self, W, b):
        return np.concatenate([self.problem.data.flat(W), b]).astype(np.float64, copy=False)

    def __call__(self, v):
        problem = self.problem
        penalty, (W, b) = problem.penalty, self.split(v)
        loss, G, residual = problem.loss_gradient(*self.work(v))
        residual = residual + penalty.intercept_curvature * b
        if not problem.fit_intercept:
            residual = np.zeros_like(residual)
        gradient = self.join(G + penalty.smooth_gradient(W), residual)
        return loss + penalty.value(W, b), gradient

    def diagonal(self, mass):
        """Diagonal of a model of the Hessian, of the same layout as v.

        Class k has the curvature mass_k = sum_i s_i p_ik (1 - p_ik) in its score, shape (K,), shared out to
        the features in proportion to their weighted second moments.
        """
        problem = self.problem
        second_moment = problem.moments.variance + (problem.moments.mean - problem.shift) ** 2
        W = problem.data.weights(self.shape[0], np.float64)
        W += np.multiply.outer(mass, second_moment)
        W += problem.penalty.curvatures
        diagonal = self.join(W, mass + problem.penalty.intercept_curvature)
        diagonal[diagonal == 0] = 1.0
        return diagonal

    def inverse_curvature(self):
        """1 / diagonal of a bound on the curvature by class: the same anywhere."""
        loss = self.problem.loss
        mass = loss.curvature * max(loss.class_mass.sum(), np.finfo(float).tiny)
        return 1 / self.diagonal(np.full(self.shape[0], mass))


def wolfe_step(objective, v, value, gradient, p, t, curvature):
    """A step length with the strong Wolfe conditions, up to noise in F, by secants of the slope.

    Parameters
    ----------
    v, value, gradient : the point, F and its gradient there
    p : array like v
        A direction of descent.
    t : float
        The step length to try first.
    curvature : float
        The slope must shrink to this part of what it was.

    Returns
    -------
    (t, point, value, gradient), or None if there is none to be found.
    """
    slope = gradient @ p
    noise = objective.noise * abs(value)
    low, high, low_slope, high_slope = 0.0, np.inf, slope, None
    for _ in range(30):
        new = v + t * p
        new_value, new_gradient = objective(new)
        new_slope = new_gradient @ p
        if not new_value <= value + _DECREASE * t * slope + noise:
            # Only finite slopes are fit for a secant.
            high, high_slope = t, new_slope if np.isfinite(new_slope) else None
        elif abs(new_slope) <= curvature * abs(slope):
            return t, new, new_value, new_gradient
        elif new_slope > 0:
            high, high_slope = t, new_slope
        else:
            low, low_slope = t, new_slope
        t = _next_length(low, high, low_slope, high_slope, slope)
    return None


def _next_length(low, high, low_slope, high_slope, slope):
    """Where the slope would vanish if it were linear, kept away from the ends of the bracket."""
    if high == np.inf:
        bend = (low_slope - slope) / low
        ahead = -low_slope / bend if bend > 0 else np.inf
        return low + min(max(ahead, low), 9 * low)
    part = 0.5
    if high_slope is not None and high_slope > 0:
        part = min(max(low_slope / (low_slope - high_slope), 0.1), 0.9)
    return low + part * (high - low)


def armijo_step(objective, v, value, slope, p):
    """The first step length, from 1 down, that decreases F enough, up to noise in F.

    Returns
    -------
    (point, value, gradient), or None if there is none to be found.
    """
    t, noise = 1.0, objective.noise * abs(value)
    while t > _SHORTEST:
        new = v + t * p
        new_value, new_gradient = objective(new)
        if new_value <= value + _DECREASE * t * slope + noise:
            return new, new_value, new_gradient
        # The minimum of the parabola through what is known, kept away from the ends.
        bend = new_value - value - t * slope
        part = -t * slope / (2 * bend) if np.isfinite(bend) else 0.1
        t *= min(max(part, 0.1), 0.5)
    return None
