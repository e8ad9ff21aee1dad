"""Fits along a grid of C: `minimise`, warm-started from the strongest penalty to the weakest.

Shapes: m values of C, d features, K score columns (one for two classes).
"""

import numbers
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from fastlr import validate
from fastlr.linear_model.convex import CUT_SHORT, ENDINGS, Limits, worst
from fastlr.linear_model.logistic import LogisticRegression
from fastlr.progress import Progress, relative
from fastlr.typing import Array, ClassWeight, Features, Scaling, Seed

# What lasso_path spans by default, too; glmnet takes two decades or four.
_DECADES = 3
_LONGEST_GRID = 100_000
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
    statuses : array of str, of shape (m,)
        What ended each fit, as `status_` of LogisticRegression.
    classes : array of shape (n_classes,)
    """

    Cs: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    objectives: np.ndarray
    dual_gaps: np.ndarray
    n_iters: np.ndarray
    converged: np.ndarray
    statuses: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, Cs, solutions, classes):
        """From the solutions by their places in Cs; the path has those places only."""
        places = sorted(solutions)
        names = "coef", "intercept", "objective", "dual_gap", "n_iter", "converged", "status"
        parts = (np.array([getattr(solutions[i], name) for i in places]) for name in names)
        return cls(Cs[places], *parts, classes)

    def __iter__(self) -> Iterator[Array]:
        return iter((self.Cs, self.coefs, self.intercepts))


def check_grid(Cs):
    """`Cs` as a float array, or as the length of an automatic grid."""
    if isinstance(Cs, numbers.Integral) and not isinstance(Cs, bool) and 1 <= Cs <= _LONGEST_GRID:
        return int(Cs)
    try:
        grid = np.array(Cs, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        grid = np.empty(0)
    good = (grid >= validate.SMALLEST) & ((grid <= validate.LARGEST) | np.isinf(grid))
    if grid.ndim != 1 or not grid.size or not np.all(good):
        raise ValueError(
            f"Cs must be an integer from 1 to {_LONGEST_GRID} or a list of positive numbers "
            f"{validate.BAND}; found {Cs!r}."
        )
    return grid


def automatic_grid(n, problem, l1_ratios):
    """n values of C for a problem that is posed at C = 1.

    W = 0 is optimal up to C = l1_ratio / max |null gradient|, the gradient being taken in the units of the
    penalty: from there (at the smallest ratio) three decades on (at the largest). Without an L1 part, or a
    gradient beyond rounding, scikit-learn's 1e-4 to 1e4.
    """
    shares = [ratio for ratio in l1_ratios if ratio > 0]
    moments, units = problem.moments, problem.penalty.units
    steepest = np.max(np.abs(problem.null_gradient) / units, initial=0.0)
    sizes = np.hypot(np.sqrt(moments.variance), moments.mean) / units
    rounding = 1e-14 * problem.loss.class_mass.sum() * np.max(sizes, initial=0.0)
    if not shares or steepest <= rounding:
        return np.logspace(-4, 4, n)
    # A trace less, so that rounding lets no weight in at the first point.
    return np.geomspace(
        (1 - 1e-9) * min(shares) / steepest, 10.0**_DECADES * max(shares) / steepest, n
    )  # fmt: skip


def with_ratio(problems, l1_ratio):
    """The problems under another mixture of penalties."""
    penalty = replace(problems[0].penalty, l1=float(l1_ratio), l2=1.0 - l1_ratio)
    return [replace(problem, penalty=penalty) for problem in problems]


def at(problems, C):
    """The problems posed at C = 1, at another C; infinite C is no penalty, as in LogisticRegression."""
    if np.isinf(C):
        free = replace(problems[0].penalty, l1=0.0, l2=0.0)
        return [replace(problem, penalty=free) for problem in problems]
    return [problem.scaled(C) for problem in problems]


def fit_path(model, problems, Cs, limits, progress):
    """Fits problems, posed at C = 1, at every C, from small to large, each from where the last one ended.

    Parameters
    ----------
    model : ConvexClassifier
    problems : list of LinearProblem
        As of its `_problems`.
    Cs : array of shape (m,)
    limits : Limits
        The fit that meets them is the last.
    progress : Progress
        Tells of each fit, and on the next level of its checks.

    Yields
    ------
    place : int
        In `Cs`.
    solution : Solution
    """
    start = None
    for done, place in enumerate(np.argsort(Cs, kind="stable")):
        part = f"C={Cs[place]:.3g} ({done + 1}/{len(Cs)})", done, len(Cs)
        solution = model._solve(at(problems, Cs[place]), limits, start, progress.within(1, part))
        share = relative(solution.dual_gap, solution.null_objective)
        progress.say(
            f"[fastlr] C={Cs[place]:.4g}: {solution.n_iter} iterations, objective {solution.objective:.8g}, "
            f"gap {solution.dual_gap:.3g} ({share} of the null objective)"
        )
        yield int(place), solution
        if solution.status in CUT_SHORT or limits.reached:
            return
        start = solution.coef, solution.intercept


def cut_short(solutions, total, limits):
    """What has kept `total` fits from being made in full: "max_time", "interrupted" or None."""
    statuses = [solution.status for solution in solutions if solution.status in CUT_SHORT]
    if not statuses and len(solutions) == total:
        return None
    return worst([*statuses, limits.reached or "max_time"])


def warn_unless_converged(solutions, total, ending, model, stacklevel):
    """One warning for all fits that have ended early, and those that were not begun."""
    sentences = []
    done = [solution for solution in solutions if solution.status not in CUT_SHORT]
    if ending:
        sentences.append(
            f"{len(done)} of {total} fits were done in full ({ENDINGS[ending][0]}); the others are left out "
            f"or, where begun, as far from their optimum as their duality gaps say."
        )
    missed = sum(not solution.converged for solution in done)
    if missed:
        sentences.append(
            f"{missed} of {total} fits did not reach tol={model.tol:g} within max_iter={model.max_iter} "
            f"iterations; their duality gaps are true nevertheless. Raise max_iter, loosen tol, leave out "
            f"the largest C, or scale the features (scaling='standard')."
        )
    if sentences:
        warnings.warn(" ".join(sentences), ConvergenceWarning, stacklevel=stacklevel + 1)


def logistic_path(
    X: Features,
    y: ArrayLike,
    *,
    Cs: int | ArrayLike = 10,
    penalty: Literal["auto", "l1", "l2", "elasticnet"] = "auto",
    l1_ratio: float = 0.0,
    fit_intercept: bool = True,
    class_weight: ClassWeight = None,
    sample_weight: ArrayLike | None = None,
    solver: str = "auto",
    tol: float = 1e-4,
    max_iter: int = 1000,
    scaling: Scaling = None,
    n_threads: int | None = None,
    random_state: Seed = None,
    verbose: int | bool | None = None,
    max_time: float | None = None,
) -> Path:
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
    verbose : int, bool or None, default=None
        1 prints a line for each fit, 2 also for each check of a certificate; 0 is silence. None shows how
        far it is and how long it may take in one line on the terminal, if there is one, and clears it.
    max_time : float, optional
        Seconds for the whole path. The fit under way ends with the best model so far and its certificate,
        and those at larger C are left out.

    Returns
    -------
    path : Path
        With the arrays Cs, coefs, intercepts, objectives, dual_gaps, n_iters, converged, statuses and
        classes, in the order of `Cs` if that is a list, else from small to large C. Unpacks as
        ``Cs, coefs, intercepts = path``. After a KeyboardInterrupt it ends as for `max_time`.

    Raises
    ------
    ValueError
        If a parameter or the data is not as described.

    Warns
    -----
    ConvergenceWarning
        If fits reach `max_iter` first, or `max_time` or an interrupt ends the path; once for the whole
        path.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import logistic_path
    >>> X, y = load_iris(return_X_y=True)
    >>> path = logistic_path(X, y, penalty="l1", Cs=4, max_iter=10_000)
    >>> path.coefs.shape
    (4, 3, 4)
    >>> int((path.coefs[0] != 0).sum())
    0
    >>> bool(path.converged.all())
    True
    """
    limits = Limits.of(max_time)
    model = LogisticRegression(
        penalty, l1_ratio=l1_ratio, fit_intercept=fit_intercept, class_weight=class_weight, solver=solver,
        tol=tol, max_iter=max_iter, scaling=scaling, n_threads=n_threads, random_state=random_state,
    )  # fmt: skip
    validate.check_choice("penalty", penalty, PENALTIES)
    model._check_parameters(max_time)
    grid = check_grid(Cs)
    training = validate.training(model, X, y, sample_weight)
    problems = model._problems(training, *model._strengths())
    if isinstance(grid, int):
        grid = automatic_grid(grid, problems[0], [problems[0].penalty.l1])
    deadline = limits.began + limits.max_time
    with Progress("logistic_path", verbose, deadline=deadline) as progress:
        solutions = dict(fit_path(model, problems, grid, limits, progress))
    ending = cut_short(solutions.values(), len(grid), limits)
    warn_unless_converged(solutions.values(), len(grid), ending, model, stacklevel=2)
    return Path.of(grid, solutions, training.classes)
