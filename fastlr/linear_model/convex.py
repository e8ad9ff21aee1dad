"""What certified fits share: the problem, its solution, and what an estimator tells of it."""

import numbers
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastlr import validate
from fastlr.data import Data
from fastlr.linear_model.base import LinearClassifier, feature_units, thread_count
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import NAMES, Result, choose, minimise

# The certificate of weights found in float32 arithmetic stops improving near 4e-6 of the null objective.
_FLOAT32_TOL = 1e-5

PENALTIES = ("auto", "l1", "l2", "elasticnet", None)

# For each status of a Result: what happened, and what can be done about it.
_ENDINGS = {
    "converged": ("the gap is within tol", ""),
    "max_iter": (
        "max_iter={max_iter}",
        "Raise max_iter, loosen tol, or scale the features (scaling='standard').",
    ),
    "max_time": (
        "max_time was up",
        "Give fit a longer max_time, loosen tol, or fit again with warm_start=True to go on from here.",
    ),
    "interrupted": (
        "interrupted by the user",
        "Fit again with warm_start=True to go on from here.",
    ),
    "stalled": (
        "it could make no more progress",
        "Loosen tol, scale the features (scaling='standard'), or try another solver.",
    ),
    "diverged": (
        "it came to weights that are not finite",
        "Scale the features (scaling='standard'), lower C, or try another solver.",
    ),
}


def centre(scaling, data, moments, fit_intercept):
    """What to take from the features: their means, unless the model would change or X lose its zeros."""
    if scaling == "standard" and not fit_intercept and data.is_sparse:
        raise ValueError(
            "scaling='standard' centres the features, which sparse X without an intercept cannot hide; "
            "use fit_intercept=True or a dense X."
        )
    if data.is_sparse or not (fit_intercept or scaling == "standard"):
        return np.zeros(data.d)
    return moments.mean


@dataclass(frozen=True)
class Solution:
    """A problem, what `minimise` found for it, and which solver found it why."""

    problem: LinearProblem
    result: Result
    solver: str
    reason: str


class ConvexClassifier(LinearClassifier):
    """A linear classifier that is the optimum of a convex problem, and knows how near it is.

    Subclasses have the parameters `fit_intercept`, `class_weight`, `solver`, `tol`, `max_iter`, `scaling`,
    `n_threads`, `random_state` and `verbose`; those with a single strength of the penalty also `penalty`,
    `C`, `l1_ratio` and `warm_start`. A fit is

        self._check_penalty()
        self._check_parameters(max_time)
        training = validate.training(self, X, y, sample_weight)
        problem = self._problem(training, *self._strengths())
        solution = self._solve(problem, start, max_time, began)
        self._keep(training, solution)
    """

    _loss = Softmax  # called with class numbers, weights and the number of classes

    def _check_parameters(self, max_time=None):
        """Raises ValueError for a parameter that makes no sense."""
        number = validate.check_number
        validate.check_choice("solver", self.solver, NAMES)
        validate.check_choice("scaling", self.scaling, validate.SCALINGS)
        number("tol", self.tol, low=0, what="a number that is not negative")
        number("max_iter", self.max_iter, numbers.Integral, 0, what="an integer that is not negative")
        if max_time is not None:
            number("max_time", max_time, low=0, low_open=True, what="None or a positive number of seconds")

    def _check_penalty(self):
        """Raises ValueError for a single penalty that makes no sense."""
        validate.check_choice("penalty", self.penalty, PENALTIES)
        validate.check_number("C", self.C, low=0, low_open=True, what="a positive number")
        if self.l1_ratio is not None:
            validate.check_number("l1_ratio", self.l1_ratio, low=0, high=1, what="a number in [0, 1]")

    def _strengths(self):
        """Factor of the losses, L1 and L2 strengths."""
        if self.penalty is None or np.isinf(self.C):
            return 1.0, 0.0, 0.0
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty, self.l1_ratio or 0.0)
        return float(self.C), float(l1_ratio), 1.0 - l1_ratio

    def _problem(self, training, factor, l1, l2):
        """The problem with `factor` times the losses and these strengths of the penalty."""
        data = Data(training.X, thread_count(self.n_threads))
        weight = validate.balanced(self.class_weight, training.classes, training.y, training.weight)
        loss = self._loss(training.y, factor * weight, len(training.classes))
        # As of a StandardScaler, which knows no class weights.
        plain = self._loss(training.y, training.weight, len(training.classes))
        penalty = ElasticNet(l1, l2, feature_units(self.scaling, data, training.unit, plain))
        moments = data.moments(loss)
        shift = centre(self.scaling, data, moments, self.fit_intercept)
        return LinearProblem(data, loss, penalty, moments, shift, bool(self.fit_intercept))

    def _last_solution(self, problem, classes):
        """(W, b) of the last fit, where `warm_start` asks for it and it fits, or None."""
        W, b = problem.start(np.float64)
        if not self.warm_start or getattr(self, "coef_", W[:0]).shape != W.shape:
            return None
        if not np.array_equal(self.classes_, classes):
            return None
        coef = self.coef_.astype(np.float64)
        return coef, (self.intercept_ + coef @ problem.shift if self.fit_intercept else b)

    def _solve(self, problem, start=None, max_time=None, began=None):
        """Solves a problem from (W, b), or from the null model; see `minimise` for the times."""
        solver, reason = choose(self.solver, problem, self.tol)
        if self.verbose:
            print(f"[fastlr] {reason}", flush=True)
        dtype = problem.data.exact_dtype if self.tol >= _FLOAT32_TOL else np.dtype(np.float64)
        W, b = problem.start(dtype)
        if start is not None:
            W[:], b[:] = start
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        result = minimise(
            problem, solver.steps(problem, W, b, rng, dtype), W, b, tol=self.tol, max_iter=self.max_iter,
            max_time=max_time, began=began, every_step=solver.every_step, stored=_stored(problem),
            report=_printer(problem) if self.verbose else None,
        )  # fmt: skip
        return Solution(problem, result, solver.name, reason)

    def _keep(self, training, solution):
        """Sets the attributes of a fit; warns if it has not converged. To be called by `fit` itself."""
        problem, result, stored = solution.problem, solution.result, _stored(solution.problem)
        coef, intercept = problem.unpack(result.W, result.b)
        self.coef_ = coef.astype(stored, copy=False)
        self.intercept_ = intercept.astype(stored, copy=False)
        self.classes_ = training.classes
        self.objective_, self.dual_gap_ = float(result.objective), float(result.dual_gap)
        self.null_objective_ = float(problem.null_objective)
        self.converged_, self.status_ = bool(result.converged), result.status
        self.n_iter_ = np.array([result.n_iter], dtype=np.int32)
        self.history_ = result.history
        self.solver_, self.solver_reason_ = solution.solver, solution.reason
        for name, value in training.attributes.items():
            setattr(self, name, value)
        if result.status != "converged":
            self._warn()

    def _ending(self):
        """What ended the fit, and what can be done about it."""
        what, advice = _ENDINGS[self.status_]
        return what.format(max_iter=self.max_iter), advice

    def _warn(self):
        what, advice = self._ending()
        warnings.warn(
            f"{self.solver_} stopped after {np.sum(self.n_iter_)} iterations ({what}) with a duality gap of "
            f"{self.dual_gap_:.3g}, {_relative(self.dual_gap_, self.null_objective_)} of the null objective "
            f"where tol={self.tol:g} was asked for. {advice}",
            ConvergenceWarning,
            stacklevel=4,  # the line that calls fit, which calls _keep
        )

    def explain(self):
        """Which solver ran and why, how it ended, and how far the model can be from the optimum.

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
        saga: L1 penalty on 150 x 4 dense data, 3 classes; ...
        Converged after ... iterations and ... s.
        Objective ...: the optimum lies between ... and ...
        """
        check_is_fitted(self)
        low, high = max(self.objective_ - self.dual_gap_, 0.0), self.objective_
        what, advice = self._ending()
        ending = "Converged" if self.status_ == "converged" else "Stopped"
        ending += f" after {np.sum(self.n_iter_)} iterations and {self.history_['time'][-1]:.3g} s"
        ending += "." if self.status_ == "converged" else f": {what}. {advice}"
        lines = [
            self.solver_reason_,
            ending,
            f"Objective {high:.10g}: the optimum lies between {low:.10g} and {high:.10g}.",
        ]
        if self.null_objective_ > 0:
            lines.append(
                f"This gap of {self.dual_gap_:.3g} is {_relative(self.dual_gap_, self.null_objective_)} of "
                f"{self.null_objective_:.6g}, the objective of the best model without features."
            )
        _, l1, l2 = self._strengths()
        if l1 == l2 == 0:
            lines.append("Without a penalty this bound is seldom tight, and a small gradient ends the fit.")
        if l1 > 0:
            lines.append(
                f"{np.count_nonzero(self.coef_):,} of {self.coef_.size:,} coefficients are not zero."
            )
        return "\n".join(lines)


def _stored(problem):
    """The type of coef_."""
    return np.dtype(np.float32 if problem.data.X.dtype == np.float32 else np.float64)


def _relative(gap, null_objective):
    """A gap as a share of the null objective, which is zero where a single class has all weight."""
    return f"{gap / null_objective:.2e}" if null_objective > 0 else "more than all"


def _printer(problem):
    """Prints a line for each check."""

    def report(n_iter, objective, gap):
        print(
            f"[fastlr] {n_iter:5d} iterations, objective {objective:.8g}, gap {gap:.3g} "
            f"({_relative(gap, problem.null_objective)} of the null objective)",
            flush=True,
        )

    return report
