"""Fits along a grid of C: `minimise`, warm-started from the strongest penalty to the weakest.

Shapes: m values of C, d features, K score columns (one for two classes).
"""

import numbers
import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlr import validate
from fastlr.linear_model.logistic import LogisticRegression
from fastlr.solvers import choose

# What lasso_path spans by default, too; glmnet takes two decades or four.
_DECADES = 3
PENALTIES = ("auto", "l1", "l2", "elasticnet")


@dataclass(frozen=True, eq=False)
class Path:
    """Fitted models along a grid of C; unpacks as ``Cs, coefs, intercepts = path``.

    Parameters
    ----------
    Cs : array of shape (m,)
    coefs : array of shape (m, K, d)
    intercepts : array of shape (m, K)
    objectives : array of shape (m,)
        Objective of each model, C being a factor of the loss.
    dual_gaps : array of shape (m,)
        The optimum lies between objective - gap and objective.
    n_iters : array of shape (m,)
        Epochs or iterations that each model took, from the one before.
    converged : bool array of shape (m,)
        Whether the gap satisfies `tol`.
    classes : array of shape (n_classes,)
    """

    Cs: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    objectives: np.ndarray
    dual_gaps: np.ndarray
    n_iters: np.ndarray
    converged: np.ndarray
    classes: np.ndarray

    def __iter__(self):
        return iter((self.Cs, self.coefs, self.intercepts))


def check_grid(Cs):
    """`Cs` as a float array, or as the length of an automatic grid."""
    if isinstance(Cs, numbers.Integral) and not isinstance(Cs, bool) and Cs >= 1:
        return int(Cs)
    try:
        grid = np.array(Cs, dtype=np.float64)
    except (TypeError, ValueError):
        grid = np.empty(0)
    if grid.ndim != 1 or not grid.size or not np.all(grid > 0):
        raise ValueError(f"Cs must be an integer of at least 1 or a list of positive numbers; found {Cs!r}.")
    return grid


def automatic_grid(n, problem, l1_ratios):
    """n values of C for a problem that is posed at C = 1.

    W = 0 is optimal up to C = l1_ratio / max |null gradient|, the gradient being taken in the units of the
    penalty: from there (at the smallest ratio) three decades on (at the largest). Without an L1 part,
    scikit-learn's 1e-4 to 1e4.
    """
    shares = [ratio for ratio in l1_ratios if ratio > 0]
    steepest = np.max(np.abs(problem.null_gradient) / problem.penalty.units, initial=0.0)
    if not shares or steepest == 0:
        return np.logspace(-4, 4, n)
    # A trace less, so that rounding lets no weight in at the first point.
    return np.geomspace(
        (1 - 1e-9) * min(shares) / steepest, 10.0**_DECADES * max(shares) / steepest, n
    )  # fmt: skip


def with_ratio(problem, l1_ratio):
    """The problem under another mixture of penalties."""
    return replace(problem, penalty=replace(problem.penalty, l1=float(l1_ratio), l2=1.0 - l1_ratio))


def at(problem, C):
    """The problem posed at C = 1, at another C; infinite C is no penalty, as in LogisticRegression."""
    if np.isinf(C):
        return replace(problem, penalty=replace(problem.penalty, l1=0.0, l2=0.0))
    return problem.scaled(C)


def generator(random_state):
    """A new generator of random numbers from a parameter `random_state`."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31))


def fit_path(model, problem, training, Cs, *, rng, start=None, report=None):
    """Fits a problem, posed at C = 1, at every C, from small to large, each from where the last one ended.

    Parameters
    ----------
    model : LogisticRegression
        Its solver, tolerance and limits.
    problem : LinearProblem
    training : Training
    Cs : array of shape (m,)
    rng : Generator
    start : (coef, intercept), optional
        Where the first fit starts.
    report : callable, optional
        Called after each check with (n_iter, objective, gap).

    Returns
    -------
    Path
        In the order of `Cs`.
    """
    stored = np.dtype(np.float32 if training.X.dtype == np.float32 else np.float64)
    dtype = problem.data.exact_dtype if model.tol >= _FLOAT32_TOL else np.dtype(np.float64)
    W, b = problem.start(dtype)
    if start is not None:
        W[:] = start[0]
        if problem.fit_intercept:
            b[:] = start[1] + start[0] @ problem.shift
    results = [None] * len(Cs)
    for i in np.argsort(Cs, kind="stable"):
        part = at(problem, Cs[i])
        # Where all rows are of one class, as a fold's may be, the null model is as good as can be stored.
        max_iter = model.max_iter if part.null_objective > 0 else 0
        steps = choose(model.solver, part.penalty).steps(part, W, b, rng, dtype)
        result = minimise(
            part, steps, W, b, tol=model.tol, max_iter=max_iter, stored=stored, report=report
        )  # fmt: skip
        results[i] = replace(result, converged=result.converged or part.null_objective == 0)
        W, b = problem.start(dtype)
        W[:], b[:] = result.W, result.b
        if model.verbose:
            _tell(part, Cs[i], result)
    models = [problem.unpack(result.W, result.b) for result in results]
    return Path(
        np.array(Cs, dtype=np.float64),
        *(np.stack(parts).astype(stored, copy=False) for parts in zip(*models, strict=True)),
        *(np.array([getattr(r, name) for r in results]) for name in ("objective", "dual_gap", "n_iter")),
        np.array([result.converged for result in results]),
        training.classes,
    )


def _tell(problem, C, result):
    relative = result.dual_gap / (problem.null_objective or 1.0)
    print(
        f"[fastlr] C={C:.4g}: {result.n_iter} iterations, objective {result.objective:.8g}, "
        f"gap {result.dual_gap:.3g} ({relative:.2e} of the null objective)",
        flush=True,
    )


def warn_unless_converged(converged, model, stacklevel):
    """One warning for all fits that met the limit of iterations."""
    missed = int(np.size(converged) - np.count_nonzero(converged))
    if missed:
        warnings.warn(
            f"{missed} of {np.size(converged)} fits did not reach tol={model.tol:g} within "
            f"max_iter={model.max_iter} iterations; their duality gaps are true nevertheless. Raise "
            f"max_iter, loosen tol, leave out the largest C, or scale the features (scaling='standard').",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )


def logistic_path(
    X,
    y,
    *,
    Cs=10,
    penalty="auto",
    l1_ratio=0.0,
    fit_intercept=True,
    class_weight=None,
    sample_weight=None,
    solver="auto",
    tol=1e-4,
    max_iter=1000,
    scaling=None,
    n_threads=None,
    random_state=None,
    verbose=0,
):
    """Fits logistic regressions along a grid of C, each with its certificate.

    Statistics of X are computed once, and each fit starts from the solution for the next stronger penalty:
    a path costs much less than as many fits.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n_samples, n_features)
    y : array of shape (n_samples,)
    Cs : int or list of floats, default=10
        Inverse strengths of the penalty, in any order. An int asks for that many on a logarithmic scale:
        with an L1 part from the largest C whose weights are all zero three decades up, else from 1e-4
        to 1e4.
    penalty : {"auto", "l1", "l2", "elasticnet"}, default="auto"
    l1_ratio : float in [0, 1], default=0.0
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
    sample_weight : array of shape (n_samples,), optional
    solver, tol, max_iter, scaling, n_threads, random_state
        As of :class:`~fastlr.LogisticRegression`, for each fit.
    verbose : int, default=0
        1 prints a line for each fit.

    Returns
    -------
    path : Path
        With the arrays Cs, coefs, intercepts, objectives, dual_gaps, n_iters, converged and classes, in
        the order of `Cs` if that is a list, else from small to large C. Unpacks as
        ``Cs, coefs, intercepts = path``.

    Raises
    ------
    ValueError
        If a parameter or the data is not as described.

    Warns
    -----
    ConvergenceWarning
        If fits reach `max_iter` first; once for the whole path.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import logistic_path
    >>> X, y = load_iris(return_X_y=True)
    >>> path = logistic_path(X, y, penalty="l1", Cs=4, max_iter=10_000)
    >>> path.coefs.shape
    (4, 3, 4)
    >>> (path.coefs != 0).sum(axis=(1, 2))[0]
    np.int64(0)
    >>> bool(path.converged.all())
    True
    """
    model = LogisticRegression(
        penalty, l1_ratio=l1_ratio, fit_intercept=fit_intercept, class_weight=class_weight, solver=solver,
        tol=tol, max_iter=max_iter, scaling=scaling, n_threads=n_threads, random_state=random_state,
        verbose=verbose,
    )  # fmt: skip
    validate.check_choice("penalty", penalty, PENALTIES)
    model._check_parameters()
    grid = check_grid(Cs)
    training = validate.training(model, X, y, sample_weight)
    problem = model._problem(training)
    choose(solver, problem.penalty)
    if isinstance(grid, int):
        grid = automatic_grid(grid, problem, [problem.penalty.l1])
    path = fit_path(model, problem, training, grid, rng=generator(random_state))
    warn_unless_converged(path.converged, model, stacklevel=2)
    return path
