"""Linear support vector machines with the squared hinge loss and a certificate; one class against the rest.

Shapes: n samples, d features, K score columns: one for two classes, else one per class.
"""

import numbers
import warnings
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlr import validate
from fastlr.data import Data
from fastlr.linear_model.base import LinearScores, thread_count
from fastlr.linear_model.logistic import _FLOAT32_TOL as FLOAT32_TOL
from fastlr.linear_model.logistic import feature_units
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import SOLVERS, choose, minimise

# The method for each penalty.
METHODS = {"l1": "newton-cd", "l2": "lbfgs"}


class LinearSVC(LinearScores):
    """Linear support vector classification with the squared hinge loss and a certified optimum.

    For each score column, with targets t_i = 1 and -1 and weights s_i, minimises

        C sum_i s_i max(0, 1 - t_i (x_i w + b))^2 + |w|_1 + |b| / intercept_scaling,

    or, with penalty="l2", C sum_i ... + 1/2 |w|^2 + 1/2 (b / intercept_scaling)^2. Two classes take one score
    column; K >= 3 classes take K problems of their own, each class against the rest, on the same X.

    Parameters
    ----------
    penalty : {"l1", "l2"}, default="l2"
    loss : "squared_hinge"
        The hinge itself is not smooth, and not offered.
    dual : {"auto", True, False}, default="auto"
        Taken for the sake of scikit-learn's interface; there is one optimum, and any value finds it.
    tol : float, default=1e-4
        A problem is solved when its duality gap is at most `tol` times the objective of its best model that
        has an intercept only.
    C : float, default=1.0
        Inverse strength of the penalty.
    multi_class : "ovr"
        One class against the rest.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1.0
        The intercept is the weight of a feature that has this value everywhere: the larger, the weaker its
        penalty.
    penalize_intercept : bool, default=True
        False leaves the intercept out of the penalty.
    class_weight : dict, "balanced" or None, default=None
        Multiplies the weights of the samples of a class; in a problem of one class against the rest, those of
        this class only, as in scikit-learn.
    max_iter : int, default=1000
        Most iterations of a problem.
    scaling : {None, "unit", "standard"}, default=None
        "unit" divides integers by the largest value of their type, "standard" acts as a StandardScaler
        before the fit. Penalty, objective and gap refer to the scaled weights, while `coef_` and
        `intercept_` act on X as it is, which is never copied.
    n_threads : int or None, default=None
        Threads of one fit or prediction; None is all processors. Results do not depend on it.
    random_state : int, RandomState or None, default=None
        Solvers that draw at random draw from it.
    warm_start : bool, default=False
        Start from the last solution, if it has the same shape and classes.
    verbose : int, default=0
        1 prints a line for each check of a certificate.

    Attributes
    ----------
    coef_ : array of shape (n_classes, n_features), or (1, n_features) for two classes
    intercept_ : array of shape (n_classes,) or (1,)
    classes_ : array of shape (n_classes,)
    objective_ : float
        Objective at `coef_` and `intercept_`, the sum over the problems.
    dual_gap_ : float
        The optimum lies between `objective_ - dual_gap_` and `objective_`; in float64, the sum over the
        problems.
    converged_ : bool
        Whether the certificate of every problem satisfies `tol`.
    n_iter_ : int
        Most iterations that a problem has taken.
    history_ : dict of lists
        "objective", "dual_gap" and "time" (seconds) at each check, over all problems: those not yet begun
        count with the model that has an intercept only.
    solver_ : str
        The solver that ran.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Warns
    -----
    ConvergenceWarning
        If `max_iter` is reached first; objective and gap are true nevertheless.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LinearSVC
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LinearSVC(C=0.1).fit(X, y)
    >>> clf.converged_
    True
    >>> clf.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        penalty="l2",
        loss="squared_hinge",
        *,
        dual="auto",
        tol=1e-4,
        C=1.0,
        multi_class="ovr",
        fit_intercept=True,
        intercept_scaling=1.0,
        penalize_intercept=True,
        class_weight=None,
        max_iter=1000,
        scaling=None,
        n_threads=None,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.penalty = penalty
        self.loss = loss
        self.dual = dual
        self.tol = tol
        self.C = C
        self.multi_class = multi_class
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.penalize_intercept = penalize_intercept
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.scaling = scaling
        self.n_threads = n_threads
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _check_parameters(self):
        validate.check_choice("penalty", self.penalty, [name for name in METHODS if METHODS[name] in SOLVERS])
        if isinstance(self.loss, str) and self.loss == "hinge":
            raise ValueError("loss must be 'squared_hinge', which is smooth; found 'hinge', which is not.")
        validate.check_choice("loss", self.loss, ("squared_hinge",))
        validate.check_choice("multi_class", self.multi_class, ("ovr",))
        validate.check_choice("scaling", self.scaling, validate.SCALINGS)
        for name in ("C", "intercept_scaling"):
            validate.check_number(
                name, getattr(self, name), low=0, high=np.finfo(float).max, low_open=True,
                what="a positive number",
            )  # fmt: skip
        validate.check_number("tol", self.tol, low=0, what="a number that is not negative")
        validate.check_number(
            "max_iter", self.max_iter, numbers.Integral, 0, what="an integer that is not negative"
        )

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
        data = Data(training.X, thread_count(self.n_threads))
        self._fit(self._problems(data, training, training.weight), training, self.C)
        return self

    def _fit(self, problems, training, C):
        """Solves the problems at C and sets the attributes."""
        problems = [problem.scaled(C) for problem in problems]
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        starts = self._starts(problems, training.classes)
        results = [self._minimise(p, *start, rng) for p, start in zip(problems, starts, strict=True)]
        parts = [p.unpack(r.W, r.b) for p, r in zip(problems, results, strict=True)]
        stored = _stored(training.X)
        self.coef_ = np.vstack([coef for coef, _ in parts]).astype(stored, copy=False)
        self.intercept_ = np.concatenate([b for _, b in parts]).astype(stored, copy=False)
        self.classes_ = training.classes
        self.objective_ = float(sum(result.objective for result in results))
        self.dual_gap_ = float(sum(result.dual_gap for result in results))
        self.converged_ = all(bool(result.converged) for result in results)
        self.n_iter_ = max(int(result.n_iter) for result in results)
        self.history_ = _history(problems, results)
        self.solver_ = METHODS[self.penalty]
        for name, value in training.attributes.items():
            setattr(self, name, value)
        if not self.converged_:
            warnings.warn(
                f"{self.solver_} stopped after {self.n_iter_} iterations (max_iter={self.max_iter}) with a "
                f"duality gap of {self.dual_gap_:.3g}, where tol={self.tol:g} of the objective of the model "
                f"that has an intercept only was asked for. Raise max_iter, loosen tol, or scale the "
                f"features (scaling='standard').",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _problems(self, data, training, weight):
        """The problem of each score column at C = 1, for these weights of the samples."""
        classes, y = training.classes, training.y
        # As of a StandardScaler, which knows no class weights.
        plain = Softmax(y, weight, len(classes))
        moments = data.moments(plain)
        units = feature_units(self.scaling, data, training.unit, plain)
        is_penalised = bool(self.fit_intercept and self.penalize_intercept)
        shift = self._shift(data, moments, free=self.fit_intercept and not is_penalised)
        penalty = ElasticNet(
            float(self.penalty == "l1"), float(self.penalty == "l2"), units,
            1 / self.intercept_scaling if is_penalised else 0.0,
        )  # fmt: skip
        factors = self._class_factors(classes, y, weight)
        problems = []
        for k in range(plain.n_columns):
            own = y == (1 if len(classes) == 2 else k)
            s = weight * (factors[y] if len(classes) == 2 else np.where(own, factors[k], 1.0))
            loss = SquaredHinge(own.astype(np.int32), s)
            if np.all(factors == 1):  # only the sums by label differ between the problems
                column = replace(moments, label_sums=moments.label_sums[k : k + 1])
            else:
                column = data.moments(loss)
            problems.append(LinearProblem(data, loss, penalty, column, shift, bool(self.fit_intercept)))
        return problems

    def _shift(self, data, moments, free):
        """The column means, unless the model would change or X lose its zeros."""
        if self.scaling == "standard" and not free and data.is_sparse:
            raise ValueError(
                "scaling='standard' centres the features, which sparse X hides only in an intercept that is "
                "not penalised; use fit_intercept=True with penalize_intercept=False, or a dense X."
            )
        if data.is_sparse or not (free or self.scaling == "standard"):
            return np.zeros(data.d)
        return moments.mean

    def _class_factors(self, classes, y, weight):
        """Weights of the classes; a class without samples has 1."""
        K = len(classes)
        if not (isinstance(self.class_weight, str) and self.class_weight == "balanced"):
            return validate.balanced(self.class_weight, classes, np.arange(K), np.ones(K))
        mass = np.bincount(y, weight, K)
        present = mass > 0
        mean = mass.sum() / np.count_nonzero(present)
        return np.divide(mean, mass, out=np.ones(K), where=present)

    def _starts(self, problems, classes):
        """(W, b) for each problem: the last solution, where `warm_start` asks for it and it fits, or the null
        model."""
        starts = [problem.start(np.float64) for problem in problems]
        shape = len(problems), problems[0].data.d
        same = self.warm_start and getattr(self, "coef_", np.empty(0)).shape == shape
        if same and np.array_equal(self.classes_, classes):
            for k, (W, b) in enumerate(starts):
                W[:] = self.coef_[k]
                if self.fit_intercept:
                    b[:] = self.intercept_[k] + W @ problems[k].shift
        return starts

    def _minimise(self, problem, W, b, rng):
        """The result for one problem from that start."""
        exact = problem.data.exact_dtype
        dtype = exact if self.tol >= FLOAT32_TOL else np.dtype(np.float64)
        W, b = problem.data.weights(len(b), dtype) + W.astype(dtype), b.astype(dtype)
        steps = choose(METHODS[self.penalty], problem.penalty).steps(problem, W, b, rng, dtype)
        return minimise(
            problem, steps, W, b, tol=self.tol, max_iter=self.max_iter, stored=_stored(problem.data.X),
            report=_report if self.verbose else None,
        )  # fmt: skip


def _stored(X):
    """The type of coef_."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def _report(n_iter, objective, gap):
    print(f"[fastlr] {n_iter:5d} iterations, objective {objective:.8g}, gap {gap:.3g}", flush=True)


def _history(problems, results):
    """The histories of problems solved one after the other, as one: those not begun count with their null
    model, whose gap is its objective."""
    nulls = [problem.null_objective for problem in problems]
    history = {"objective": [], "dual_gap": [], "time": []}
    done = {"objective": 0.0, "dual_gap": 0.0, "time": 0.0}
    for k, result in enumerate(results):
        left = sum(nulls[k + 1 :])
        for name, values in result.history.items():
            rest = 0.0 if name == "time" else left
            history[name] += [done[name] + value + rest for value in values]
        done["objective"] += result.objective
        done["dual_gap"] += result.dual_gap
        done["time"] = history["time"][-1]
    return history
