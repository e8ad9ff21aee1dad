"""MATLAB's .mat files of images and labels, as a well-known course hands them out."""

import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from fastlr.typing import Array, File

_HEADER = 128  # bytes before the first element of a version 5 file
_MATRIX, _COMPRESSED = 14, 15  # types of elements
_INT8, _INT32, _UINT32 = 1, 5, 6
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_OTHER_CLASSES = {1: "cells", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix"}
_NUMERIC_CLASSES = range(6, 16)  # mxDOUBLE_CLASS to mxUINT64_CLASS
_OPAQUE_CLASS = 17  # has no dimensions
_COMPLEX = 0x0800


def load_mat(path: File, *, transpose: bool = True, ten_is_zero: bool = True) -> tuple[Array, Array]:
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
        If the file is damaged, of another version (7.3 is HDF5), has no
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
    X, y = _load(path)
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
    """The arrays X and y of the file.

    scipy's reader believes the tags of a file, and crashes where these lie. This one reads arrays of numbers
    only, and takes no more memory than their bytes.
    """
    path, found = Path(path), {}
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        order = _byte_order(stream.read(_HEADER), path)
        while (start := stream.tell()) + 8 <= size:
            kind, length = struct.unpack(f"{order}II", stream.read(8))
            if (end := start + 8 + length) > size:
                raise ValueError(f"{path}: truncated MATLAB file: {size} bytes; its tags need {end}")
            if length and kind in (_MATRIX, _COMPRESSED):
                content = stream.read(length)
                try:
                    found |= _variable(content, order, kind == _COMPRESSED)
                except (ValueError, zlib.error) as error:
                    raise ValueError(f"{path}: {error}") from error
            stream.seek(end)
    for name in ("X", "y"):
        if name not in found:
            raise ValueError(f"{path}: has no variable {name!r}; needed: X (n, d) and y (n, 1)")
    return found["X"], found["y"]


def _byte_order(header, path):
    """ "<" or ">", which a file of version 5 to 7 tells at the end of its header."""
    if len(header) == _HEADER and 0 in header[:4]:
        raise ValueError(f"{path}: a MATLAB file of version 4; needed: version 5 to 7")
    order = {b"IM": "<", b"MI": ">"}.get(header[_HEADER - 2 :])
    version = 0 if order is None else struct.unpack(f"{order}H", header[_HEADER - 4 : -2])[0] >> 8
    if version == 2:
        raise ValueError(
            f"{path}: a MATLAB file of version 7.3, which is HDF5; needed: version 5 to 7 "
            "(in MATLAB: save(file, 'X', 'y', '-v7'))"
        )
    if version != 1:
        raise ValueError(f"{path}: not a MATLAB file of version 5 to 7")
    return order


def _variable(content, order, is_compressed):
    """{name: array} of an element that is X or y, and {} of any other, of which only the start is read."""
    source = io.BytesIO(content)
    if is_compressed:
        source = _Inflated(content)
        if len(tag := source.read(8)) < 8 or struct.unpack(f"{order}I", tag[:4])[0] != _MATRIX:
            raise ValueError("damaged MATLAB file: a compressed element that is no array")
    flags = np.frombuffer(_part(source, order, {_UINT32: "u4"}), f"{order}u4")
    kind = int(flags[0]) & 0xFF if len(flags) == 2 else 0
    if kind == _OPAQUE_CLASS:
        return {}
    shape = np.frombuffer(_part(source, order, {_INT32: "i4"}), f"{order}i4").tolist()
    name = bytes(_part(source, order, {_INT8: "i1"})).decode("latin-1")
    if name not in ("X", "y"):
        return {}
    if kind not in _NUMERIC_CLASSES or flags[0] & _COMPLEX:
        what = "complex numbers" if kind in _NUMERIC_CLASSES else _OTHER_CLASSES.get(kind, "something else")
        raise ValueError(f"{name} holds {what}; needed: a full matrix of real numbers")
    values = _part(source, order, _NUMBERS)
    if min(shape, default=-1) < 0 or math.prod(shape) != len(values):
        raise ValueError(f"damaged MATLAB file: {name} has {len(values)} values; its shape {tuple(shape)}")
    if is_compressed and not source.is_whole():
        raise ValueError(f"truncated or damaged MATLAB file: {name} does not end where it should")
    return {name: values.astype(values.dtype.newbyteorder("=")).reshape(shape, order="F")}


def _part(source, order, types):
    """The values of the next part of an array, which is of one of these types: NumPy's names by MATLAB's."""
    if len(tag := source.read(8)) < 8:
        raise ValueError("truncated MATLAB file: a part of an array is missing")
    kind, length = struct.unpack(f"{order}II", tag)
    if small := kind >> 16:  # length and type share a word, and the next one is the data
        kind, length, data = kind & 0xFFFF, small, tag[4 : 4 + small]
    else:
        data = source.read(length)
        source.read(-length % 8)  # data end at a multiple of 8 bytes
    if kind not in types or len(data) < length or length % (dtype := np.dtype(order + types[kind])).itemsize:
        raise ValueError(
            f"damaged MATLAB file: a part of an array of type {kind}, {len(data)} of {length} bytes"
        )
    return np.frombuffer(data, dtype)


class _Inflated:
    """A compressed stream, which is expanded no further than it is read."""

    def __init__(self, content):
        self._inflater, self._rest = zlib.decompressobj(), content

    def read(self, n):
        """The next n bytes, or those that are left; memory is taken as they come."""
        if n == 0:  # which zlib takes as no limit
            return b""
        data = self._inflater.decompress(self._rest, n)
        self._rest = self._inflater.unconsumed_tail
        return data

    def is_whole(self):
        """Whether this is its end, and its checksum is right."""
        return not self.read(1) and self._inflater.eof


def _upright(X, path):
    """Images stored by columns, by rows."""
    side = math.isqrt(X.shape[1])
    if side * side != X.shape[1]:
        raise ValueError(f"{path}: {X.shape[1]} pixels make no square; transpose=False takes X as it is")
    return X.reshape(-1, side, side).transpose(0, 2, 1).reshape(X.shape)
