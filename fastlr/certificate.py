"""Duality gaps: how far a model can be from the optimum, in float64. Derivations: docs/math.md.

Shapes: n samples, d features, K classes (two classes have one score column). g* is the penalty's conjugate.

Softmax: for any probabilities Q with the right class masses, sum_i s_i q_i = N when the intercept is free,
and V = X' S (Y - Q),

    D(Q) = sum_i s_i H(q_i) - g*(V)  <=  min F,         H the entropy.

Squared hinge: for any alpha >= 0, with sum_i alpha_i t_i = 0 when the intercept is free, and
V = sum_i alpha_i t_i x_i,

    D(alpha) = sum_i alpha_i - alpha_i^2 / (4 s_i) - g*(V)  <=  min F.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from fastlr.losses import Softmax, SquaredHinge


@dataclass(frozen=True)
class Certificate:
    """objective = F(W, b); min F lies in [objective - gap, objective]; residual = largest |gradient| of
    the smooth part relative to its value at the null model. G (K, d) and G_b (K,) are the gradient of the
    loss at the certified point (W, b), in float64, for methods that go on from there. V (K, d) is that of
    the dual point that gave the bound."""

    objective: float
    gap: float
    residual: float
    W: np.ndarray
    b: np.ndarray
    G: np.ndarray
    G_b: np.ndarray
    V: np.ndarray


def feasible_masses(mass, wanted):
    """How to move probability between classes so that the masses become the wanted ones.

    Classes in excess keep the share shrink_k = N_k / M_k of their mass in every row; what they give is dealt
    out to the classes in deficit by receive_k, in proportion to what these lack.

    Returns
    -------
    shrink, receive : arrays of shape (K,)
        q_ik = shrink_k p_ik + receive_k sum_l (1 - shrink_l) p_il.
    """
    lack = np.maximum(wanted - mass, 0.0)
    shrink = np.divide(wanted, mass, out=np.ones_like(wanted), where=mass > wanted)
    total = lack.sum()
    receive = lack / total if total > 0 else np.zeros_like(lack)
    return shrink, receive


def _largest(A):
    """The largest absolute value, without an array of them."""
    return max(A.max(), -A.min())


def certify(problem, W, b):
    """Objective and duality gap at (W, b).

    Parameters
    ----------
    problem : LinearProblem
    W, b : arrays of shape (K, d) and (K,)

    Returns
    -------
    Certificate
    """
    penalty = problem.penalty
    W = problem.data.weights(len(b), np.float64) + W
    b = np.asarray(b, dtype=np.float64)
    value, G, residual = problem.loss_gradient(W, b)
    objective = value + penalty.value(W, b)
    gradient = penalty.smooth_gradient(W)
    gradient += G
    slope = _largest(gradient)
    if problem.fit_intercept:
        slope = max(slope, _largest(residual + penalty.intercept_curvature * b))
    with np.errstate(over="ignore"):  # where no feature tells anything, every slope is large
        slope /= max(_largest(problem.null_gradient), np.finfo(float).tiny)
    bound, V = _BOUNDS[problem.loss.kind](problem, W, b, value, G, residual)
    if not bound > 0:
        # The loss is never negative: zero is a bound, too. It is that of Q = Y, or of alpha = 0.
        bound, V = 0.0, np.zeros_like(G)
    return Certificate(objective, max(objective - bound, 0.0), slope, W, b, G, residual, V)


def _both_classes(column, total):
    """Rows for all classes, from the one score column that two classes share."""
    return np.concatenate([(total - column[0])[None], column])


def softmax_bound(problem, W, b, value, G, residual):
    """The best D found from the probabilities at (W, b), and its V; G and residual are the gradient there."""
    loss, penalty = problem.loss, problem.penalty
    # X' S P and X' S Q by class, centred; Q has the wanted masses.
    XP, mass = G + problem.label_sums, residual + loss.column_mass
    if loss.n_classes == 2:
        XP = _both_classes(XP, problem.centred_total)
        mass = _both_classes(mass, loss.class_mass.sum())
    wanted = loss.class_mass if problem.fit_intercept else mass
    shrink, receive = feasible_masses(mass, wanted)
    given = np.einsum("k,kj->j", 1 - shrink, XP)
    # XQ = shrink XP + receive given; arrays as large as W are made once, and laid out as W is.
    XQ = np.multiply(receive[:, None], given, out=np.empty_like(XP))
    XP *= shrink[:, None]
    XQ += XP
    V = np.subtract(problem.label_sums, XQ[-loss.n_columns :], out=XP[-loss.n_columns :])
    conjugate = penalty.conjugate_along(V)

    bias = problem.bias(W, b)

    def dual(mix):
        entropy = problem.data.dual_entropy(W, bias, loss, shrink, receive, mix)
        return entropy, entropy - conjugate(mix)

    bound, mix = best_mix(dual, conjugate, penalty, V)
    V *= mix
    return bound, V


def best_mix(dual, conjugate, penalty, V):
    """The best D found over Q <- (1 - c) Y + c Q, whose V is c V, and its c. c = 0 gives D = 0: F is never
    negative.

    `dual` and `conjugate` are functions of c: (entropy of Q, D) and g*(c V).
    """
    mix = penalty.largest_feasible(V)
    if mix == 0:
        return 0.0, 0.0
    entropy, best = dual(mix)
    if penalty.l2 > 0:
        # The entropy is concave in c and 0 at c = 0, so c * entropy is below it: a cheap guide to c.
        found = minimize_scalar(lambda c: conjugate(c) - c * entropy, bounds=(0, 1), method="bounded")
        if found.x < 0.999 and -found.fun > best:
            return max(dual(found.x)[1], -found.fun), found.x
    return best, mix


def squared_hinge_bound(problem, W, b, value, G, residual):
    """The best D found from alpha_i = 2 s_i (1 - t_i z_i)_+, and its V; value, G and residual are those at
    (W, b).

    No pass is needed: V = -G, sum_i alpha_i^2 / (4 s_i) is the loss, sum_i alpha_i (1 - t_i z_i) twice that.
    """
    V, V_b = -G, -residual
    total, square = 2 * value - np.vdot(G, W) - residual @ b, value
    if problem.intercept_is_free:
        # The class in deficit receives delta s_i in each row, until sum_i alpha_i t_i = 0.
        lacking, lack = (0, V_b[0]) if V_b[0] > 0 else (1, -V_b[0])
        mass, sums = problem.loss.class_mass[lacking], problem.label_sums
        if lack > 0 and mass == 0:
            return 0.0, V
        delta = lack / mass if lack > 0 else 0.0
        square += delta * (total - lack) / 4 + delta**2 * mass / 4
        total += lack
        V = V + delta * (sums if lacking == 1 else sums - problem.centred_total)
    if not (total > 0 and 0 < square < np.inf):
        return 0.0, V
    c = problem.penalty.best_scale(total, square, V, V_b)
    return c * total - c**2 * square - problem.penalty.conjugate(c * V, c * V_b), c * V


_BOUNDS = {Softmax.kind: softmax_bound, SquaredHinge.kind: squared_hinge_bound}
