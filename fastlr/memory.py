"""Whether memory suffices for a fit, and whether the file that X is mapped from is whole: a process that
takes too much, or reads what is gone, is killed, model and all.

Estimates count the large arrays that a fit surely has at one time, and no others: what is refused would not
have fitted. Shapes: n samples, d features, K score columns.
"""

import mmap
import os
from pathlib import Path

import numpy as np

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_SMALL = 200e6  # bytes: not worth the time to look
_ROOT = Path("/")
# Where control groups of version 2 and 1 lie, and the file of the limit.
_GROUPS = (("sys/fs/cgroup", "memory.max"), ("sys/fs/cgroup/memory", "memory.limit_in_bytes"))


def _lines(path):
    try:
        return (_ROOT / path).read_text().splitlines()
    except OSError:
        return []


def _machine():
    """Bytes that the machine has free or can free, swap included; all that it has where that is not told."""
    known = dict(line.split(":") for line in _lines("proc/meminfo"))
    if "MemAvailable" in known:
        return sum(1024 * int(known.get(name, "0").split()[0]) for name in ("MemAvailable", "SwapFree"))
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _group_limits():
    """Limits of the control groups that this process is in, from its own to the outermost one."""
    parts = [line.split(":", 2) for line in _lines("proc/self/cgroup")]
    own = [path.strip("/") for _, kind, path in parts if kind in ("", "memory")]
    for root, name in _GROUPS:
        # In a container the path may be one outside of it; the root is there anyway.
        folders = {folder for path in own for folder in (Path(path), *Path(path).parents)}
        for folder in folders:
            yield from (int(line) for line in _lines(Path(root) / folder / name)[:1] if line.isdigit())


def available():
    """Bytes that this process can still take, as far as machine, control groups and RLIMIT_AS tell."""
    pages = [int(number) for number in " ".join(_lines("proc/self/statm")).split()]
    size, resident, shared = pages[:3] if len(pages) >= 3 else (0, 0, 0)
    page = resource.getpagesize() if resource else 0
    room = [_machine(), *(limit - (resident - shared) * page for limit in _group_limits())]
    if resource and (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        room.append(limit - size * page)
    return max(min(room), 0)


def require(n_bytes, what, advice):
    """Raises MemoryError if a fit needs so many bytes and they are not there.

    Parameters
    ----------
    n_bytes : float
    what : str
        What needs them.
    advice : str
        A sentence on what needs less.
    """
    if n_bytes > _SMALL and n_bytes > (room := available()):
        raise MemoryError(
            f"{what} needs at least {n_bytes / 1e9:,.1f} GB of memory; available are {room / 1e9:,.1f} GB. "
            f"{advice}"
        )


class Mapping:
    """The file that an array is mapped from, if there is one: np.memmap, np.load(mmap_mode=...) and views.

    Parameters
    ----------
    array : ndarray, or anything else, which is not mapped
    """

    def __init__(self, array):
        self.map, start = None, 0
        while isinstance(array, np.ndarray):
            if isinstance(array, np.memmap) and array.offset is not None:  # a copy has none
                start = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
            array = array.base
        array = array.obj if isinstance(array, memoryview) else array
        if isinstance(array, mmap.mmap):
            self.map, self.end = array, start + len(array)

    def check(self):
        """Raises OSError if the file has become shorter. Reading what is gone ends the process by a signal:
        when that happens while a kernel reads, nothing can be done."""
        if self.map is None:
            return
        try:
            size = self.map.size()
        except (OSError, ValueError):  # mapped from no file, or from one that is closed
            return
        if size < self.end:
            raise OSError(
                f"X is mapped from a file that has become shorter: {self.end:,} bytes of it are in use, and "
                f"{size:,} are there. Write the file again, and keep it as it is while it is in use."
            )
