"""What readers return, how they find labels, and what a table has to be like.

Shapes: n rows, d features.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from fastlr.validate import has_finite_sum


@dataclass(frozen=True)
class Table:
    """What `read_table` has found in a file.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, d)
    y : ndarray of shape (n,), or None where the file has no labels
        Whole numbers are int64, text is of a str type.
    names : list of d str, or None
        Names of the features.
    target : str
        Where the labels were, in words.
    image_shape : (h, w), or None
        Where the features are known to be pixels.
    test : (X, y), or None
        The test set of files that have one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlr.readers import Table
    >>> Table(np.zeros((2, 4)), np.array([3, 8]), image_shape=(2, 2)).names is None
    True
    """

    X: object
    y: np.ndarray | None
    names: list | None = None
    target: str = ""
    image_shape: tuple | None = None
    test: tuple | None = None


@dataclass(frozen=True)
class Model:
    """The features that a model knows: their number, and their names or None."""

    n_features: int
    names: list | None = None


def column_of(target, n_columns, names, model):
    """Number of the column of labels, or None where there is none."""
    if target is None:
        return None if model is not None and n_columns == model.n_features else n_columns - 1
    if names is not None and str(target) in names:
        return names.index(str(target))
    columns = listed(names) if names else f"0 to {n_columns - 1}, without names"
    try:
        column = int(target)
    except ValueError:
        raise ValueError(f"has no column {target!r} to be the target; its columns: {columns}") from None
    if not -n_columns <= column < n_columns:
        raise ValueError(f"has no column {column} to be the target; its columns: {columns}")
    return column % n_columns


def listed(names, most=12):
    """The first names, and how many more there are."""
    names = [str(name) for name in names]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def refuse_target(target):
    if target is not None:
        raise ValueError(f"has its labels in a fixed place; a target ({target!r}) cannot be chosen")


def checked(table, model):
    """The table, if models can make something of it."""
    parts = [(table.X, table.y)] + ([] if table.test is None else [table.test])
    for X, _ in parts:
        _check_features(X, table.names)
        if model is not None and X.shape[1] != model.n_features:
            raise ValueError(f"has {X.shape[1]} features; the model needs {model.n_features}")
        if X.shape[1] != table.X.shape[1]:
            raise ValueError(f"has {table.X.shape[1]} features to train on and {X.shape[1]} to test on")
    labels = [None if y is None else _labels(y, X.shape[0]) for X, y in parts]
    test = None if table.test is None else (table.test[0], labels[1])
    return replace(table, y=labels[0], test=test)


def _check_features(X, names):
    if X.ndim != 2:
        raise ValueError(f"features have shape {X.shape}; needed: (n, d)")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"features are of type {X.dtype}; needed: real numbers")
    if 0 in X.shape:
        raise ValueError(f"has {X.shape[0]} rows and {X.shape[1]} features; needed: one at least of each")
    values = X.data if sp.issparse(X) else X
    # The sum tells in little memory that all is well.
    if values.dtype.kind != "f" or has_finite_sum(values):
        return
    if sp.issparse(X):
        bad, X = ~np.isfinite(X.data), X.tocoo()
        rows, columns = X.row[bad], X.col[bad]
    else:
        rows, columns = np.nonzero(~np.isfinite(X))
    if len(rows):
        where = f"{columns[0]}" if names is None else repr(names[columns[0]])
        raise ValueError(
            f"{len(rows)} values are NaN or infinite, the first in row {rows[0] + 1}, column {where}; "
            "needed: numbers"
        )


def _labels(y, n):
    """Labels as whole numbers or text."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n,):
        raise ValueError(f"labels have shape {y.shape}; needed: ({n},), one for each row")
    if y.dtype.kind in "OT":
        return y.astype(str)
    if y.dtype.kind not in "biufU":
        raise ValueError(f"labels are of type {y.dtype}; needed: numbers or text")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(y))} labels are NaN or infinite")
        if np.abs(y).max() < 2**53 and np.array_equal(y, np.round(y)):
            return y.astype(np.int64)
    return y
