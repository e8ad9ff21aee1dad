"""Arrays in npz files, whose claims are checked before they take memory; nothing is pickled."""

import errno
import io
import math
import os
import struct
import sys
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np

from fastlr.atomic import replacing

MAX_DEFLATE_RATIO = 1032  # no deflate stream expands by more than this (zlib's documentation)
_USUAL_RATIO = 16  # what claims to expand by more is counted first
_SLACK = 1 << 20
_CHUNK = 1 << 20  # bytes read at a time
_MAX_NDIM = 32  # NumPy 1.x allows no more dimensions
_LONGEST_HEADER = 1 << 14  # bytes; NumPy reads no longer ones
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What zipfile raises on nonsense.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, NotImplementedError, OverflowError,
    UnicodeDecodeError, OSError,
)  # fmt: skip


def check_size(found, needed, where):
    """Raises ValueError unless there are as many bytes of data as a header needs."""
    if found < needed:
        raise ValueError(f"{where}: truncated: {found} bytes of data; its header needs {needed}")
    if found > needed:
        raise ValueError(f"{where}: trailing bytes after the {needed} that its header announces")


def read_array(stream, size, where):
    """Reads one array.

    Parameters
    ----------
    stream : file object
        A .npy file from its first byte, which can go back there.
    size : int
        Its bytes.
    where : str
        Names it in errors.

    Returns
    -------
    array : ndarray

    Raises
    ------
    ValueError
        If it is not a .npy file, its header does not fit its size, or it holds objects.
    """
    _read_header(stream, size, where)
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def map_array(path):
    """The array of a .npy file, mapped into memory, so that nothing is copied."""
    with open(path, "rb") as stream:
        start, *claim = _read_header(stream, os.fstat(stream.fileno()).st_size, path)
    shape, is_fortran, dtype = claim
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if is_fortran else "C")


def _read_header(stream, size, where):
    """Place of the data, shape, order and type of a .npy file of `size` bytes, which are what these need."""
    head = io.BytesIO(stream.read(_LONGEST_HEADER))  # a header that claims gigabytes ends here
    try:
        version = np.lib.format.read_magic(head)
        if version not in _HEADERS:
            raise ValueError(f".npy version {version} is unknown; needed: (1, 0) or (2, 0)")
        shape, is_fortran, dtype = _HEADERS[version](head)
    except Exception as error:  # Python's parser and NumPy have many types for this
        raise ValueError(f"{where}: damaged header ({error})") from error
    if dtype.hasobject:
        raise ValueError(f"{where} holds pickled objects; needed: numbers or strings")
    if dtype.itemsize == 0 or len(shape) > _MAX_NDIM or any(n is True or n is False or n < 0 for n in shape):
        raise ValueError(f"{where}: damaged header (shape {shape} and type {dtype} make no array)")
    # NumPy refuses a product of the non-zero lengths beyond sys.maxsize even for an empty array.
    if math.prod(length for length in shape if length) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{where}: truncated: its header gives shape {shape}, larger than any array")
    check_size(size - head.tell(), math.prod(shape) * dtype.itemsize, where)
    return head.tell(), shape, is_fortran, dtype


@contextmanager
def open_npz(path):
    """The archive as a ZipFile; damage found while it is open becomes a ValueError that names the file."""
    size = os.path.getsize(path)
    try:
        with zipfile.ZipFile(path) as archive:
            # Members that overlap could hold more than any file of this size.
            if sum(info.compress_size for info in archive.infolist()) > size:
                raise ValueError(f"{path}: not an intact npz file (its members claim to be larger than it)")
            yield archive
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # of a place before the file
            raise
        raise ValueError(f"{path}: not an intact npz file ({error})") from error


def count_bytes(stream, limit):
    """Bytes left in `stream`, counted in constant memory; stops soon after `limit`."""
    count = 0
    while count < limit and (chunk := stream.read(_CHUNK)):
        count += len(chunk)
    return count


def read_member(archive, name, path):
    """Reads one array of an open ZipFile by its name without .npy; `path` names the file in errors."""
    where = f"{path}, array {name!r}"
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(
            f"{path}: has no array {name!r}; found: {', '.join(archive.namelist()) or 'nothing'}"
        ) from None
    known = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not known or info.file_size > MAX_DEFLATE_RATIO * info.compress_size + _SLACK:
        raise ValueError(f"{where} cannot hold the {info.file_size} bytes it claims")
    with archive.open(info) as stream:
        if info.file_size > _USUAL_RATIO * info.compress_size + _SLACK:
            check_size(count_bytes(stream, info.file_size), info.file_size, where)
            stream.seek(0)
        return read_array(stream, info.file_size, where)


def as_bytes(array):
    """The .npy file of an array without objects."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()


def write(members, path):
    """Writes an archive of members, bytes by name, uncompressed; failure leaves the file that was there."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)  # of no date: same content, same file
    with replacing(path) as file:
        file.write(content.getbuffer())
