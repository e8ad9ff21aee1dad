"""Cross-validation of LinearSVC over a grid of C.

A fold is a row mask: its held-out rows have weight zero, which is to be absent, so that all folds read one X.
A fold goes through the grid from the strongest penalty on, each fit starting from the last one's solution.
"""

import numbers
import warnings

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv

from fastlr import validate
from fastlr.data import Data
from fastlr.linear_model.base import thread_count
from fastlr.linear_model.svm import LinearSVC


class LinearSVCCV(LinearSVC):
    """LinearSVC with C chosen by cross-validation.

    Parameters
    ----------
    penalty : {"l1", "l2"}, default="l2"
    Cs : int or array of positive numbers, default=10
        The grid; an integer is that many values between 1e-4 and 1e4.
    cv : int, splitter or iterable of (train, test), default=5
        An integer is the number of stratified folds.
    refit : bool, default=True
        Fit a model at the best C to all samples.
    tol, fit_intercept, intercept_scaling, penalize_intercept, class_weight, max_iter, scaling, n_threads,
    random_state, verbose
        As in LinearSVC. Threads are shared out among the folds.

    Attributes
    ----------
    C_ : float
        The C of the best mean test score; the smallest of equals.
    best_score_, best_index_ : float and int
        Its mean test score, and its place in the grid.
    cv_results_ : dict of arrays
        As a GridSearchCV with return_train_score=True has it, except for times: "params", "param_C",
        "split0_test_score" and so on, "mean_test_score", "std_test_score", "rank_test_score", and the like
        with "train" but for the rank. Grid points in ascending order; scores are accuracies, in which samples
        count by their weights.
    Cs_ : array of shape (n_Cs,)
        The grid, ascending.
    coef_, intercept_, objective_, dual_gap_, converged_, n_iter_, history_, solver_
        As in LinearSVC, with `refit`.
    classes_, n_features_in_, feature_names_in_
        As in LinearSVC.

    Warns
    -----
    ConvergenceWarning
        If fits of the cross-validation, or the last one, reach `max_iter` first.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LinearSVCCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LinearSVCCV(Cs=[0.001, 0.1], scaling="standard").fit(X, y)
    >>> clf.C_
    0.1
    >>> clf.cv_results_["mean_test_score"].shape
    (2,)
    """

    # What LinearSVC reads, and the grid does not ask for.
    loss, dual, multi_class, C, warm_start = "squared_hinge", "auto", "ovr", 1.0, False

    def __init__(
        self,
        penalty="l2",
        *,
        Cs=10,
        cv=5,
        refit=True,
        tol=1e-4,
        fit_intercept=True,
        intercept_scaling=1.0,
        penalize_intercept=True,
        class_weight=None,
        max_iter=1000,
        scaling=None,
        n_threads=None,
        random_state=None,
        verbose=0,
    ):
        self.penalty = penalty
        self.Cs = Cs
        self.cv = cv
        self.refit = refit
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.penalize_intercept = penalize_intercept
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.scaling = scaling
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _grid(self):
        """The values of C, ascending."""
        if isinstance(self.Cs, numbers.Integral) and not isinstance(self.Cs, bool):
            validate.check_number("Cs", self.Cs, low=1, what="at least 1, or an array of positive numbers")
            return np.logspace(-4, 4, self.Cs)
        Cs = np.unique(np.asarray(self.Cs, dtype=np.float64))
        if not (np.ndim(self.Cs) == 1 and len(Cs) and np.all(Cs > 0) and np.all(np.isfinite(Cs))):
            raise ValueError(f"Cs must be an integer or a 1-d array of positive numbers; found {self.Cs!r}.")
        return Cs

    def fit(self, X, y, sample_weight=None):
        """Chooses C, and with `refit` fits the model at it.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not as described.
        """
        self._check_parameters()
        Cs = self._grid()
        training = validate.training(self, X, y, sample_weight)
        folds = list(check_cv(self.cv, training.y, classifier=True).split(training.X, training.y))
        n_threads = thread_count(self.n_threads)
        n_jobs = min(n_threads, len(folds))
        data = Data(training.X, n_threads // n_jobs)
        parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(self._fold)(data, training, train, test, Cs) for train, test in folds
        )
        scores = np.array([part[0] for part in parts])
        left = sum(part[1] for part in parts)
        if left:
            warnings.warn(
                f"{left} fits of the cross-validation stopped at max_iter={self.max_iter} before their gaps "
                f"were closed to tol={self.tol:g}. Raise max_iter, loosen tol, or scale the features "
                f"(scaling='standard').",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.Cs_, self.cv_results_ = Cs, _results(Cs, scores)
        self.best_index_ = int(np.nanargmax(self.cv_results_["mean_test_score"]))
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.C_ = float(Cs[self.best_index_])
        self.classes_ = training.classes
        for name, value in training.attributes.items():
            setattr(self, name, value)
        if self.refit:
            data = Data(training.X, n_threads)
            self._fit(self._problems(data, training, training.weight), training, self.C_)
        return self

    def _fold(self, data, training, train, test, Cs):
        """Accuracies (n_Cs, 2) on test and train rows, and the number of problems left unsolved."""
        weight = np.zeros(data.n)
        weight[train] = training.weight[train]
        problems = self._problems(data, training, weight)
        rng = np.random.default_rng(0)
        scores, left = np.empty((len(Cs), 2)), 0
        models = [problem.scaled(Cs[0]).start(np.float64) for problem in problems]
        for i, C in enumerate(Cs):
            results = [
                self._minimise(problem.scaled(C), *model, rng)
                for problem, model in zip(problems, models, strict=True)
            ]
            left += sum(not result.converged for result in results)
            models = [(result.W, result.b) for result in results]
            parts = [problem.unpack(*model) for problem, model in zip(problems, models, strict=True)]
            coef = np.vstack([coef for coef, _ in parts])
            intercept = np.concatenate([b for _, b in parts]).astype(coef.dtype)
            found = self._class_numbers(data.scores(coef, intercept))
            right = found == training.y
            scores[i] = [_share(right[rows], training.weight[rows]) for rows in (test, train)]
        return scores, left


def _share(right, weight):
    """The share of what is right, by weight."""
    return right @ weight / weight.sum() if weight.any() else np.nan


def _results(Cs, scores):
    """What GridSearchCV calls cv_results_; scores (n_folds, n_Cs, 2) on test and train rows."""
    results = {"params": [{"C": float(C)} for C in Cs], "param_C": np.ma.array(Cs)}
    for part, name in enumerate(("test", "train")):
        for fold, values in enumerate(scores[..., part]):
            results[f"split{fold}_{name}_score"] = values
        results[f"mean_{name}_score"] = scores[..., part].mean(axis=0)
        results[f"std_{name}_score"] = scores[..., part].std(axis=0)
        if name == "test":
            mean = np.nan_to_num(results["mean_test_score"], nan=-np.inf)
            results["rank_test_score"] = rankdata(-mean, method="min").astype(np.int32)
    return results
