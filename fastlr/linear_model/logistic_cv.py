"""Logistic regression whose C and l1_ratio are chosen by cross-validation.

Shapes: K score columns, F folds, L values of l1_ratio, m values of C.
"""

import copy
from collections.abc import Callable
from inspect import signature
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer, log_loss

from fastlr import validate
from fastlr.linear_model.base import LinearClassifier
from fastlr.linear_model.folds import GridClassifier
from fastlr.linear_model.logistic import LogisticRegression
from fastlr.linear_model.path import PENALTIES, automatic_grid, check_grid
from fastlr.losses import Softmax
from fastlr.typing import ClassWeight, Features, Floats, Scaling, Seed

RULES = ("best", "1se")


def _accuracy(loss, correct, mass):
    return correct / mass


def _neg_log_loss(loss, correct, mass):
    return -loss / mass


# Scores that follow from one pass over X for each model, without predictions.
_FUSED = {None: _accuracy, "accuracy": _accuracy, "neg_log_loss": _neg_log_loss}


def _with_labels(scorer, classes):
    """The scorer, whose metric is told of all classes if it asks for `labels`, as a fold may lack some."""
    metric = getattr(scorer, "_score_func", None)
    parameters = signature(metric).parameters if metric else ()
    if "labels" not in parameters:
        return scorer
    told = {"labels": classes}
    if len(classes) == 2 and "pos_label" in parameters:
        told["pos_label"] = classes[1]
    scorer = copy.copy(scorer)
    scorer._kwargs = told | scorer._kwargs
    return scorer


def _highest(scores, Cs):
    """Index (l, c) of the highest of scores (L, m); of equal ones the smallest C, as scikit-learn."""
    order = np.argsort(Cs, kind="stable")
    ranked = np.where(np.isnan(scores), -np.inf, scores)[:, order].T
    c, l = np.unravel_index(np.argmax(ranked), ranked.shape)
    return int(l), int(order[c])


class _Choice:
    """Mean scores (L, m) over the folds, their standard errors, and what the rules make of them."""

    def __init__(self, scores, Cs):
        n_folds = len(scores)
        self.mean = scores.mean(axis=0)
        self.error = np.zeros_like(self.mean)
        if n_folds > 1:
            self.error = scores.std(axis=0, ddof=1) / np.sqrt(n_folds)
        self.best = l, c = _highest(self.mean, Cs)
        good = np.flatnonzero(self.mean[l] >= self.mean[l, c] - self.error[l, c])
        self.one_standard_error = l, int(good[np.argmin(Cs[good])]) if len(good) else c


def _legacy(found, classes, with_ratios):
    """What differs in scikit-learn's old convention, without the axis L unless `with_ratios`."""
    labels = classes if len(classes) > 2 else classes[1:]

    def turned(table):
        """(F, L, m, ...) as (F, m, L, ...)."""
        return np.swapaxes(table, 1, 2) if with_ratios else table[:, 0]

    return {
        "C_": np.full(len(labels), found["C_"]),
        "l1_ratio_": np.full(len(labels), found["l1_ratio_"]),
        "scores_": {label: turned(found["scores_"]) for label in labels},
        "coefs_paths_": {
            label: turned(found["coefs_paths_"][..., k, :]) for k, label in enumerate(labels)
        },
        "n_iter_": turned(found["n_iter_"])[None],
    }  # fmt: skip


class LogisticRegressionCV(GridClassifier, LinearClassifier):
    """Logistic regression that chooses C and l1_ratio by cross-validation.

    Every fold is a path of fits, from the strongest penalty to the weakest, on one shared X; every fit has
    its certificate. The objective is that of :class:`~fastlr.LogisticRegression`.

    Parameters
    ----------
    Cs : int or list of floats, default=10
        Inverse strengths of the penalty. An int asks for that many on a logarithmic scale: with an L1 part
        from the largest C whose weights are all zero three decades up, else from 1e-4 to 1e4.
    l1_ratios : list of floats in [0, 1] or None, default=None
        Shares of the L1 penalty; None is (0.0,).
    fit_intercept : bool, default=True
    cv : int, splitter, iterable of (train, test) or None, default=None
        An int gives that many stratified folds, None five.
    dual : bool, default=False
        As of :class:`~fastlr.LogisticRegression`.
    penalty : {"auto", "l1", "l2", "elasticnet"}, default="auto"
        "auto" and "elasticnet" leave it to `l1_ratios`; "l1" and "l2" override that. "deprecated" is
        scikit-learn's word for "auto".
    scoring : str, callable or None, default=None
        What is best: a name or scorer of scikit-learn; None is "accuracy". "accuracy" and "neg_log_loss"
        come from one pass without predictions, under `sample_weight`, and know the classes that a fold
        lacks; other scorers get a fitted estimator and the rows held out, with their weights if they take
        them or, with scikit-learn's metadata routing, ask for them.
    solver : str, default="auto"
    tol : float, default=1e-4
    max_iter : int, default=1000
    class_weight : dict, "balanced" or None, default=None
        As of :class:`~fastlr.LogisticRegression`, for each fit; "balanced" goes by the training rows of
        the fold.
    multi_class : {"auto", "multinomial", "deprecated"}, default="auto"
    intercept_scaling : float, default=1.0
        As of :class:`~fastlr.LogisticRegression`, both without effect.
    n_jobs : int or None, default=None
        Fits that run at a time, in threads; None is as many as `n_threads` allows, or one where `scoring` is
        a plain function: it is called fold by fold, from the smallest C to the largest. -1 is all processors.
    verbose : int, bool or None, default=None
        1 prints a line for each fold, 2 for each fit, 3 for each check of a certificate; 0 is silence. None
        shows how many fits are done and how long the others may take in one line on the terminal, if there is
        one, and clears it.
    refit : bool, default=True
        Whether to fit all rows at the chosen `C_` and `l1_ratio_`. If not, the models that are best on
        each fold are averaged, and so are their parameters.
    rule : {"best", "1se"}, default="best"
        "best" takes the highest mean score, and of equal ones the strongest penalty. "1se" takes the
        smallest C, at the same l1_ratio, whose mean score is within one standard error of that.
    scaling : {None, "unit", "standard"}, default=None
        As of :class:`~fastlr.LogisticRegression`; "standard" goes by the training rows of the fold.
    n_threads : int or None, default=None
        Threads in all; None is all processors. Fits that run at a time share them.
    random_state : int, RandomState or None, default=None
        Order in which "saga" visits the samples; folds are the splitter's affair.
    use_legacy_attributes : bool, default=False
        True gives attributes the shapes that they have in scikit-learn by default before its version 1.10:
        `C_` and `l1_ratio_` are arrays of shape (K,), of equal values; `scores_` and `coefs_paths_` are
        dicts by class (of two, the second) with arrays of shape (F, m, L) and (F, m, L, n_features + 1), and
        `n_iter_` has the shape (1, F, m, L); without `l1_ratios` these have no axis L.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (K, n_features)
        K is the number of classes, or 1 for two classes.
    intercept_ : array of shape (K,)
    Cs_ : array of shape (m,)
    l1_ratios_ : array of shape (L,)
    C_, l1_ratio_ : float
        What was chosen, or the means of what is best for each fold, without `refit`.
    C_best_, C_1se_ : float
        What the two rules choose.
    scores_ : array of shape (F, L, m)
    mean_scores_, standard_errors_ : arrays of shape (L, m)
        Mean over the folds and its standard error.
    coefs_paths_ : array of shape (F, L, m, K, n_features + 1)
        Weights of every fit, the intercept last; without an intercept n_features, unless
        scaling="standard" shifts the features.
    dual_gaps_ : array of shape (F, L, m)
        The optimum of each fit lies at most that far below its objective.
    n_iter_ : array of shape (F, L, m)
        Epochs or iterations of each fit, from the one before; 1 where that was optimal.
    objective_, dual_gap_, null_objective_, converged_, history_
        Of the fit on all rows, as of :class:`~fastlr.LogisticRegression`; with `refit` only.
    solver_, solver_reason_ : str
        The solver of the chosen fit, and why that one.
    status_ : str
        What ended that fit, or without `refit` the worst of all; "max_time" or "interrupted" if that ended
        any. Scores, weights and gaps of fits that were not begun are NaN, and so are the scores of those that
        were cut short.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Warns
    -----
    ConvergenceWarning
        If something else ends fits first, such as `max_iter`, `max_time` or an interrupt; once for all.

    Notes
    -----
    Other than in scikit-learn, `use_legacy_attributes` is False by default, automatic grids depend on the
    penalty, class weights "balanced" are those of the fold, and `penalty` is not deprecated.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LogisticRegressionCV(Cs=5, scoring="neg_log_loss", rule="1se")
    >>> clf.fit(X, y).scores_.shape
    (5, 1, 5)
    >>> clf.C_ == clf.C_1se_ <= clf.C_best_
    True
    >>> clf.predict(X[:2])
    array([0, 0])
    """

    l1_ratio_: float
    l1_ratios_: Floats
    C_best_: float
    C_1se_: float
    scores_: Floats
    mean_scores_: Floats
    standard_errors_: Floats
    coefs_paths_: Floats
    dual_gaps_: Floats

    def __init__(
        self,
        *,
        Cs: int | ArrayLike = 10,
        l1_ratios: ArrayLike | None = None,
        fit_intercept: bool = True,
        cv: Any = None,
        dual: bool = False,
        penalty: Literal["auto", "l1", "l2", "elasticnet"] = "auto",
        scoring: str | Callable[..., float] | None = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        class_weight: ClassWeight = None,
        multi_class: Literal["auto", "multinomial"] = "auto",
        intercept_scaling: float = 1.0,
        n_jobs: int | None = None,
        verbose: int | bool | None = None,
        refit: bool = True,
        rule: Literal["best", "1se"] = "best",
        scaling: Scaling = None,
        n_threads: int | None = None,
        random_state: Seed = None,
        use_legacy_attributes: bool = False,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.multi_class = multi_class
        self.intercept_scaling = intercept_scaling
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.rule = rule
        self.scaling = scaling
        self.n_threads = n_threads
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes

    def _grid(self):
        validate.check_choice("penalty", self.penalty, (*PENALTIES, "deprecated"))
        validate.check_flags(self, "use_legacy_attributes")
        validate.check_choice("rule", self.rule, RULES)
        if self.rule == "1se" and not self.refit:
            raise ValueError("rule='1se' chooses one C for all folds and needs refit=True; found False.")
        if self.penalty == "elasticnet" and self.l1_ratios is None:
            raise ValueError("l1_ratios must be a list of numbers in [0, 1] for 'elasticnet'; found None.")
        ratios = {"l1": (1.0,), "l2": (0.0,)}.get(self.penalty, self.l1_ratios)
        try:
            ratios = np.array((0.0,) if ratios is None else ratios, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            ratios = np.empty(0)
        if ratios.ndim != 1 or not ratios.size or not np.all((ratios >= 0) & (ratios <= 1)):
            raise ValueError(f"l1_ratios must be a list of numbers in [0, 1]; found {self.l1_ratios!r}.")
        if self.scoring is not None:
            get_scorer(self.scoring)
        return ratios, check_grid(self.Cs)

    def _automatic_grid(self, n, problems, ratios):
        return automatic_grid(n, problems[0], ratios)

    def _model(self, **options):
        names = (
            "dual", "fit_intercept", "intercept_scaling", "class_weight", "multi_class", "solver", "tol",
            "max_iter", "scaling",
        )  # fmt: skip
        options |= {name: getattr(self, name) for name in names}
        return LogisticRegression(**options)

    def _scorer(self):
        if self.scoring is None or (isinstance(self.scoring, str) and self.scoring in _FUSED):
            return None
        return get_scorer(self.scoring)

    def _score(self, model, data, solution, training, fold):
        coef, intercept, K = solution.coef, solution.intercept, len(training.classes)
        scorer = self._scorer()
        if scorer is None:
            W = data.weights(len(intercept), coef.dtype)
            W[:] = coef
            found = data.evaluate(W, intercept, Softmax(training.y, fold.held, K))
            return _FUSED[self.scoring](*found, fold.held.sum())
        fitted, rows = copy.copy(model), fold.rows
        fitted._set(training, solution)
        scorer = _with_labels(scorer, training.classes)
        return scorer(fitted, training.X[rows], training.classes[training.y[rows]], **fold.score)

    def _pick(self, search):
        Cs, choice = search.Cs, _Choice(search.scores, search.Cs)
        l, c = choice.best if self.rule == "best" else choice.one_standard_error
        coefs = search.table("coef", np.nan, search.shape)
        if self.fit_intercept or self.scaling == "standard":
            intercepts = search.table("intercept", np.nan, search.shape[:1])
            coefs = np.concatenate([coefs, intercepts[..., None]], axis=-1)
        return (l, c), {
            "C_": float(Cs[c]),
            "l1_ratio_": float(search.ratios[l]),
            "Cs_": Cs,
            "l1_ratios_": search.ratios,
            "C_best_": float(Cs[choice.best[1]]),
            "C_1se_": float(Cs[choice.one_standard_error[1]]),
            "scores_": search.scores,
            "mean_scores_": choice.mean,
            "standard_errors_": choice.error,
            "coefs_paths_": coefs,
            "dual_gaps_": search.table("dual_gap", np.nan),
            "n_iter_": np.maximum(search.table("n_iter", 0), 1),  # at least 1, as scikit-learn asks
        }

    def _without_refit(self, search):
        """Averages of the models that are best on each fold, and of their parameters."""
        models, places = [], []
        for row, scores in zip(search.solutions, search.scores, strict=True):
            made = np.zeros(scores.shape, dtype=bool)
            for l, path in enumerate(row):
                made[l, list(path)] = True
            if made.any():
                # A fit that was cut short is better than none.
                l, c = _highest(np.where(made & np.isnan(scores), -np.finfo(float).max, scores), search.Cs)
                models.append((row[l][c].coef, row[l][c].intercept))
                places.append((search.Cs[c], search.ratios[l]))
        coef, intercept = (np.mean(parts, axis=0) for parts in zip(*models, strict=True))
        C, l1_ratio = np.mean(places, axis=0)
        return {"coef_": coef, "intercept_": intercept, "C_": float(C), "l1_ratio_": float(l1_ratio)}

    def _set(self, training, solution, **others):
        if self.use_legacy_attributes:
            others |= _legacy(others, training.classes, with_ratios=self.l1_ratios is not None)
        super()._set(training, solution, **others)

    @property
    def _chosen(self):
        """C and l1_ratio, in whatever shape the attributes have them."""
        return float(np.ravel(self.C_)[0]), float(np.ravel(self.l1_ratio_)[0])

    def _strengths(self):
        C, l1_ratio = self._chosen
        return (1.0, 0.0, 0.0) if np.isinf(C) else (C, l1_ratio, 1.0 - l1_ratio)

    def _tell_choice(self):
        (F, L, m), (C, l1_ratio) = self.dual_gaps_.shape, self._chosen
        if not hasattr(self, "objective_"):
            return f"C={C:.4g} and l1_ratio={l1_ratio:g} are means of what is best on each fold."
        rule = "the best" if self.rule == "best" else "the smallest C within one standard error of the best"
        return (
            f"C={C:.4g} at l1_ratio={l1_ratio:g}: {rule} by the mean score over {F} folds, of "
            f"{m} values of C and {L} of l1_ratio."
        )

    def score(
        self, X: Features, y: ArrayLike, sample_weight: ArrayLike | None = None, **score_params: Any
    ) -> float:
        """Score of the model by `scoring`.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
        **score_params : dict
            Further metadata of the scorer; with scikit-learn's metadata routing only.

        Returns
        -------
        score : float

        Raises
        ------
        TypeError
            With scikit-learn's metadata routing, if there are weights that `scoring` has not requested.
        """
        _, metadata = self._routed("score", sample_weight, score_params)
        if isinstance(self.scoring, str) and self.scoring == "neg_log_loss":
            p = self.predict_proba(X)
            return -float(log_loss(y, p, sample_weight=sample_weight, labels=self.classes_))
        if self._scorer() is None:
            return super().score(X, y, sample_weight)
        return self._scorer()(self, X, y, **metadata)
