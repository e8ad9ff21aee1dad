"""Tables from files of arrays: npz, npy, libsvm, .mat and IDX."""

import os

import numpy as np
import scipy.sparse as sp

from fastlr.datasets import load_mat, load_mnist_idx
from fastlr.npz import MAX_DEFLATE_RATIO, map_array, open_npz, read_member
from fastlr.readers.table import Table, column_of, refuse_target

# Names of features and labels in .npz files, in any case; the first that are there count.
_PAIRS = (("x", "y"), ("x_train", "y_train"), ("data", "target"), ("images", "labels"))
_SPARSE = {"data", "indices", "indptr", "shape", "format"}  # of scipy.sparse.save_npz


def read_folder(path, target, model):
    refuse_target(target)
    (X, y), (X_test, y_test) = load_mnist_idx(path, flatten=False)
    shape, (X, X_test) = X.shape[1:], (images.reshape(len(images), -1) for images in (X, X_test))
    return Table(X, y, None, "the label files", shape, (X_test, y_test))


def read_mat(path, target, model):
    refuse_target(target)
    X, y = load_mat(path, transpose=False, ten_is_zero=False)
    if X.shape[1] != 400 or not np.isin(y, range(1, 11)).all():
        return Table(X, y, None, "array 'y'")
    return Table(*load_mat(path), None, "array 'y', where 10 is 0", (20, 20))


def read_npz(path, target, model):
    with open_npz(path) as archive:
        names = {name.removesuffix(".npy"): name for name in archive.namelist()}
        lower = {name.lower(): name for name in names}
        is_sparse = set(lower) >= _SPARSE

        def read(name):
            return read_member(archive, lower[name], path)

        X_name, y_name = next((pair for pair in _PAIRS if pair[0] in lower), (None, None))
        if X_name is None:
            raise ValueError(
                f"has no arrays that are known as features; found: {', '.join(names) or 'nothing'}; "
                "needed: X and y, or x_train and y_train"
            )
        labels = read("y") if is_sparse and "y" in lower else None
        where = "array 'y'"
        if target is not None:
            labels, where = _npz_target(target, lower, read)
        elif not is_sparse and y_name in lower:
            labels, where = read(y_name), f"array {lower[y_name]!r}"
        if is_sparse:
            X, shape = _load_sparse(read, os.path.getsize(path)), None
        else:
            X, shape = _flat(read(X_name))
        test = None
        if not is_sparse and {"x_test", "y_test"} <= set(lower) and target is None:
            test = _flat(read("x_test"))[0], read("y_test")
    if labels is None and model is None:
        hint = "; give the file of labels as the target" if is_sparse else ""
        raise ValueError(f"has no labels; found: {', '.join(names)}{hint}")
    return Table(X, labels, None, where, shape, test)


def _npz_target(target, lower, read):
    """The labels that a target stands for, of the archive or of a .npy beside it."""
    name = str(target)
    if name.lower() in lower:
        return read(name.lower()), f"array {name!r}"
    if name.endswith(".npy"):
        return map_array(name), name
    raise ValueError(
        f"target {name!r} is neither an array of it nor a .npy file; found: {', '.join(lower.values())}"
    )


def _load_sparse(read, size):
    """The matrix of scipy.sparse.save_npz in a file of `size` bytes; scipy's reader checks nothing."""
    kinds = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "bsr": sp.bsr_matrix}
    kind, shape = read("format"), read("shape")
    kind = kind.item().decode("ascii", "replace") if kind.dtype.kind == "S" and kind.ndim == 0 else str(kind)
    if kind not in kinds or shape.shape != (2,) or shape.dtype.kind != "i":
        raise ValueError(
            f"is a sparse matrix of format {kind} and shape {shape}; needed: csr, csc or bsr, (n, d)"
        )
    parts = read("data"), read("indices"), read("indptr")
    if [part.dtype.kind for part in parts[1:]] != ["i", "i"] or parts[0].dtype.kind not in "biuf":
        raise ValueError(
            f"is a sparse matrix of {', '.join(str(part.dtype) for part in parts)}; needed: numbers"
        )
    if shape[0] > MAX_DEFLATE_RATIO * size or 0 in parts[0].shape[1:]:  # even labels would need more
        raise ValueError(f"is too small for a sparse matrix of shape {tuple(shape.tolist())}")
    X = kinds[kind](parts, shape=tuple(shape.tolist()))
    X.check_format(full_check=True)  # a damaged index would be followed out of memory
    return sp.csr_matrix(X)


def read_npy(path, target, model):
    array = map_array(path)
    if array.ndim != 2:
        raise ValueError(f"has shape {array.shape}; needed: a matrix, whose last column is the target")
    column = column_of(target, array.shape[1], None, model)
    if column is None:
        return Table(array, None)
    last = array.shape[1] - 1
    # The columns beside the last one are a view; any other column leaves a hole, which takes a copy.
    X = array[:, :last] if column == last else np.delete(array, column, axis=1)
    return Table(X, array[:, column], None, f"column {column}")


def read_libsvm(path, target, model):
    from sklearn.datasets import load_svmlight_file

    refuse_target(target)
    try:
        X, y = load_svmlight_file(str(path), n_features=None if model is None else model.n_features)
    except OverflowError as error:
        raise ValueError("has the number of a feature beyond 2^31 - 1") from error
    return Table(X, y, None, "the first word of each line")


def _flat(X):
    """Images as rows, and their shape; anything else as it is."""
    if X.ndim == 4 and X.shape[3] == 1:
        X = X[..., 0]
    return (X.reshape(len(X), -1), X.shape[1:]) if X.ndim == 3 else (X, None)
