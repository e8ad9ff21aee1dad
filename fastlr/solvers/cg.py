"""Nonlinear conjugate gradients for smooth problems: min_W,b  sum_i s_i loss_i + l2/2 |W|^2.

1. z = g / h, the gradient in the metric of a diagonal model h of the curvature;
2. direction p = -z + beta p, with beta of Fletcher and Reeves, Polak and Ribiere, or Hestenes and Stiefel
   (Nocedal and Wright, section 5.2); p = -z where that would not descend;
3. a step length with the strong Wolfe conditions: the last step's decrease is expected again.

Shapes: K score columns, d features; the variable v is W and b in one line of K d + K numbers.
"""

import numpy as np

from fastlr.solvers.smooth import Objective, wolfe_step

_CURVATURE = 0.3  # the slope left by a step: beta needs steps that are nearly exact


def fletcher_reeves(g, z, g_old, z_old, p):
    """beta = <g, z> / <g_old, z_old>."""
    return (g @ z) / (g_old @ z_old)


def polak_ribiere(g, z, g_old, z_old, p):
    """beta = <g - g_old, z> / <g_old, z_old>, or 0 where that is negative (PR+)."""
    return max((g @ z - g_old @ z) / (g_old @ z_old), 0.0)


def hestenes_stiefel(g, z, g_old, z_old, p):
    """beta = <g - g_old, z> / <g - g_old, p>, or 0 where that is negative."""
    change = g - g_old
    return max((change @ z) / (change @ p), 0.0)


# Raced on MNIST and MNIST 5 v 8: Hestenes-Stiefel needs 110 and 92 passes to 1e-4 of the null objective,
# Polak-Ribiere 145 and 101, Fletcher-Reeves 197 and 172.
BETAS = {
    "fletcher-reeves": fletcher_reeves,
    "polak-ribiere": polak_ribiere,
    "hestenes-stiefel": hestenes_stiefel,
}


def cg(problem, W, b, rng, dtype, beta="hestenes-stiefel"):
    """Yields (W, b) after each iteration; ends up repeating its last point when no step descends."""
    if beta not in BETAS:
        raise ValueError(f"beta must be one of {', '.join(map(repr, BETAS))}; found {beta!r}.")
    objective = Objective(problem, dtype)
    inverse_curvature = objective.inverse_curvature()
    v = objective.join(W, b)
    value, g = objective(v)
    z, p, t, slope = inverse_curvature * g, None, 1.0, None
    yield None
    while True:
        restarted = p is None or not g @ p < 0
        if restarted:
            p = -z
        # Steps tend to promise the same decrease as the last one.
        t = min(max(t * slope / (g @ p), 1e-3), 1e3) if slope is not None and g @ p < 0 else 1.0
        slope = g @ p
        exhausted = False
        found = wolfe_step(objective, v, value, g, p, t, _CURVATURE) if slope < 0 else None
        if found is not None:
            t, v, value, new = found
            exhausted = -t * slope <= objective.noise * abs(value)
            g, g_old, z, z_old = new, g, inverse_curvature * new, z
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = BETAS[beta](g, z, g_old, z_old, p)
            p = -z + factor * p if np.isfinite(factor) else None
        elif restarted:
            exhausted = True
        else:
            p = None
        if exhausted and objective.dtype != np.float64:
            # What is left to gain is within the noise of float32: go on in float64.
            objective.dtype, p, slope = np.dtype(np.float64), None, None
            value, g = objective(v)
            z = inverse_curvature * g
        yield objective.split(v)
