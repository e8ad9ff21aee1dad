"""MATLAB's .mat files of images and labels, as a well-known course hands them out."""

import math
import struct
import warnings
from pathlib import Path

import numpy as np

_HEADER = 128  # bytes before the first element of a version 5 file
_MATRIX = 14
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}  # types of plain numbers: miINT8 to miUINT64
_NUMERIC_CLASSES = range(6, 16)  # mxDOUBLE_CLASS to mxUINT64_CLASS
_COMPLEX = 0x0800


def load_mat(path, *, transpose=True, ten_is_zero=True):
    """Load images and labels from a MATLAB .mat file (version 5 to 7).

    The file holds X of shape (n, d) and y of shape (n, 1), as the 5,000 digits of 20 x 20 pixels of a
    well-known course do. MATLAB lays out images by columns and counts from one; the defaults undo both.

    Parameters
    ----------
    path : str or path-like
        The file, as MATLAB's ``save -v6`` or ``-v7``, Octave or ``scipy.io.savemat`` writes it.
    transpose : bool, default=True
        Turn square images that are stored by columns the right way up. False leaves X as it is.
    ten_is_zero : bool, default=True
        Whether the label 10 means the digit 0.

    Returns
    -------
    X : ndarray of shape (n, d)
        In the type of the file; images by rows.
    y : ndarray of shape (n,), int64

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, of another version (7.3 is HDF5, which scipy does not read), has no
        X or y, if these are not real numbers of n rows, or the d pixels make no square to transpose.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from fastlr.datasets import load_mat
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "digits.mat")
    ...     savemat(path, {"X": np.array([[1.0, 3.0, 2.0, 4.0]]), "y": [[10]]})  # one image, 2 x 2
    ...     X, y = load_mat(path)
    >>> X.reshape(2, 2)
    array([[1., 2.],
           [3., 4.]])
    >>> y
    array([0])
    """
    found = _load(path)
    X, y = (_numbers(found, name, path) for name in ("X", "y"))
    if X.ndim != 2:
        raise ValueError(f"{path}: X has shape {X.shape}; needed: (n, d), an image in each row")
    if y.size != len(X):
        raise ValueError(f"{path}: y has shape {y.shape}; needed: ({len(X)}, 1), a label for each row of X")
    y = y.ravel()
    if not (np.isfinite(y).all() and (np.abs(y) < 2**53).all() and (y == np.round(y)).all()):
        raise ValueError(f"{path}: y holds values that are not whole numbers; needed: labels")
    labels = y.astype(np.int64)
    if ten_is_zero:
        labels[labels == 10] = 0
    return _upright(X, path) if transpose else np.ascontiguousarray(X), labels


def _load(path):
    """The variables X and y of the file, those that are there."""
    from scipy.io import loadmat
    from scipy.io.matlab import matfile_version

    path = Path(path)
    with path.open("rb") as stream:
        try:
            version = matfile_version(stream)[0]
        except Exception as error:  # scipy has many types for this
            raise ValueError(f"{path}: not a MATLAB file ({error})") from error
        if version == 2:
            raise ValueError(
                f"{path}: a MATLAB file of version 7.3, which is HDF5; needed: version 5 to 7 "
                "(in MATLAB: save(file, 'X', 'y', '-v7'))"
            )
        if version != 1:
            raise ValueError(f"{path}: a MATLAB file of version 4; needed: version 5 to 7")
        _check_tags(stream, path)
        stream.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of variables that nobody asks for
                return loadmat(stream, variable_names=["X", "y"])
        except Exception as error:  # OSError, too: scipy's for a file that ends too early
            raise ValueError(f"{path}: truncated or damaged MATLAB file ({error})") from error


def _check_tags(stream, path):
    """Refuses damaged type tags of numeric arrays, which scipy believes and crashes on.

    Compressed variables need no such check: they carry a checksum, which scipy compares.
    """
    size = stream.seek(0, 2)
    stream.seek(_HEADER - 2)
    order = "<" if stream.read(2) == b"IM" else ">"
    while (start := stream.tell()) + 8 <= size:
        kind, length = struct.unpack(f"{order}II", stream.read(8))
        end = start + 8 + length
        if end > size:
            raise ValueError(f"{path}: truncated MATLAB file: {size} bytes; its tags need {end}")
        if kind == _MATRIX:
            _check_matrix(stream, order, end, path)
        stream.seek(end)


def _check_matrix(stream, order, end, path):
    """Checks the parts of an array: flags, dimensions, name, and for numbers the real and imaginary part."""
    kinds, flags = [], 0
    while stream.tell() + 8 <= end and len(kinds) < 5:
        kind, length = struct.unpack(f"{order}II", stream.read(8))
        if kind >> 16:  # a small element: length and type share a word, and the next one is the data
            kind, length = kind & 0xFFFF, 0
        elif not kinds:
            flags = struct.unpack(f"{order}I", stream.read(4))[0]
            stream.seek(-4, 1)
            if flags & 0xFF not in _NUMERIC_CLASSES:
                return  # text, cells and structures, which are not asked for or refused later
        kinds.append(kind)
        stream.seek(-(-length // 8) * 8, 1)  # data end at a multiple of 8 bytes
    needed = 5 if flags & _COMPLEX else 4
    if len(kinds) < needed or stream.tell() > end or not set(kinds) <= _NUMBERS:
        raise ValueError(f"{path}: damaged MATLAB file: an array with parts of types {kinds}")


def _numbers(found, name, path):
    if name not in found:
        raise ValueError(f"{path}: has no variable {name!r}; needed: X (n, d) and y (n, 1)")
    array = found[name]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        kind = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"{path}: {name} holds {kind}; needed: a full matrix of real numbers")
    return array


def _upright(X, path):
    """Images stored by columns, by rows."""
    side = math.isqrt(X.shape[1])
    if side * side != X.shape[1]:
        raise ValueError(f"{path}: {X.shape[1]} pixels make no square; transpose=False takes X as it is")
    return X.reshape(-1, side, side).transpose(0, 2, 1).reshape(X.shape)
