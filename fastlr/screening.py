"""Weights that are zero at the optimum, known before it is reached. Derivations: docs/math.md.

Shapes: n samples, d features, K score columns.
"""

import numpy as np

from fastlr.losses import Softmax, SquaredHinge

# Of the objective: a gap below this may be rounding.
_ROUNDING = 1e-12
# sum_i (change of s_i q_ik)^2 / s_i from a dual point to the optimal one is at most reach^2 times the gap:
# the entropy curves by 4 at least along one probability, as what a class gains others lose, and D of the
# squared hinge by 1 / (2 s_i) along alpha_i.
_REACH = {Softmax: np.sqrt(1 / 2), SquaredHinge: 2.0}


def gap_safe(problem, certificate):
    """Where weights may be non-zero at the optimum, by the duality gap (Ndiaye, Fercoq, Gramfort and Salmon
    2017).

    The optimal dual point lies within a ball around the certificate's, whose radius shrinks as the square
    root of the gap; weights whose |V_kj| stays below l1 u_j all over it are zero in every solution.

    Parameters
    ----------
    problem : LinearProblem
    certificate : Certificate
        Of any point of this problem.

    Returns
    -------
    mask : bool array of shape (K, d)
        False where W_kj = 0 for certain.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlr.certificate import certify
    >>> from fastlr.data import Data
    >>> from fastlr.losses import Softmax
    >>> from fastlr.penalties import ElasticNet
    >>> from fastlr.problem import LinearProblem
    >>> from fastlr.screening import gap_safe
    >>> y = np.repeat([0, 1], 50).astype(np.int32)
    >>> X = np.c_[y - 0.5, np.sin(np.arange(100.0))]
    >>> data, loss = Data(X), Softmax(y, np.ones(100), 2)
    >>> moments = data.moments(loss)
    >>> problem = LinearProblem(data, loss, ElasticNet(20.0, 0.0, np.ones(2)), moments, moments.mean)
    >>> gap_safe(problem, certify(problem, np.array([[0.8, 0.0]]), np.zeros(1)))
    array([[ True, False]])
    """
    gap = certificate.gap + _ROUNDING * certificate.objective
    radius = _REACH[type(problem.loss)] * np.sqrt(gap)
    return np.abs(certificate.V) + radius * _norms(problem) >= problem.penalty.thresholds * (1 - 1e-9)


def _norms(problem):
    """sqrt(sum_i s_i (x_ij - c_j)^2), shape (d,): the smallest over all c where the intercept is free, as it
    keeps sum_i s_i q_i as it is; else about the shift."""
    moments, square = problem.moments, problem.moments.variance
    if not problem.intercept_is_free:
        square = square + (moments.mean - problem.shift) ** 2
    return np.sqrt(problem.loss.s.sum() * square)


def strong_rule(problem, G, C_ratio):
    """Where weights are likely to be non-zero, on the way from one C to the next (Tibshirani et al. 2012).

    A guess, by what gradients usually do: where it is wrong the optimality conditions tell. Weights that are
    not zero at the old solution stay.

    Parameters
    ----------
    problem : LinearProblem
        At the new C.
    G : array of shape (K, d)
        Gradient of its loss at the solution for the old C.
    C_ratio : float
        New C over old C.

    Returns
    -------
    mask : bool array of shape (K, d)
        False where W_kj is likely to be zero.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from fastlr.penalties import ElasticNet
    >>> from fastlr.screening import strong_rule
    >>> problem = SimpleNamespace(penalty=ElasticNet(1.0, 0.0, np.ones(4)))
    >>> strong_rule(problem, np.array([[1.2, -0.95, 0.85, 0.1]]), 1.2)
    array([[ True,  True,  True, False]])
    """
    # A trace less, as the old solution's own weights lie on the edge for C_ratio < 1.
    return np.abs(G) >= (1 - abs(1 - C_ratio) - 1e-6) * problem.penalty.thresholds
