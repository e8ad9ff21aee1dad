"""Cross-validation of LinearSVC over a grid of C.

Shapes: F folds, m values of C.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from fastlr import peers, validate
from fastlr.linear_model.folds import GridClassifier
from fastlr.linear_model.path import check_grid
from fastlr.linear_model.svm import PENALTIES, LinearSVC
from fastlr.typing import ClassWeight, Scaling, Seed


class LinearSVCCV(GridClassifier):
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
    tol, fit_intercept, intercept_scaling, penalize_intercept, class_weight, max_iter, scaling, random_state
        As in LinearSVC.
    n_jobs : int or None, default=None
        Folds that run at a time, in threads; None is as many as `n_threads` allows. -1 is all processors.
    n_threads : int or None, default=None
        Threads in all; None is all processors. Folds that run at a time share them.
    verbose : int, bool or None, default=None
        1 prints a line for each fold, 2 for each value of C, 3 for each check of a certificate; 0 is silence.
        None shows how many fits are done and how long the others may take in one line on the terminal, if
        there is one, and clears it.

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
    coef_, intercept_, objective_, dual_gap_, null_objective_, converged_, n_iter_, history_
        As in LinearSVC, with `refit`.
    solver_, solver_reason_, classes_, n_features_in_, feature_names_in_
        As in LinearSVC.
    status_ : str
        What ended the last fit, or without `refit` the worst of all; "max_time" or "interrupted" if that
        ended any. Scores of fits that were not begun, or cut short, are NaN.

    Warns
    -----
    ConvergenceWarning
        If something else ends fits first, such as `max_iter`, `max_time` or an interrupt; once for all.

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

    best_score_: float
    best_index_: int
    cv_results_: dict[str, Any]

    _no_score = (np.nan, np.nan)  # on rows held out, and on training rows

    def __init__(
        self,
        penalty: Literal["l1", "l2"] = "l2",
        *,
        Cs: int | ArrayLike = 10,
        cv: Any = 5,
        refit: bool = True,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        penalize_intercept: bool = True,
        class_weight: ClassWeight = None,
        max_iter: int = 1000,
        scaling: Scaling = None,
        n_jobs: int | None = None,
        n_threads: int | None = None,
        random_state: Seed = None,
        verbose: int | bool | None = None,
    ) -> None:
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
        self.n_jobs = n_jobs
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _grid(self):
        validate.check_choice("penalty", self.penalty, PENALTIES)
        grid = check_grid(self.Cs)
        if not isinstance(grid, int):
            if not np.all(np.isfinite(grid)):
                raise ValueError(f"Cs must be an integer or a list of finite numbers; found {self.Cs!r}.")
            grid = np.unique(grid)
        return np.array([float(self.penalty == "l1")]), grid

    def _automatic_grid(self, n, problems, ratios):
        return np.logspace(-4, 4, n)

    def _model(self, **options):
        names = (
            "penalty", "tol", "fit_intercept", "intercept_scaling", "penalize_intercept", "class_weight",
            "max_iter", "scaling",
        )  # fmt: skip
        options |= {name: getattr(self, name) for name in names}
        return LinearSVC(**options)

    def _score(self, model, data, solution, training, fold):
        scores = data.scores(solution.coef, solution.intercept)
        right = self._class_numbers(scores) == training.y
        return [right @ weight / weight.sum() for weight in (fold.held, fold.training)]

    def _pick(self, search):
        results = _results(search.Cs, search.scores[:, 0])
        mean = results["mean_test_score"]
        c = int(np.argmax(np.nan_to_num(mean, nan=-np.inf)))
        return (0, c), {
            "C_": float(search.Cs[c]),
            "Cs_": search.Cs,
            "best_index_": c,
            "best_score_": float(mean[c]),
            "cv_results_": results,
        }

    def _without_refit(self, search):
        return {}

    def _peer(self):
        return peers.machine(self, self.C_)

    def _strengths(self):
        return self.C_, float(self.penalty == "l1"), float(self.penalty == "l2")

    def _tell_choice(self):
        folds = sum(name.startswith("split") for name in self.cv_results_) // 2
        return (
            f"C={self.C_:.4g}: the best by the mean accuracy over {folds} folds, {self.best_score_:.6g}, of "
            f"{len(self.Cs_)} values."
        )


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
