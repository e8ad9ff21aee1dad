"""IDX, the format of MNIST's files: one array each, plain or gzip-compressed."""

import gzip
import math
import os
import struct
import sys
import zlib

import numpy as np

from fastlr.npz import check_size, count_bytes
from fastlr.typing import Array, File

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20  # bytes read at a time
_MAX_NDIM = 32  # NumPy 1.x allows no more dimensions
_IDX_DTYPES = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: File) -> Array:
    """Read one IDX file, plain or gzip-compressed.

    The size that the header promises is compared with what the file really holds before any array
    is allocated, so that a damaged or hostile header cannot take memory.

    Parameters
    ----------
    path : str or path-like
        The file. Compression is recognised by content, not by name.

    Returns
    -------
    array : ndarray
        In the shape and type of the header (uint8, int8, int16, int32, float32 or float64), native
        byte order.

    Raises
    ------
    ValueError
        If the magic number is wrong, or the file is truncated, has trailing bytes, fails its gzip
        checksum, or has a size that does not fit its header.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastlr.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "labels-idx1-ubyte")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     labels = read_idx(path)
    >>> labels
    array([5, 0, 4], dtype=uint8)
    """
    with open(path, "rb") as raw:
        compressed = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        if not compressed:
            dtype, shape, n_bytes = _read_header(raw, path)
            check_size(os.fstat(raw.fileno()).st_size - raw.tell(), n_bytes, path)
            return _read_array(raw, dtype, shape, n_bytes, path)
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                dtype, shape, n_bytes = _read_header(stream, path)
                # First pass: count the bytes, which checks gzip's checksum too, and throw them
                # away. gzip's own size field is not to be trusted.
                check_size(count_bytes(stream, n_bytes + 1), n_bytes, path)
                stream.seek(4 + 4 * len(shape))
                return _read_array(stream, dtype, shape, n_bytes, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: truncated or damaged gzip file ({error})") from error


def _read_header(stream, path):
    """Return (dtype, shape, bytes of data) after an IDX header; the product is in Python ints."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_DTYPES:
        raise ValueError(
            f"{path}: not an IDX file: magic number {magic.hex() or '(empty)'}; needed: 0000, "
            f"then a type out of {', '.join(f'{code:02x}' for code in _IDX_DTYPES)}, then ndim"
        )
    dtype, ndim = _IDX_DTYPES[magic[2]], magic[3]
    if not 1 <= ndim <= _MAX_NDIM:
        raise ValueError(f"{path}: IDX header gives {ndim} dimensions; needed: 1 to {_MAX_NDIM}")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"{path}: truncated IDX header: {len(sizes)} bytes of {4 * ndim}")
    shape = struct.unpack(f">{ndim}I", sizes)
    # NumPy refuses a product of the non-zero sizes beyond sys.maxsize even for an empty array.
    if math.prod(size for size in shape if size) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{path}: IDX header gives shape {shape}, larger than any array")
    return dtype, shape, math.prod(shape) * dtype.itemsize


def _read_array(stream, dtype, shape, n_bytes, path):
    array = np.empty(shape, dtype)
    buffer = array.reshape(-1).view(np.uint8)
    position = 0
    while position < n_bytes and (chunk := stream.read(min(_CHUNK, n_bytes - position))):
        buffer[position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
        position += len(chunk)
    check_size(position, n_bytes, path)  # the file may have changed since it was measured
    return array.astype(dtype.newbyteorder("="), copy=False)
