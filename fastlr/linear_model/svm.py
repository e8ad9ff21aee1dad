"""Linear support vector machines with the squared hinge loss and a certificate; one class against the rest.

Shapes: n samples, d features, K score columns: one for two classes, else one per class.
"""

from dataclasses import replace
from typing import Literal

import numpy as np

from fastlr import peers, validate
from fastlr.base import feature_units
from fastlr.data import Data, thread_count
from fastlr.linear_model.convex import ConvexClassifier, centre
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import choose, describe
from fastlr.typing import ClassWeight, Scaling, Seed

PENALTIES = ("l1", "l2")


# Raced on MNIST, scikit-learn's small data and random rows: Newton's method wins where its Hessian is small
# and rows are many, as L-BFGS needs more passes over them.
_FEW_FEATURES, _MOST_FEATURES, _ROWS_PER_FEATURE = 60, 2000, 10


def method(problem):
    """The solver of a squared hinge problem, and why that one."""
    if problem.penalty.l1 > 0:
        return "newton-cd", "with an L1 penalty few weights matter, and Newton's method goes by these"
    data = problem.data
    if data.d <= _FEW_FEATURES or (data.d <= _MOST_FEATURES and data.n >= _ROWS_PER_FEATURE * data.d):
        return "newton-cd", "for so few features the whole Hessian is cheap"
    return "lbfgs", "the objective is smooth"


class LinearSVC(ConvexClassifier):
    """Linear support vector classification with the squared hinge loss and a certified optimum.

    For each score column, with targets t_i = 1 and -1 and weights s_i, minimises ::

        C sum_i s_i max(0, 1 - t_i (x_i w + b))^2 + |w|_1 + |b| / intercept_scaling,

    or, with penalty="l2", ``C sum_i ... + 1/2 |w|^2 + 1/2 (b / intercept_scaling)^2``. Two classes take one
    score column; K >= 3 classes take K problems of their own, each class against the rest, on the same X.

    Parameters
    ----------
    penalty : {"l1", "l2"}, default="l2"
    loss : "squared_hinge"
        The hinge itself is not smooth, and not offered.
    dual : {"auto", True, False}, default="auto"
        There is one optimum, and any value finds it; as in scikit-learn, True is refused for an L1 penalty.
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
        Objective at `coef_` and `intercept_`, the sum over the problems.
    dual_gap_ : float
        The optimum lies between `objective_ - dual_gap_` and `objective_`; in float64, the sum over the
        problems.
    converged_ : bool
        Whether the certificate of every problem satisfies `tol`.
    n_iter_ : int
        Most iterations that a problem has taken.
    null_objective_ : float
        Objective of the models that have an intercept only, the sum over the problems.
    status_ : str
        What ended the fit, as of LogisticRegression; of several problems what kept one from converging.
    history_ : dict of lists
        "objective", "dual_gap" and "time" (seconds) at each check, over all problems: those not yet begun
        count with the model that has an intercept only.
    solver_, solver_reason_ : str
        The solver that ran, and why that one.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Warns
    -----
    ConvergenceWarning
        If something else ends the fit first, such as `max_iter`, `max_time` or a KeyboardInterrupt;
        objective and gap are true nevertheless.

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
        penalty: Literal["l1", "l2"] = "l2",
        loss: Literal["squared_hinge"] = "squared_hinge",
        *,
        dual: bool | Literal["auto"] = "auto",
        tol: float = 1e-4,
        C: float = 1.0,
        multi_class: Literal["ovr"] = "ovr",
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        penalize_intercept: bool = True,
        class_weight: ClassWeight = None,
        max_iter: int = 1000,
        scaling: Scaling = None,
        n_threads: int | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int | bool | None = None,
    ) -> None:
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

    def _check_parameters(self, max_time=None):
        super()._check_parameters(max_time)
        validate.check_choice("penalty", self.penalty, PENALTIES)
        if isinstance(self.loss, str) and self.loss == "hinge":
            raise ValueError("loss must be 'squared_hinge', which is smooth; found 'hinge', which is not.")
        validate.check_choice("loss", self.loss, ("squared_hinge",))
        validate.check_choice("multi_class", self.multi_class, ("ovr",))
        if not isinstance(self.dual, np.bool_):
            validate.check_choice("dual", self.dual, ("auto", True, False))
        if self.dual != "auto" and self.dual and self.penalty == "l1":
            raise ValueError("dual=True does not go with penalty='l1'; use dual='auto'.")
        validate.check_flags(self, "penalize_intercept")
        for name in ("C", "intercept_scaling"):
            validate.check_strength(name, getattr(self, name), infinite=False)

    def _choose(self, problems):
        """The solver of all problems, and why that one."""
        name, because = method(problems[0])
        reason = f"{name}: {describe(problems[0])}; {because}"
        count = f"; {len(problems)} such problems, each of one class against the rest"
        return choose(name, problems[0], self.tol)[0], reason + (count if len(problems) > 1 else "") + "."

    def _peer(self):
        return peers.machine(self, float(self.C))

    def _strengths(self):
        """Factor of the losses, L1 and L2 strengths."""
        return float(self.C), float(self.penalty == "l1"), float(self.penalty == "l2")

    def _problems(self, training, factor, l1, l2, data=None):
        """The problem of each score column, with `factor` times the losses and these strengths."""
        classes, y = training.classes, training.y
        if data is None:
            data = Data(training.X, thread_count(self.n_threads))
            data.require_memory(len(classes) if len(classes) > 2 else 1, apart=len(classes) > 2)
        weight = validate.balanced(self.class_weight, classes, y, training.weight)
        # As of a StandardScaler, which knows no class weights.
        plain = Softmax(y, training.weight, len(classes))
        moments = data.moments(plain)
        is_penalised = bool(self.fit_intercept and self.penalize_intercept)
        units = feature_units(self.scaling, data.d, training.unit, moments)
        shift = centre(self.scaling, data, moments, self.fit_intercept and not is_penalised)
        penalty = ElasticNet(l1, l2, units, 1 / self.intercept_scaling if is_penalised else 0.0)
        problems = []
        for k in range(plain.n_columns):
            own = y == (1 if len(classes) == 2 else k)
            s = weight if len(classes) == 2 else np.where(own, weight, training.weight)
            loss = SquaredHinge(own.astype(np.int32), s)
            if self.class_weight is None:  # only the sums by label differ between the problems
                column = replace(moments, label_sums=moments.label_sums[k : k + 1])
            else:
                column = data.moments(loss)
            problem = LinearProblem(data, loss, penalty, column, shift, bool(self.fit_intercept))
            problems.append(problem.scaled(factor))
        return problems
