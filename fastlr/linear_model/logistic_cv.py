"""Logistic regression whose C and l1_ratio are chosen by cross-validation.

A fold is a vector of weights over the rows of one X: zero for the rows held out. X is never copied for it.
Shapes: n samples, d features, K score columns, F folds, L values of l1_ratio, m values of C.
"""

import copy
import numbers
import threading
import warnings
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn import config_context, get_config
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import check_cv

from fastlr import validate
from fastlr.linear_model.base import LinearClassifier, thread_count
from fastlr.linear_model.logistic import LogisticRegression
from fastlr.linear_model.path import (
    PENALTIES,
    automatic_grid,
    check_grid,
    fit_path,
    generator,
    warn_unless_converged,
    with_ratio,
)
from fastlr.losses import Softmax
from fastlr.solvers import choose

RULES = ("best", "1se")
_PARTS = ("coefs", "intercepts")
_REFIT_ONLY = ("objective_", "dual_gap_", "converged_")


class _Stopped(Exception):
    """Ends the fits of other threads after an error or an interrupt in one."""


@dataclass(frozen=True)
class _Fold:
    """How often each row is in the training part and in the part held out, times its weight."""

    training: np.ndarray
    held: np.ndarray


def _counts(rows, n):
    """How often each of n rows occurs in an index array or a mask."""
    rows = np.asarray(rows)
    return np.bincount(np.flatnonzero(rows) if rows.dtype == bool else rows, minlength=n)


def _split(cv, training):
    """The folds of a splitter, as weights of the rows."""
    n, labels = len(training.y), training.classes[training.y]
    folds = []
    with warnings.catch_warnings():
        # That a class may be missing from a fold is provided for.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for train, test in check_cv(cv, labels, classifier=True).split(training.X, labels):
            fold = _Fold(*(training.weight * _counts(rows, n) for rows in (train, test)))
            for name, weight in (("training", fold.training), ("held-out", fold.held)):
                if not weight.any():
                    raise ValueError(
                        f"cv must leave {name} rows of positive weight in every fold; "
                        f"fold {len(folds)} has none."
                    )
            folds.append(fold)
    return folds


def _accuracy(loss, correct, mass):
    return correct / mass


def _neg_log_loss(loss, correct, mass):
    return -loss / mass


# Scores that follow from one pass over X for each model, without predictions.
_FUSED = {None: _accuracy, "accuracy": _accuracy, "neg_log_loss": _neg_log_loss}


def _scores(scoring, model, data, path, training, held):
    """Scores of the models of a path on the rows held out, shape (m,)."""
    if scoring is None or (isinstance(scoring, str) and scoring in _FUSED):
        loss = Softmax(training.y, held, len(path.classes))
        scores = []
        for coef, intercept in zip(path.coefs, path.intercepts, strict=True):
            W = data.weights(len(intercept), coef.dtype)
            W[:] = coef
            scores.append(_FUSED[scoring](*data.evaluate(W, intercept, loss), held.sum()))
        return np.array(scores)
    scorer, rows = get_scorer(scoring), np.flatnonzero(held)
    X, labels = training.X[rows], path.classes[training.y[rows]]
    return np.array([scorer(fitted, X, labels) for fitted in _fitted(model, path)])


def _fitted(model, path):
    """The models of a path as estimators, for scorers."""
    for coef, intercept in zip(path.coefs, path.intercepts, strict=True):
        fitted = copy.copy(model)
        fitted.coef_, fitted.intercept_, fitted.classes_ = coef, intercept, path.classes
        fitted.n_features_in_ = coef.shape[1]
        yield fitted


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


def _model_attributes(path, C, l1_ratio):
    """Attributes of a fit on all rows, a path of one point."""
    return {
        "coef_": path.coefs[0],
        "intercept_": path.intercepts[0],
        "C_": float(C),
        "l1_ratio_": float(l1_ratio),
        "objective_": float(path.objectives[0]),
        "dual_gap_": float(path.dual_gaps[0]),
        "converged_": bool(path.converged[0]),
    }


def _averages(paths, scores, ratios, Cs):
    """Attributes that average the best models of all folds."""
    best = [_highest(fold_scores, Cs) for fold_scores in scores]
    models = [(row[l].coefs[c], row[l].intercepts[c]) for row, (l, c) in zip(paths, best, strict=True)]
    coef, intercept = (np.mean(parts, axis=0) for parts in zip(*models, strict=True))
    C, l1_ratio = np.mean([(Cs[c], ratios[l]) for l, c in best], axis=0)
    return {"coef_": coef, "intercept_": intercept, "C_": float(C), "l1_ratio_": float(l1_ratio)}


def _parallel(run, tasks, n_jobs):
    """[run(*task, report) for task in tasks] in threads; an error in one, or an interrupt, ends all."""
    over, config = threading.Event(), get_config()

    def report(*_):
        if over.is_set():
            raise _Stopped

    def run_configured(*task):
        # scikit-learn's own Parallel brings the filters of warnings along, too, and sets them for all
        # threads: one that ends after an error would change them behind the user's back.
        with config_context(**config):
            return run(*task, report)

    try:
        # Threads even under a parallel_config that asks for processes: X is shared, not pickled.
        return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(run_configured)(*task) for task in tasks)
    finally:
        over.set()


class LogisticRegressionCV(LinearClassifier):
    """Logistic regression that chooses C and l1_ratio by cross-validation.

    Every fold is a path of fits, from the strongest penalty to the weakest, on one shared X; every fit has
    its certificate. The objective is that of :class:`~fastlr.LogisticRegression`.

    Parameters
    ----------
    Cs : int or list of floats, default=10
        Inverse strengths of the penalty. An int asks for that many on a logarithmic scale: with an L1 part
        from the largest C whose weights are all zero three decades up, else from 1e-4 to 1e4.
    l1_ratios : list of floats in [0, 1], default=(0.0,)
        Shares of the L1 penalty.
    fit_intercept : bool, default=True
    cv : int, splitter, iterable of (train, test) or None, default=None
        An int gives that many stratified folds, None five.
    penalty : {"auto", "l1", "l2", "elasticnet"}, default="auto"
        "auto" and "elasticnet" leave it to `l1_ratios`; "l1" and "l2" override that.
    scoring : str, callable or None, default=None
        What is best: a name or scorer of scikit-learn; None is "accuracy". "accuracy" and "neg_log_loss"
        come from one pass without predictions, under `sample_weight`, and know the classes that a fold
        lacks; other scorers get a fitted estimator and the rows held out, without weights.
    solver : str, default="auto"
    tol : float, default=1e-4
    max_iter : int, default=1000
    class_weight : dict, "balanced" or None, default=None
        As of :class:`~fastlr.LogisticRegression`, for each fit; "balanced" goes by the training rows of
        the fold.
    n_jobs : int or None, default=None
        Fits that run at a time, in threads; None is as many as `n_threads` allows. -1 is all processors.
    verbose : int, default=0
        1 prints a line for each fold, 2 for each fit.
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
        Epochs or iterations of each fit, from the one before.
    objective_, dual_gap_, converged_
        Of the fit on all rows, as of :class:`~fastlr.LogisticRegression`; with `refit` only.
    solver_ : str
        The solver of the chosen fit.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,), where X has names

    Warns
    -----
    ConvergenceWarning
        If fits reach `max_iter` first; once for all.

    Notes
    -----
    Attributes have the shapes of scikit-learn's ``use_legacy_attributes=False``. Other than there,
    `l1_ratios` is L2 by default without a warning, automatic grids depend on the penalty, class weights
    "balanced" are those of the fold, and `penalty` is not deprecated.

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

    def __init__(
        self,
        *,
        Cs=10,
        l1_ratios=(0.0,),
        fit_intercept=True,
        cv=None,
        penalty="auto",
        scoring=None,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        class_weight=None,
        n_jobs=None,
        verbose=0,
        refit=True,
        rule="best",
        scaling=None,
        n_threads=None,
        random_state=None,
    ):
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.rule = rule
        self.scaling = scaling
        self.n_threads = n_threads
        self.random_state = random_state

    def _check_parameters(self):
        """The ratios and the grid; anything that cannot be used is refused."""
        validate.check_choice("penalty", self.penalty, PENALTIES)
        validate.check_choice("rule", self.rule, RULES)
        if self.rule == "1se" and not self.refit:
            raise ValueError("rule='1se' chooses one C for all folds and needs refit=True; found False.")
        if self.n_jobs is not None and (
            not isinstance(self.n_jobs, numbers.Integral) or isinstance(self.n_jobs, bool) or not self.n_jobs
        ):
            raise ValueError(f"n_jobs must be None or an integer other than 0; found {self.n_jobs!r}.")
        ratios = {"l1": (1.0,), "l2": (0.0,)}.get(self.penalty, self.l1_ratios)
        try:
            ratios = np.array((0.0,) if ratios is None else ratios, dtype=np.float64)
        except (TypeError, ValueError):
            ratios = np.empty(0)
        if ratios.ndim != 1 or not ratios.size or not np.all((ratios >= 0) & (ratios <= 1)):
            raise ValueError(f"l1_ratios must be a list of numbers in [0, 1]; found {self.l1_ratios!r}.")
        if self.scoring is not None:
            get_scorer(self.scoring)
        return ratios, check_grid(self.Cs)

    def _model(self, n_threads):
        """The estimator of a single fit, at C = 1."""
        names = ("fit_intercept", "class_weight", "solver", "tol", "max_iter", "scaling")
        options = {name: getattr(self, name) for name in names}
        return LogisticRegression(n_threads=n_threads, verbose=max(0, int(self.verbose) - 1), **options)

    def _workers(self, n_tasks):
        """Fits at a time, and threads of each."""
        n_threads = thread_count(self.n_threads)
        n_jobs = n_threads if self.n_jobs is None else effective_n_jobs(int(self.n_jobs))
        n_jobs = min(n_jobs, n_tasks)
        return n_jobs, max(1, n_threads // n_jobs)

    def fit(self, X, y, sample_weight=None):
        """Chooses C and l1_ratio, and fits the model.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
            Rows of weight zero count as absent, in training and in scores.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the estimator is then left as it was.
        """
        ratios, grid = self._check_parameters()
        model = self._model(thread_count(self.n_threads))
        model._check_parameters()
        training = validate.training(self, X, y, sample_weight)
        problem = model._problem(training)
        for ratio in ratios:
            choose(self.solver, with_ratio(problem, ratio).penalty)
        if isinstance(grid, int):
            grid = automatic_grid(grid, problem, ratios)
        seed = generator(self.random_state).integers(2**31)

        paths, scores = self._fit_folds(training, ratios, grid, seed)
        choice = _Choice(scores, grid)
        found = self._tables(paths, ratios, grid, scores, choice)
        l, c = choice.best if self.rule == "best" else choice.one_standard_error
        converged = [path.converged for row in paths for path in row]
        if self.refit:
            start = (np.mean([getattr(row[l], part)[c] for row in paths], axis=0) for part in _PARTS)
            chosen = with_ratio(problem, ratios[l])
            rng = np.random.default_rng([seed, len(paths)])
            last = fit_path(model, chosen, training, grid[[c]], rng=rng, start=tuple(start))
            found |= _model_attributes(last, grid[c], ratios[l])
            converged.append(last.converged)
        else:
            found |= _averages(paths, scores, ratios, grid)
        found["solver_"] = choose(self.solver, with_ratio(problem, ratios[l]).penalty).name
        self._set({**training.attributes, "classes_": training.classes, **found})
        warn_unless_converged(np.concatenate(converged), self, stacklevel=2)
        return self

    def _fit_folds(self, training, ratios, Cs, seed):
        """The paths, lists [fold][ratio], and their scores (F, L, m)."""
        folds = _split(self.cv, training)
        tasks = [(fold, ratio) for fold in range(len(folds)) for ratio in ratios]
        n_jobs, n_threads = self._workers(len(tasks))
        model = self._model(n_threads)

        def run(number, ratio, report):
            fold = folds[number]
            part = replace(training, weight=fold.training)
            problem = with_ratio(model._problem(part), ratio)
            rng = np.random.default_rng([seed, number])
            path = fit_path(model, problem, part, Cs, rng=rng, report=report)
            scores = _scores(self.scoring, model, problem.data, path, training, fold.held)
            if self.verbose:
                print(
                    f"[fastlr] fold {number + 1} of {len(folds)}, l1_ratio={ratio:g}: {len(Cs)} fits, "
                    f"{path.n_iters.sum()} iterations, best score {scores.max():.6g}",
                    flush=True,
                )
            return path, scores

        done = _parallel(run, tasks, n_jobs)
        L = len(ratios)
        paths = [[path for path, _ in done[first : first + L]] for first in range(0, len(done), L)]
        return paths, np.array([scores for _, scores in done]).reshape(len(folds), L, len(Cs))

    def _tables(self, paths, ratios, Cs, scores, choice):
        """The attributes that describe the folds."""
        coefs, intercepts = (np.array([[getattr(path, p) for path in row] for row in paths]) for p in _PARTS)
        if self.fit_intercept or self.scaling == "standard":
            coefs = np.concatenate([coefs, intercepts[..., None]], axis=-1)
        return {
            "Cs_": Cs,
            "l1_ratios_": ratios,
            "C_best_": float(Cs[choice.best[1]]),
            "C_1se_": float(Cs[choice.one_standard_error[1]]),
            "scores_": scores,
            "mean_scores_": choice.mean,
            "standard_errors_": choice.error,
            "coefs_paths_": coefs,
            "dual_gaps_": np.array([[path.dual_gaps for path in row] for row in paths]),
            "n_iter_": np.array([[path.n_iters for path in row] for row in paths]),
        }

    def _set(self, attributes):
        """Sets the attributes of a fit; those that it lacks must not tell of an earlier one."""
        for name in _REFIT_ONLY:
            vars(self).pop(name, None)
        for name, value in attributes.items():
            setattr(self, name, value)

    def score(self, X, y, sample_weight=None):
        """Score of the model by `scoring`.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional

        Returns
        -------
        score : float
        """
        if isinstance(self.scoring, str) and self.scoring == "neg_log_loss":
            p = self.predict_proba(X)
            return -float(log_loss(y, p, sample_weight=sample_weight, labels=self.classes_))
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return get_scorer(self.scoring or "accuracy")(self, X, y, **weight)
