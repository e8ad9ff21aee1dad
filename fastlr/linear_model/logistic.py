"""Penalised multinomial logistic regression with a certificate."""

import warnings
from typing import Literal

import numpy as np

from fastlr import blocks, validate
from fastlr.base import feature_units
from fastlr.data import thread_count
from fastlr.linear_model.base import LinearClassifier
from fastlr.linear_model.convex import ConvexClassifier, centre
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import NAMES
from fastlr.typing import ClassWeight, Scaling, Seed

PENALTIES = ("auto", "l1", "l2", "elasticnet", None)
_ONLY_PRIMAL = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")


class LogisticRegression(ConvexClassifier, LinearClassifier):
    """Logistic regression, multinomial for three classes or more, with a certified optimum.

    Minimises ``C sum_i s_i loss_i + l1_ratio |W|_1 + (1 - l1_ratio)/2 |W|^2`` over W and the intercept, which
    is never penalised; s_i is the weight of sample i times that of its class.

    Parameters
    ----------
    penalty : {"auto", "l1", "l2", "elasticnet", None}, default="auto"
        "auto" and "elasticnet" leave it to `l1_ratio`; "l1" and "l2" override that; None is no penalty,
        and `objective_` then is the plain sum of the losses. "deprecated" is scikit-learn's word for "auto".
    C : float, default=1.0
        Inverse strength of the penalty; `np.inf` is no penalty.
    l1_ratio : float in [0, 1], default=0.0
        Share of the L1 penalty.
    dual : bool, default=False
        There is one optimum, which either value finds; refused with solvers whose namesakes in scikit-learn
        refuse it.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1.0
        Without effect, as the intercept is never penalised.
    class_weight : dict, "balanced" or None, default=None
    multi_class : {"auto", "multinomial", "deprecated"}, default="auto"
        All the same; for "ovr" there is scikit-learn's OneVsRestClassifier.
    solver : str, default="auto"
        One of "auto", "saga", "newton-cd", "lbfgs", "cg", "newton-cg", "sdca" and "subsampled". "saga",
        "newton-cd" and "subsampled" take every penalty, the others none with an L1 part, and "sdca"
        needs an L2 penalty; Blocks take "subsampled", "lbfgs" or "cg". "auto" goes by the problem, and
        `explain()` tells why. scikit-learn's other names stand for what is nearest to them: "sag"
        for "saga", "newton-cholesky" and, with two classes, "liblinear" for "newton-cd".
    tol : float, default=1e-4
        The fit ends when `dual_gap_` is at most `tol` times the objective of the best model that has an
        intercept only. Without a penalty, also when the largest gradient entry is at most `tol` times
        that at this model.
    max_iter : int, default=1000
        Most epochs or iterations. 0 gives the model to start from: that of the last fit with `warm_start`, or
        zeros.
    scaling : {None, "unit", "standard"}, default=None
        "unit" divides integers by the largest value of their type, "standard" acts as a StandardScaler
        before the fit. Penalty, objective and gap refer to the scaled weights, while `coef_` and
        `intercept_` act on X as it is, which is never copied.
    n_threads : int or None, default=None
        Threads of one fit or prediction; None is all processors. Results do not depend on it.
    n_jobs : int or None, default=None
        Without effect, as in scikit-learn; see `n_threads`.
    random_state : int, RandomState or None, default=None
        Order in which "saga" visits the samples, and those that "subsampled" draws.
    warm_start : bool, default=False
        Start from the last solution, if it has the same shape and classes.
    verbose : int, bool or None, default=None
        1 prints the choice of the solver and a line for each check of a certificate; 0 is silence. None shows
        objective, gap and the time that the fit may still take in one line on the terminal, if there is one,
        and clears it.

    Attributes
    ----------
    coef_ : array of shape (n_classes, n_features), or (1, n_features) for two classes
    intercept_ : array of shape (n_classes,) or (1,)
    classes_ : array of shape (n_classes,)
    objective_ : float
        Objective at `coef_` and `intercept_`.
    dual_gap_ : float
        The optimum lies between `objective_ - dual_gap_` and `objective_`; in float64.
    null_objective_ : float
        Objective of the best model without features, the yardstick of `tol`.
    converged_ : bool
        Whether the certificate satisfies `tol`.
    status_ : str
        What ended the fit: "converged", "max_iter", "max_time", "interrupted", "stopped" (a callback asked
        for it), "stalled" (the solver could make no more progress) or "diverged" (it came to weights that are
        not finite).
    n_iter_ : array of shape (1,)
        Epochs or iterations taken.
    history_ : dict of lists
        "objective", "dual_gap" and "time" (seconds) at each check.
    solver_ : str
        The solver that ran.
    solver_reason_ : str
        Why that one.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Warns
    -----
    ConvergenceWarning
        If something else ends the fit first, such as `max_iter`, `max_time` or a KeyboardInterrupt;
        objective and gap are true nevertheless.
    UserWarning
        If `penalty` leaves a `C` or an `l1_ratio` without effect.

    Notes
    -----
    From scikit-learn 1.9 on, `set_callbacks` takes its callbacks, such as ProgressBar and ScoringMonitor.
    Each iteration is a task to them, with the iterate before and after it, which need not be the best so far;
    there a callback may end the fit. The last of these tasks is empty, as in scikit-learn. In LinearSVC the
    iterations of a class are within a task, and in LogisticRegressionCV and LinearSVCCV each fit on a fold is
    one.

    References
    ----------
    The certificate is derived in docs/math.md. SAGA: Defazio, Bach and Lacoste-Julien, NeurIPS 2014.
    L-BFGS: Liu and Nocedal, Mathematical Programming 45, 1989.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LogisticRegression(penalty="l1", C=1.0).fit(X, y)
    >>> clf.converged_
    True
    >>> clf.score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        penalty: Literal["auto", "l1", "l2", "elasticnet"] | None = "auto",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: ClassWeight = None,
        multi_class: Literal["auto", "multinomial"] = "auto",
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        scaling: Scaling = None,
        n_threads: int | None = None,
        n_jobs: int | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int | bool | None = None,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.multi_class = multi_class
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.scaling = scaling
        self.n_threads = n_threads
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _check_parameters(self, max_time=None):
        super()._check_parameters(max_time)
        validate.check_choice("solver", self.solver, NAMES)
        validate.check_choice("penalty", self.penalty, (*PENALTIES, "deprecated"))
        validate.check_choice("multi_class", self.multi_class, ("auto", "multinomial", "deprecated"))
        for name in ("C", "intercept_scaling"):
            validate.check_strength(name, getattr(self, name), infinite=name == "C")
        if self.l1_ratio is not None or self.penalty == "elasticnet":
            validate.check_number("l1_ratio", self.l1_ratio, low=0, high=1, what="a number in [0, 1]")
        validate.check_jobs(self.n_jobs)
        validate.check_flags(self, "dual")
        if self.dual and self.solver in _ONLY_PRIMAL:
            raise ValueError(f"dual=True does not go with solver={self.solver!r}; use solver='auto'.")
        self._warn_of_overridden()

    def _warn_of_overridden(self):
        """A C or an l1_ratio that is not the default and that `penalty` leaves without effect."""
        forced, ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty), self.l1_ratio or 0.0
        found = []
        if self.penalty is None and self.C != 1.0:
            found.append(f"C={self.C:g}")
        if self.penalty is None or forced is not None:
            found += [f"l1_ratio={ratio:g}"] * (ratio not in (0.0, forced))
        if found:
            text = f"{' and '.join(found)} without effect: penalty={self.penalty!r} overrides it."
            warnings.warn(text, UserWarning, stacklevel=4)  # the line that calls fit

    def _strengths(self):
        """Factor of the losses, L1 and L2 strengths."""
        if self.penalty is None or np.isinf(self.C):
            return 1.0, 0.0, 0.0
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty, self.l1_ratio or 0.0)
        return float(self.C), float(l1_ratio), 1.0 - l1_ratio

    def _training(self, X, y, sample_weight):
        return blocks.training(self, X, y, sample_weight)

    def _problems(self, training, factor, l1, l2, data=None):
        """The one problem of all classes, with `factor` times the losses and these strengths."""
        plain, loss = blocks.losses(training, self.class_weight)
        loss = loss.times(factor)
        if data is None:
            data = blocks.data(training, thread_count(self.n_threads))
            if data.is_whole:
                data.require_memory(loss.n_columns)
        # As of a StandardScaler, which knows no class weights.
        moments = spread = data.moments(loss)
        if self.scaling == "standard" and self.class_weight is not None:
            spread = data.moments(plain)
        penalty = ElasticNet(l1, l2, feature_units(self.scaling, data.d, training.unit, spread))
        shift = centre(self.scaling, data, moments, self.fit_intercept)
        return [LinearProblem(data, loss, penalty, moments, shift, bool(self.fit_intercept))]

    def _n_iter(self, count):
        # An array, as in scikit-learn.
        return np.array([count], dtype=np.int32)
