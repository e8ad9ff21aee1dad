"""Where a classifier errs: confusion matrix, most confused pairs of classes, worst mistakes.

Shapes: n samples, K classes.
"""

import numbers
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlr.typing import Array, Names


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: Names | None = None,
    sample_weight: ArrayLike | None = None,
    normalize: Literal["true", "pred", "all"] | None = None,
) -> Array:
    """Count samples by true class (rows) and predicted class (columns).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted classes.
    labels : array-like of shape (K,), optional
        Order of the classes; by default all that occur, sorted.
    sample_weight : array-like of shape (n,), optional
        Weights; the default counts each sample once.
    normalize : {"true", "pred", "all"}, optional
        Divide by the sum of the row, of the column, or of the whole matrix.

    Returns
    -------
    matrix : ndarray of shape (K, K)
        Integers when there are neither weights nor normalisation.

    Raises
    ------
    ValueError
        If the arguments do not fit together (raised by scikit-learn).

    Examples
    --------
    >>> from fastlr.metrics import confusion_matrix
    >>> confusion_matrix([0, 0, 1, 1, 1], [0, 1, 1, 1, 0])
    array([[1, 1],
           [1, 2]])
    """
    from sklearn import metrics

    return metrics.confusion_matrix(
        y_true, y_pred, labels=labels, sample_weight=sample_weight, normalize=normalize
    )


def most_confused(
    y_true: ArrayLike, y_pred: ArrayLike, *, labels: Names | None = None, n: int = 10
) -> list[tuple[Any, Any, int]]:
    """List the most frequent errors as (true class, predicted class, count).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted classes.
    labels : array-like of shape (K,), optional
        Classes to look at; by default all that occur, sorted.
    n : int, default=10
        Length of the list at most; pairs that never occur are left out.

    Returns
    -------
    pairs : list of (true, predicted, count)
        Highest count first; equal counts in the order of `labels`, by true class, then predicted.

    Raises
    ------
    ValueError
        If `n` is no integer or negative, labels are of several types, or the arguments do not fit together.

    Examples
    --------
    >>> from fastlr.metrics import most_confused
    >>> most_confused([4, 4, 4, 7, 9], [9, 9, 4, 9, 4])
    [(4, 9, 2), (7, 9, 1), (9, 4, 1)]
    """
    if not isinstance(n, numbers.Integral) or n < 0:
        raise ValueError(f"n: found {n!r}; needed: an integer, 0 or more")
    if labels is None:
        try:
            labels = np.union1d(y_true, y_pred)
        except TypeError as error:
            raise ValueError(
                f"y_true, y_pred: found labels that have no order; needed: one type; {error}"
            ) from None
    labels = np.asarray(labels)
    counts = confusion_matrix(y_true, y_pred, labels=labels)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:n]  # stable: ties in row-major order
    names = labels.tolist()
    cells = (divmod(int(cell), len(names)) for cell in order)
    return [(names[i], names[j], int(counts[i, j])) for i, j in cells if counts[i, j]]


def mistakes(y_true: ArrayLike, proba: ArrayLike, *, labels: Names) -> NDArray[np.intp]:
    """Indices of the misclassified samples, most confident errors first.

    Confidence is the probability that was given to the (wrong) predicted class.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True classes.
    proba : array-like of shape (n, K)
        Probabilities, as ``predict_proba`` returns them.
    labels : array-like of shape (K,)
        Class of each column of `proba`: the ``classes_`` of the estimator.

    Returns
    -------
    indices : ndarray of shape (n_mistakes,), intp
        Rows with ``labels[proba[row].argmax()] != y_true[row]``; equally confident ones in their
        original order.

    Raises
    ------
    ValueError
        If the shapes do not fit together, `proba` holds NaN or no numbers, or `y_true` are strings where
        `labels` are numbers.

    Examples
    --------
    >>> from fastlr.metrics import mistakes
    >>> proba = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]
    >>> mistakes(["no", "no", "no"], proba, labels=["no", "yes"])
    array([2, 1])
    """
    y_true, proba, labels = np.asarray(y_true), np.asarray(proba), np.asarray(labels)
    for name, values in (("y_true", y_true), ("labels", labels)):
        if values.ndim != 1:
            raise ValueError(f"{name}: found {values.ndim} dimensions; needed: a list of labels")
    if y_true.dtype.kind + labels.dtype.kind in ("iU", "Ui", "fU", "Uf"):
        raise ValueError(
            f"y_true: found {y_true.dtype}; needed: labels of the type of `labels`, {labels.dtype}"
        )
    expected = (len(y_true), len(labels))
    if proba.shape != expected:
        raise ValueError(
            f"proba: found shape {proba.shape}; needed: {expected}, "
            "one row per entry of y_true and one column per entry of labels"
        )
    if proba.dtype.kind not in "fiub":
        raise ValueError(f"proba: found {proba.dtype}; needed: real numbers")
    if np.isnan(proba).any():
        raise ValueError("proba: found NaN; needed: probabilities")
    if proba.size == 0:
        return np.empty(0, dtype=np.intp)
    predicted = labels[proba.argmax(axis=1)]
    wrong = np.flatnonzero(predicted != y_true)
    return wrong[np.argsort(-proba[wrong].max(axis=1), kind="stable")]
