"""NumPy's npz archives, read without unpickling and without believing what their headers claim."""

import math
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np

_MAX_DEFLATE_RATIO = 1032  # no deflate stream expands by more than this (zlib's documentation)
_SLACK = 1 << 20  # bytes that any array may have


@contextmanager
def open_npz(path):
    """The archive as a ZipFile; damage found while it is open becomes a ValueError that names the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{path}: not an intact npz file ({error})") from error


def read_member(archive, name, path):
    """Read one array of an npz after checking that its header agrees with the archive's sizes."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(
            f"{path}: has no array {name!r}; found: {', '.join(archive.namelist()) or 'nothing'}"
        ) from None
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = "read_array_header_1_0" if version == (1, 0) else "read_array_header_2_0"
        shape, _, dtype = getattr(np.lib.format, read)(stream)
        needed = math.prod(shape) * dtype.itemsize
        found = info.file_size - stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{path}: array {name!r} holds pickled objects; needed: numbers")
    check_size(found, needed, f"{path}, array {name!r}")
    known = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not known or info.file_size > _MAX_DEFLATE_RATIO * info.compress_size + _SLACK:
        raise ValueError(f"{path}: array {name!r} cannot hold the {info.file_size} bytes it claims")
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def check_size(found, needed, path):
    if found < needed:
        raise ValueError(f"{path}: truncated: {found} bytes of data; its header needs {needed}")
    if found > needed:
        raise ValueError(f"{path}: trailing bytes after the {needed} that its header announces")
