"""The version, and what it runs on."""

import platform
from importlib.metadata import PackageNotFoundError, version

from fastlr._kernels import simd
from fastlr.data import available_threads

__version__ = "0.1.0"


def show_versions() -> None:
    """Prints the versions of fastlr, Python and the packages it uses, the instruction set and the threads.

    Examples
    --------
    >>> import fastlr
    >>> fastlr.show_versions()  # doctest: +ELLIPSIS
    fastlr ...
    """
    rows = [("fastlr", __version__), ("instructions", simd.ISA), ("threads", available_threads())]
    rows += [("python", platform.python_version()), ("machine", platform.platform())]
    for package in ("numpy", "scipy", "scikit-learn", "matplotlib", "cython"):
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
    for name, value in rows:
        print(f"{name:13} {value}")
