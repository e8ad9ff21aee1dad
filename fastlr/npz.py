"""Arrays in npz files, whose claims are checked before they take memory; nothing is pickled."""

import io
import math
import os
import shutil
import tokenize
import uuid
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_MAX_DEFLATE_RATIO = 1032  # no deflate stream expands by more than this (zlib's documentation)
_SLACK = 1 << 20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


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
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{where}: .npy version {version} is unknown; needed: (1, 0) or (2, 0)")
    try:
        shape, _, dtype = _HEADERS[version](stream)
    except (SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ValueError(f"{where}: damaged header ({error})") from error
    if dtype.hasobject:
        raise ValueError(f"{where} holds pickled objects; needed: numbers or strings")
    check_size(size - stream.tell(), math.prod(shape) * dtype.itemsize, where)
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


@contextmanager
def open_npz(path):
    """The archive as a ZipFile; damage found while it is open becomes a ValueError that names the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{path}: not an intact npz file ({error})") from error


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
    if not known or info.file_size > _MAX_DEFLATE_RATIO * info.compress_size + _SLACK:
        raise ValueError(f"{where} cannot hold the {info.file_size} bytes it claims")
    with archive.open(info) as stream:
        return read_array(stream, info.file_size, where)


def as_bytes(array):
    """The .npy file of an array without objects."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()


def write(members, path):
    """Writes an archive of members, bytes by name, uncompressed.

    First beside `path`, then in its place: whatever fails leaves the file that was there. Devices and pipes
    are written to, not replaced.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)  # of no date: same content, same file
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        Path(path).write_bytes(content.getbuffer())
        return
    path = Path(os.path.realpath(path))  # a link goes on pointing to the file
    temporary = path.with_name(f".fastlr-{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)  # what was private stays so
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
