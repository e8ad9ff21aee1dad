"""Files that are replaced as a whole, or not at all."""

import errno
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path):
    """A binary file to write to, which takes the place of `path` when the block ends without an exception.

    It lies in the same folder under another name until all of it is on the disk, so that whatever fails, be
    it a crash of the machine, leaves what was there. Links are followed, permissions kept; devices and pipes
    are written to, not replaced.

    Raises OSError, which names `path` and not the other file, if it cannot be written.
    """
    name = os.fsdecode(path)
    try:
        if os.path.isdir(name):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.exists(name) and not os.path.isfile(name):
            with open(name, "wb") as file:
                yield file
        else:
            yield from _replaced(Path(os.path.realpath(name)))  # a link goes on pointing to the file
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, name) from error


def _replaced(path):
    if path.exists() and not os.access(path, os.W_OK):  # renaming would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    temporary = path.with_name(f".fastlr-{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            if path.exists():
                shutil.copymode(path, temporary)  # before a byte is in it: what was private stays so
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Brings the new name to the disk, where the system lets one open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
