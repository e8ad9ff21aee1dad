"""Penalised multinomial logistic regression with a certificate."""

import numbers
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlr import validate
from fastlr.data import Data
from fastlr.linear_model.base import LinearClassifier, thread_count
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import SOLVERS, choose, minimise

# The certificate of weights found in float32 arithmetic stops improving near 4e-6 of the null objective.
_FLOAT32_TOL = 1e-5

PENALTIES = ("auto", "l1", "l2", "elasticnet", None)


def feature_units(scaling, data, unit, loss):
    """Units in which features are penalised for a `scaling`, under the weights of a loss."""
    if scaling == "standard":
        spread = np.sqrt(data.moments(loss).variance)
        spread[spread == 0] = 1.0
        return spread
    return np.full(data.d, unit if scaling == "unit" else 1.0)


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


class LogisticRegression(LinearClassifier):
    """Logistic regression, multinomial for three classes or more, with a certified optimum.

    Minimises C sum_i s_i loss_i + l1_ratio |W|_1 + (1 - l1_ratio)/2 |W|^2 over W and the intercept, which is
    never penalised; s_i is the weight of sample i times that of its class.

    Parameters
    ----------
    penalty : {"auto", "l1", "l2", "elasticnet", None}, default="auto"
        "auto" and "elasticnet" leave it to `l1_ratio`; "l1" and "l2" override that; None is no penalty,
        and `objective_` then is the plain sum of the losses.
    C : float, default=1.0
        Inverse strength of the penalty; `np.inf` is no penalty.
    l1_ratio : float in [0, 1], default=0.0
        Share of the L1 penalty.
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
    solver : {"auto", "saga", "lbfgs"}, default="auto"
        "saga" takes every penalty, "lbfgs" none with an L1 part; "auto" takes the faster one that can.
    tol : float, default=1e-4
        The fit ends when `dual_gap_` is at most `tol` times the objective of the best model that has an
        intercept only. Without a penalty, also when the largest gradient entry is at most `tol` times
        that at this model.
    max_iter : int, default=1000
        Most epochs or iterations.
    scaling : {None, "unit", "standard"}, default=None
        "unit" divides integers by the largest value of their type, "standard" acts as a StandardScaler
        before the fit. Penalty, objective and gap refer to the scaled weights, while `coef_` and
        `intercept_` act on X as it is, which is never copied.
    n_threads : int or None, default=None
        Threads of one fit or prediction; None is all processors. Results do not depend on it.
    random_state : int, RandomState or None, default=None
        Order in which "saga" visits the samples.
    warm_start : bool, default=False
        Start from the last solution, if it has the same shape and classes.
    verbose : int, default=0
        1 prints a line for each check of the certificate.

    Attributes
    ----------
    coef_ : array of shape (n_classes, n_features), or (1, n_features) for two classes
    intercept_ : array of shape (n_classes,) or (1,)
    classes_ : array of shape (n_classes,)
    objective_ : float
        Objective at `coef_` and `intercept_`.
    dual_gap_ : float
        The optimum lies between `objective_ - dual_gap_` and `objective_`; in float64.
    converged_ : bool
        Whether the certificate satisfies `tol`.
    n_iter_ : array of shape (1,)
        Epochs or iterations taken.
    history_ : dict of lists
        "objective", "dual_gap" and "time" (seconds) at each check.
    solver_ : str
        The solver that ran.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Warns
    -----
    ConvergenceWarning
        If `max_iter` is reached first; objective and gap are true nevertheless.

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
        penalty="auto",
        *,
        C=1.0,
        l1_ratio=0.0,
        fit_intercept=True,
        class_weight=None,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        scaling=None,
        n_threads=None,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.scaling = scaling
        self.n_threads = n_threads
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _check_parameters(self):
        validate.check_choice("penalty", self.penalty, PENALTIES)
        validate.check_choice("solver", self.solver, ("auto", *SOLVERS))
        validate.check_choice("scaling", self.scaling, validate.SCALINGS)
        validate.check_number("C", self.C, low=0, low_open=True, what="a positive number")
        # Smaller objectives than this would be denormal numbers.
        validate.check_number("tol", self.tol, low=0, what="a number that is not negative")
        if self.l1_ratio is not None:
            validate.check_number("l1_ratio", self.l1_ratio, low=0, high=1, what="a number in [0, 1]")
        validate.check_number(
            "max_iter", self.max_iter, numbers.Integral, 0, what="an integer that is not negative"
        )

    def _strengths(self):
        """Factor of the losses, L1 and L2 strengths."""
        if self.penalty is None or np.isinf(self.C):
            return 1.0, 0.0, 0.0
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty, self.l1_ratio or 0.0)
        return float(self.C), float(l1_ratio), 1.0 - l1_ratio

    def _problem(self, training):
        factor, l1, l2 = self._strengths()
        data = Data(training.X, thread_count(self.n_threads))
        weight = validate.balanced(self.class_weight, training.classes, training.y, training.weight)
        loss = Softmax(training.y, factor * weight, len(training.classes))
        # As of a StandardScaler, which knows no class weights.
        plain = Softmax(training.y, training.weight, len(training.classes))
        penalty = ElasticNet(l1, l2, feature_units(self.scaling, data, training.unit, plain))
        moments = data.moments(loss)
        shift = centre(self.scaling, data, moments, self.fit_intercept)
        return LinearProblem(data, loss, penalty, moments, shift, bool(self.fit_intercept))

    def _start(self, problem, classes, dtype):
        """The last solution, where `warm_start` asks for it and it fits, or the null model."""
        W, b = problem.start(dtype)
        same = self.warm_start and getattr(self, "coef_", W[:0]).shape == W.shape
        if same and np.array_equal(self.classes_, classes):
            W[:] = self.coef_
            if self.fit_intercept:
                b[:] = self.intercept_ + self.coef_ @ problem.shift
        return W, b

    def fit(self, X, y, sample_weight=None):
        """Fits the model.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
            uint8, float32 and float64 are read as they are; CSR as float32 or float64.
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        self._check_parameters()
        training = validate.training(self, X, y, sample_weight)
        problem = self._problem(training)
        solver = choose(self.solver, problem.penalty)
        stored = np.dtype(np.float32 if training.X.dtype == np.float32 else np.float64)
        dtype = problem.data.exact_dtype if self.tol >= _FLOAT32_TOL else np.dtype(np.float64)

        W, b = self._start(problem, training.classes, dtype)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        steps = solver.steps(problem, W, b, rng, dtype)
        result = minimise(
            problem, steps, W, b, tol=self.tol, max_iter=self.max_iter, stored=stored,
            report=self._report(problem) if self.verbose else None,
        )  # fmt: skip

        coef, intercept = problem.unpack(result.W, result.b)
        self.coef_ = coef.astype(stored, copy=False)
        self.intercept_ = intercept.astype(stored, copy=False)
        self.classes_ = training.classes
        self.objective_, self.dual_gap_ = float(result.objective), float(result.dual_gap)
        self.converged_, self.history_ = bool(result.converged), result.history
        self.n_iter_ = np.array([result.n_iter], dtype=np.int32)
        self.solver_ = solver.name
        for name, value in training.attributes.items():
            setattr(self, name, value)
        if not result.converged:
            self._warn(problem, result)
        return self

    def _report(self, problem):
        def report(n_iter, objective, gap):
            print(
                f"[fastlr] {n_iter:5d} iterations, objective {objective:.8g}, gap {gap:.3g} "
                f"({gap / problem.null_objective:.2e} of the null objective)",
                flush=True,
            )

        return report

    def _warn(self, problem, result):
        relative = result.dual_gap / problem.null_objective
        warnings.warn(
            f"{self.solver_} stopped after {result.n_iter} iterations (max_iter={self.max_iter}) with a "
            f"duality gap of {result.dual_gap:.3g}, {relative:.2e} of the null objective where "
            f"tol={self.tol:g} was asked for. Raise max_iter, loosen tol, or scale the features "
            f"(scaling='standard').",
            ConvergenceWarning,
            stacklevel=3,
        )
