"""Training curves over cross-validation folds, and over sample sizes.

Shapes: n samples, d features, E epochs of the longest fold.
"""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import Bunch, _safe_indexing, indexable

from fastlr.typing import Features, Seed


def kfold_history(
    estimator: Any, X: Features, y: ArrayLike, *, cv: Any = 5, sample_weight: ArrayLike | None = None
) -> Bunch:
    """Fit one clone per fold, with the fold held out as validation set, and collect the curves.

    Parameters
    ----------
    estimator : estimator
        Its ``fit(X, y, X_val=..., y_val=...)`` must leave ``history_``: a dict of series of equal
        length, one entry per epoch, "val_score" among them.
    X : array-like or sparse matrix of shape (n, d)
        Features.
    y : array-like of shape (n,)
        Classes.
    cv : int, splitter or iterable of (train, test) index arrays, default=5
        An int gives that many stratified folds, without shuffling.
    sample_weight : array-like of shape (n,), optional
        Weights of the samples in training; passed to ``fit`` only when given.

    Returns
    -------
    result : sklearn.utils.Bunch
        history : dict of str to ndarray of shape (n_folds, E)
            The series of the estimators, NaN after the last epoch of a fold.
        best_epoch : ndarray of shape (n_folds,), intp
            Column of `history` with the highest validation score of the fold, the first if several.
        val_score : ndarray of shape (n_folds,)
            That score.
        estimators : list
            The fitted clones.

    Raises
    ------
    ValueError
        If the lengths of X, y and sample_weight differ, or the estimator's ``history_`` has no
        validation scores.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from fastlr.model_selection import kfold_history
    >>> class Constant(BaseEstimator):
    ...     def fit(self, X, y, X_val=None, y_val=None):
    ...         self.history_ = {"val_score": [np.mean(y_val == 0), np.mean(y_val == 1)]}
    ...         return self
    >>> result = kfold_history(Constant(), np.zeros((6, 1)), np.array([0, 0, 0, 0, 1, 1]), cv=2)
    >>> result.history["val_score"].round(2)
    array([[0.67, 0.33],
           [0.67, 0.33]])
    >>> result.best_epoch
    array([0, 0])
    """
    from sklearn.model_selection import check_cv

    X, y, sample_weight = indexable(X, y, sample_weight)
    estimators = []
    for train, test in check_cv(cv, y, classifier=True).split(X, y):
        weights = {}
        if sample_weight is not None:
            weights["sample_weight"] = _safe_indexing(sample_weight, train)
        fold_estimator = clone(estimator).fit(
            _safe_indexing(X, train),
            _safe_indexing(y, train),
            X_val=_safe_indexing(X, test),
            y_val=_safe_indexing(y, test),
            **weights,
        )
        if getattr(fold_estimator, "status_", None) == "interrupted":
            raise KeyboardInterrupt  # a fold that is cut short has no place in a mean
        _check_history(fold_estimator)
        estimators.append(fold_estimator)

    history = _stack_histories([fitted.history_ for fitted in estimators])
    best_epoch = np.nanargmax(history["val_score"], axis=1)
    val_score = history["val_score"][np.arange(len(estimators)), best_epoch]
    return Bunch(history=history, best_epoch=best_epoch, val_score=val_score, estimators=estimators)


def sample_size_history(
    estimator: Any, X: Features, y: ArrayLike, *, sizes: Iterable[int], cv: Any = 5, random_state: Seed = 0
) -> dict[int, Bunch]:
    """Run :func:`kfold_history` on stratified random subsamples of several sizes.

    Parameters
    ----------
    estimator : estimator
        As for :func:`kfold_history`.
    X : array-like or sparse matrix of shape (n, d)
        Features.
    y : array-like of shape (n,)
        Classes.
    sizes : iterable of int
        Numbers of samples to draw, without replacement; each from 1 to n.
    cv : int or splitter, default=5
        As for :func:`kfold_history`, within each subsample.
    random_state : int, RandomState instance or None, default=0
        Seed of the draws.

    Returns
    -------
    results : dict of int to sklearn.utils.Bunch
        Result of :func:`kfold_history` for each size, in the order of `sizes`.

    Raises
    ------
    ValueError
        If a size is not from 1 to n, or `cv` holds fixed indices.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from fastlr.model_selection import sample_size_history
    >>> class Counter(BaseEstimator):
    ...     def fit(self, X, y, X_val=None, y_val=None):
    ...         self.history_ = {"val_score": [0.5], "n_train": [len(X)]}
    ...         return self
    >>> X, y = np.zeros((100, 1)), np.arange(100) % 2
    >>> results = sample_size_history(Counter(), X, y, sizes=(100, 20), cv=2)
    >>> {size: result.history["n_train"].ravel() for size, result in results.items()}
    {100: array([50., 50.]), 20: array([10., 10.])}
    """
    from sklearn.utils import check_random_state

    X, y = indexable(X, y)
    n_samples = len(y)
    sizes = list(sizes)
    for size in sizes:
        if not isinstance(size, numbers.Integral) or not 1 <= size <= n_samples:
            raise ValueError(f"sizes: found {size!r}; needed: integers from 1 to {n_samples}, the rows of X")
    if not (isinstance(cv, numbers.Integral) or hasattr(cv, "split")):
        raise ValueError(
            f"cv: found {type(cv).__name__}; needed: an int or a splitter, because fixed indices "
            "cannot fit subsamples of several sizes"
        )
    rng = check_random_state(random_state)
    results = {}
    for size in sizes:
        rows = _stratified_rows(y, int(size), rng)
        results[int(size)] = kfold_history(estimator, _safe_indexing(X, rows), _safe_indexing(y, rows), cv=cv)
    return results


def _check_history(estimator):
    history = getattr(estimator, "history_", None)
    scores = None if history is None else history.get("val_score")
    if scores is None or not np.isfinite(np.asarray(scores, dtype=float)).any():
        found = "no history_" if history is None else f"history_ with {sorted(history)}"
        raise ValueError(
            f"estimator: found {found} after fit of {type(estimator).__name__}; "
            'needed: history_["val_score"] with at least one epoch'
        )


def _stack_histories(histories):
    """Stack dicts of series to arrays (n_folds, E), padded with NaN."""
    keys = list(dict.fromkeys(key for history in histories for key in history))
    n_epochs = max(len(series) for history in histories for series in history.values())
    stacked = {key: np.full((len(histories), n_epochs), np.nan) for key in keys}
    for fold, history in enumerate(histories):
        for key, series in history.items():
            stacked[key][fold, : len(series)] = series
    return stacked


def _stratified_rows(y, size, rng):
    """Sorted indices of `size` rows, the classes in about the proportions of `y`."""
    from sklearn.utils import resample

    rows = np.arange(len(y))
    if size == len(y):
        return rows
    return np.sort(resample(rows, replace=False, n_samples=size, stratify=y, random_state=rng))
