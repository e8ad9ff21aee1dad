"""What certified fits share: the problems, their solution, and what an estimator tells of it.

Shapes: d features, K score columns. A model has one problem, or one for each of its score columns.
"""

import numbers
import threading
import time
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from fastlr import validate
from fastlr.base import stored_dtype
from fastlr.checkpoint import Checkpoint
from fastlr.linear_model.base import LinearScores, as_dense
from fastlr.progress import progress_of, relative
from fastlr.solvers import Result, choose, minimise
from fastlr.typing import Features, File, History

# The certificate of weights found in float32 arithmetic stops improving near 4e-6 of the null objective.
_FLOAT32_TOL = 1e-5
# Between these float32 holds squares, and sums of them.
_LEAST_ROOT, _LARGEST_ROOT = 1e-16, 1e16

# For each status of a Result: what happened, and what can be done about it. Of several, the last one counts.
ENDINGS = {
    "converged": ("the gap is within tol", ""),
    "max_iter": (
        "max_iter={max_iter}",
        "Raise max_iter, loosen tol, or scale the features (scaling='standard').",
    ),
    "stalled": (
        "it could make no more progress",
        "Loosen tol, scale the features (scaling='standard'), or try another solver.",
    ),
    "diverged": (
        "it came to weights that are not finite",
        "Scale the features (scaling='standard'), lower C, or try another solver.",
    ),
    "stopped": (
        "a callback asked for it",
        "Fit again with warm_start=True to go on from here.",
    ),
    "max_time": (
        "max_time was up",
        "Give fit a longer max_time, loosen tol, or fit again with warm_start=True to go on from here.",
    ),
    "interrupted": (
        "interrupted by the user",
        "Fit again with warm_start=True to go on from here.",
    ),
}
# Up to so many samples times weights, iterations cost little, and people look at digits of the weights, which
# are about as exact as the square root of the gap.
_SMALL, _ROUNDING = 1e6, np.finfo(np.float64).eps
CUT_SHORT = ("max_time", "interrupted")


def work_dtype(problem, tol):
    """The type of a solver's arithmetic: that of the data, as long as it can reach `tol`, and hold squares of
    the features and of their units."""
    dtype, moments = problem.data.exact_dtype, problem.moments
    sizes = np.concatenate([problem.penalty.units, np.maximum(np.abs(moments.low), np.abs(moments.high))])
    sizes = sizes[sizes > 0]
    holds = sizes.size == 0 or (sizes.min() > _LEAST_ROOT and sizes.max() < _LARGEST_ROOT)
    return dtype if tol >= _FLOAT32_TOL and holds else np.dtype(np.float64)


def goal(problem, solver, tol):
    """The relative gap that is worth going on to when `tol` is reached."""
    no_penalty = problem.penalty.l1 == problem.penalty.l2 == 0  # and perhaps no optimum
    if no_penalty or problem.data.n * problem.loss.n_columns * problem.data.d > _SMALL:
        return tol
    # Newton's methods then come to all digits, and a gap of rounding errors is no measure of these.
    return 0.0 if solver.pace == np.inf else max(min(tol, tol * tol), _ROUNDING)


def centre(scaling, data, moments, is_free):
    """What to take from the features: their means, unless the model would change or X lose its zeros.

    `is_free` tells of an intercept that is not penalised, which takes up any shift.
    """
    if scaling == "standard" and not is_free and data.is_sparse:
        raise ValueError(
            "scaling='standard' centres the features, which sparse X can hide only in an intercept that is "
            "not penalised; use fit_intercept=True (and penalize_intercept=False) or a dense X."
        )
    if data.is_sparse or not (is_free or scaling == "standard"):
        return np.zeros(data.d)
    return moments.mean


@dataclass(frozen=True)
class Limits:
    """When fits have to end, one or many: `max_time` seconds after `began`, or when a thread says `stop`."""

    max_time: float = np.inf
    began: float = field(default_factory=lambda: time.perf_counter())
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, max_time):
        """From the parameter of that name: time runs from now on."""
        return cls(np.inf if max_time is None else max_time)

    @property
    def reached(self):
        """The status of what is not begun any more, or None."""
        if self.stop.is_set():
            return "interrupted"
        return "max_time" if time.perf_counter() - self.began >= self.max_time else None

    def share(self, parts):
        """The limits of the first of so many parts that share what time is left."""
        gone = time.perf_counter() - self.began
        return replace(self, max_time=gone + (self.max_time - gone) / parts)


def _watched(steps, stop, report):
    """The iterates of a solver, until a callback says stop, or another thread: to `minimise` that is an
    interrupt."""
    told, n_iter = None, -1  # what comes first is the start
    while True:
        if stop.is_set():
            raise KeyboardInterrupt
        if report is not None:
            report.tick(max(n_iter, 0))
        try:
            iterate = steps.send(told)
        except StopIteration:
            return
        n_iter += n_iter < 0 or iterate is not None
        if report is not None and iterate is not None and n_iter > 0:
            report.take(*iterate)
        told = yield iterate
        if report is not None and report.stop:
            return


@dataclass(frozen=True)
class Solution:
    """A model as estimators show it, what is known of it, and which solver found it why.

    coef (K, d) and intercept (K,) act on raw X. Objective, gap and null objective are sums over the problems,
    n_iter is the largest, history goes through the problems one by one.
    """

    coef: np.ndarray
    intercept: np.ndarray
    objective: float
    dual_gap: float
    null_objective: float
    converged: bool
    status: str
    n_iter: int
    history: dict
    solver: str
    reason: str

    @classmethod
    def of(cls, problems, results, solver, reason):
        """From the results of all problems of a model."""
        coef, intercept = _weights(problems, [(result.W, result.b) for result in results])
        nulls = [float(problem.null_objective) for problem in problems]
        return cls(
            coef, intercept,
            float(sum(result.objective for result in results)),
            float(sum(result.dual_gap for result in results)),
            sum(nulls),
            all(bool(result.converged) for result in results),
            worst(result.status for result in results),
            max(int(result.n_iter) for result in results),
            _history(results, nulls), solver, reason,
        )  # fmt: skip


def _weights(problems, points):
    """coef and intercept of a model from the points of its problems, each (W, b)."""
    models = [problem.unpack(*point) for problem, point in zip(problems, points, strict=True)]
    stored = stored_dtype(problems[0].data)
    coef, intercept = (np.concatenate(part).astype(stored, copy=False) for part in zip(*models, strict=True))
    return coef, intercept


def _so_far(problems, results, W, b):
    """What a callback needs of the model while a problem is at (W, b), None where that is not finite: later
    ones have their null models."""
    with np.errstate(over="ignore", invalid="ignore"):  # weights beyond the stored type, or NaN
        here = problems[len(results)].as_stored(W, b, stored_dtype(problems[0].data))
    if not all(np.isfinite(part).all() for part in here):
        return None
    points = [*((result.W, result.b) for result in results), here]
    points += [problem.start(np.float64) for problem in problems[len(points) :]]
    return dict(zip(("coef_", "intercept_"), _weights(problems, points), strict=True))


def worst(statuses):
    """Of several statuses, the one to tell the user of."""
    return max(statuses, key=list(ENDINGS).index)


def _history(results, nulls):
    """The histories of problems solved one after the other, as one: those not begun count with their null
    model, whose gap is its objective."""
    history = {"objective": [], "dual_gap": [], "time": []}
    objective = gap = 0.0
    for k, result in enumerate(results):
        left = sum(nulls[k + 1 :])
        history["objective"] += [objective + value + left for value in result.history["objective"]]
        history["dual_gap"] += [gap + value + left for value in result.history["dual_gap"]]
        history["time"] += result.history["time"]
        objective, gap = objective + result.objective, gap + result.dual_gap
    return history


def _null_result(problem, limits):
    """What is known without a pass over X when there is no time to begin: the null model. As the loss is
    never negative, its objective is a bound on its gap."""
    F, status = float(problem.null_objective), limits.reached
    W, b = problem.as_stored(*problem.start(np.float64), stored_dtype(problem.data))
    history = {"objective": [F], "dual_gap": [F], "time": [time.perf_counter() - limits.began]}
    return Result(W, b, F, F, 1.0, F == 0, "converged" if F == 0 else status, 0, history)


def _shape(problems):
    """Of the coefficients of a model with these problems."""
    return sum(problem.loss.n_columns for problem in problems), problems[0].data.d


def _kept(report, keeper, fitted, start, done):
    """A report that first keeps the best model so far in a checkpoint, if there is one; the score columns
    from `done` on, which later problems find, are kept as they were at the start."""
    if keeper is None:
        return report

    def keep(check):
        coef, intercept = fitted(check.W, check.b).values()
        if start is not None:
            coef[done:], intercept[done:] = start[0][done:], start[1][done:]
        keeper.keep(coef, intercept)
        return report is not None and report(check)

    return keep


class ConvexClassifier(LinearScores):
    """A linear classifier that is the optimum of a convex problem, or of one for each class, and knows how
    near it is.

    Subclasses have the parameters `fit_intercept`, `class_weight`, `tol`, `max_iter`, `scaling`, `n_threads`,
    `random_state` and `verbose`, `solver` unless they have a `_choose` of their own, and those that inherit
    `fit` also `warm_start`. They define

        _strengths()                                 factor of the losses, L1 and L2 strengths
        _problems(training, factor, l1, l2, data)    a list of LinearProblem, one for all score columns or one
                                                     for each; on that Data where the caller has it
    """

    objective_: float
    dual_gap_: float
    null_objective_: float
    converged_: bool
    status_: str
    n_iter_: Any
    history_: History
    solver_: str
    solver_reason_: str

    def fit(
        self,
        X: Features,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        max_time: float | None = None,
        *,
        checkpoint: File | None = None,
    ) -> Self:
        """Fits the model.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features), or Blocks
            uint8, float32 and float64 are read as they are, from memory or from a file that is mapped into
            it; CSR as float32 or float64. LogisticRegression takes :class:`fastlr.Blocks`, too, whatever
            their size, which hold labels and weights themselves.
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
        max_time : float, optional
            Seconds after which the fit ends with the best model so far and its certificate. They are
            exceeded by the time of one certificate at most, where that is not yet known. Where each class
            has a problem of its own, classes not yet begun have the model without features.
        checkpoint : str or path-like, optional
            A file for the weights while the fit runs and at its end. Where it is there already, the fit
            starts from its weights: one that was killed goes on, when it is called again, and comes to the
            same optimum.

        Returns
        -------
        self
            After a KeyboardInterrupt, too, with the best model so far and a warning.

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        limits = Limits.of(max_time)
        self._check_parameters(max_time)
        training = self._training(X, y, sample_weight)
        problems = self._problems(training, *self._strengths())
        start = self._last_solution(problems, training.classes)
        keeper = None if checkpoint is None else Checkpoint(checkpoint, training.classes)
        if keeper is not None:
            start = keeper.load(_shape(problems)) or start
        subtasks = self.max_iter + 1 if len(problems) == 1 else len(problems)
        deadline = limits.began + limits.max_time
        known = {**training.attributes, "classes_": training.classes}
        with progress_of(self, subtasks, (X, y, sample_weight), known, deadline) as progress:
            solution = self._solve(problems, limits, start, progress, keeper)
            self._set(training, solution)
        if keeper is not None:
            keeper.keep(solution.coef, solution.intercept, is_last=True)
        if solution.status not in ("converged", "stopped"):
            self._warn()
        return self

    def _training(self, X, y, sample_weight):
        """The checked data of a fit."""
        return validate.training(self, X, y, sample_weight)

    def _check_parameters(self, max_time=None):
        """Raises ValueError for a parameter that makes no sense."""
        number = validate.check_number
        validate.check_choice("scaling", self.scaling, validate.SCALINGS)
        number("tol", self.tol, low=0, what="a number that is not negative")
        number("max_iter", self.max_iter, numbers.Integral, 0, what="an integer that is not negative")
        validate.check_flags(self, "fit_intercept", "warm_start")
        if max_time is not None:
            number("max_time", max_time, low=0, low_open=True, what="None or a positive number of seconds")

    def _choose(self, problems):
        """The solver of all problems of a model, and why that one."""
        return choose(self.solver, problems[0], self.tol)

    def _last_solution(self, problems, classes):
        """(coef, intercept) of the last fit, where `warm_start` asks for it and it fits, or None."""
        if not self.warm_start or getattr(self, "coef_", np.empty(0)).shape != _shape(problems):
            return None
        if not np.array_equal(self.classes_, classes):
            return None
        coef = as_dense(self.coef_)
        if not (np.isfinite(coef).all() and np.isfinite(self.intercept_).all()):
            raise ValueError(
                "warm_start=True needs finite weights to start from; coef_ or intercept_ is not."
            )
        return coef, np.broadcast_to(self.intercept_, len(coef))

    def _solve(self, problems, limits, start, progress, keeper=None):
        """Solves the problems one after the other, from the null model or from (coef, intercept).

        Problems that a start is given for are begun even when a limit is reached, so that it is certified.
        """
        solver, reason = self._choose(problems)
        progress.say(f"[fastlr] {reason}")
        seed = validate.random_state(self.random_state).randint(2**31)
        results, last, stop = [], 0, False
        for k, problem in enumerate(problems):
            first, last = last, last + problem.loss.n_columns
            if results and start is None and limits.reached:
                results.append(_null_result(problem, limits))
                continue
            part = None if start is None else [values[first:last] for values in start]
            inner, max_iter = progress.problem(k, len(problems), self.max_iter), 0 if stop else self.max_iter
            fitted = partial(_so_far, problems, tuple(results))
            report = inner.checks(problem, max_iter, fitted)
            on_check = _kept(report, keeper, fitted, start, last)
            result = self._minimise(problem, solver, part, seed, limits, max_iter, report, on_check)
            if stop and not result.converged:
                result = replace(result, status="stopped")
            results.append(result)
            if report is not None:
                report.close()
            if inner.task is not progress.task:
                stop |= inner.task.end()
        return Solution.of(problems, results, solver.name, reason)

    def _minimise(self, problem, solver, start, seed, limits, max_iter, report, on_check):
        """The result for one problem."""
        further = goal(problem, solver, self.tol)
        dtype = work_dtype(problem, min(self.tol, further))
        W, b = problem.start(dtype)
        one_class = problem.null_objective == 0
        if one_class:  # all weight is in one class: the null model is as good as can be stored
            max_iter = 0
        elif start is not None:
            W[:] = start[0]
            if problem.fit_intercept:
                b[:] = start[1] + problem.offset(start[0].astype(np.float64))
        elif self.max_iter == 0:  # as in scikit-learn, where nothing is known without an iteration
            b[:] = 0
        steps = solver.steps(problem, W, b, np.random.default_rng(seed), dtype)
        result = minimise(
            problem, _watched(steps, limits.stop, report), W, b, tol=self.tol, goal=further,
            max_iter=max_iter, max_time=limits.max_time, began=limits.began, pace=solver.pace,
            stored=stored_dtype(problem.data), report=on_check,
        )  # fmt: skip
        if result.status == "interrupted":
            limits.stop.set()
        return replace(result, converged=True, status="converged") if one_class else result

    def _n_iter(self, count):
        """n_iter_ as this estimator shows it."""
        return count

    def _set(self, training, solution, **others):
        """Sets the attributes of a fit, those of the `solution` unless there is none; no trace is left of an
        earlier one."""
        found = {**training.attributes, "classes_": training.classes}
        if solution is not None:
            found |= {
                "coef_": solution.coef,
                "intercept_": solution.intercept,
                "objective_": solution.objective,
                "dual_gap_": solution.dual_gap,
                "null_objective_": solution.null_objective,
                "converged_": solution.converged,
                "status_": solution.status,
                "n_iter_": self._n_iter(solution.n_iter),
                "history_": solution.history,
                "solver_": solution.solver,
                "solver_reason_": solution.reason,
            }
        attributes = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        # At once, lest an interrupt leave half of a fit.
        self.__dict__ = {**attributes, **found, **others}

    def _ending(self):
        """What ended the fit, and what can be done about it."""
        what, advice = ENDINGS[self.status_]
        return what.format(max_iter=self.max_iter), advice

    def _warn(self):
        what, advice = self._ending()
        warnings.warn(
            f"{self.solver_} stopped after {np.sum(self.n_iter_)} iterations ({what}) with a duality gap of "
            f"{self.dual_gap_:.3g}, {relative(self.dual_gap_, self.null_objective_)} of the null objective "
            f"where tol={self.tol:g} was asked for. {advice}",
            ConvergenceWarning,
            stacklevel=3,  # the line that calls fit
        )

    def explain(self) -> str:
        """Which solver ran and why, how it ended, and how far the model can be from the optimum; of a grid
        also what was chosen from it.

        Returns
        -------
        text : str
            A few lines.

        Raises
        ------
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastlr import LogisticRegression
        >>> print(LogisticRegression(penalty="l1").fit(*load_iris(return_X_y=True)).explain())
        newton-cd: L1 penalty on 150 x 4 dense data, 3 classes; ...
        Converged after ... iterations and ... s.
        Objective ...: the optimum lies between ... and ...
        """
        check_is_fitted(self)
        return "\n".join(self._explanation())

    def _explanation(self):
        """The lines of `explain`."""
        what, advice = self._ending()
        ending = "Converged" if self.status_ == "converged" else "Stopped"
        ending += f" after {np.sum(self.n_iter_)} iterations and {self.history_['time'][-1]:.3g} s"
        ending += "." if self.status_ == "converged" else f": {what}. {advice}"
        return [self.solver_reason_, ending, *self._explain_bounds()]

    def _explain_bounds(self):
        """Lines on where the optimum lies."""
        low, high = max(self.objective_ - self.dual_gap_, 0.0), self.objective_
        lines = [f"Objective {high:.10g}: the optimum lies between {low:.10g} and {high:.10g}."]
        if self.null_objective_ > 0:
            lines.append(
                f"This gap of {self.dual_gap_:.3g} is {relative(self.dual_gap_, self.null_objective_)} of "
                f"{self.null_objective_:.6g}, the objective of the best model without features."
            )
        _, l1, l2 = self._strengths()
        if l1 == l2 == 0:
            lines.append("Without a penalty this bound is seldom tight, and a small gradient ends the fit.")
        if l1 > 0:
            coef = as_dense(self.coef_)
            lines.append(f"{np.count_nonzero(coef):,} of {coef.size:,} coefficients are not zero.")
        return lines
