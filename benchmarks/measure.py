"""What the measurements share: clocks, peak memory, the cells of a table."""

import contextlib
import ctypes
import os
import platform
import statistics
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import sklearn
from threadpoolctl import threadpool_info

from fastlr._kernels import simd
from fastlr.data import available_threads


def take_turns(sides, repeats):
    """Seconds of each side, a dict of functions, over rounds in which each runs once. The pause lets the
    BLAS threads of the side before fall asleep: they spin for a while after their last product."""
    times = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            time.sleep(0.2)
            times[name].append(timed(work)[0])
    return times


def timed(work):
    """Seconds of a function, and what it returns."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def apart(function, *arguments):
    """The result of a function of a module, in a fresh interpreter."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def extra_memory(work):
    """Bytes by which the resident set grows at most while a function runs, and what it returns.

    To be called `apart`, in an interpreter that has done little else. Where the system allows it, freed
    memory is given back and the high-water mark put down first, lest what was used before hide what the
    function needs.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before, _ = _resident()
    result = work()
    return _resident()[1] - before, result


def _resident():
    """Present and highest resident set, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if "kB" in line}
        return sizes["VmRSS"], sizes["VmHWM"]
    except OSError:
        import resource  # not everywhere

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return peak, peak


def fit_memory(estimator, X, y, repeats=3):
    """Bytes that fits need beyond their data, each in an interpreter of its own."""
    return [apart(_fit_memory, estimator, X, y) for _ in range(repeats)]


def _fit_memory(estimator, X, y):
    warnings.simplefilter("ignore")
    return extra_memory(lambda: estimator.fit(X, y))[0]


def seconds(values):
    """A cell: the median, and in brackets the least and the greatest."""
    scale, unit = (1e3, "ms") if statistics.median(values) < 1 else (1, "s")
    middle, low, high = (_three_digits(scale * f(values)) for f in (statistics.median, min, max))
    text = f"{middle} {unit}"
    return text if len(values) == 1 else f"{text} ({low} to {high})"


def _three_digits(value):
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def ratio(peer, ours):
    """A cell: peer / ours, of the medians; in brackets the least and the greatest of a round. A side that
    ran once meets all rounds of the other."""
    if len(peer) == 1:
        peer = peer * len(ours)
    rounds = [p / o for p, o in zip(peer, ours, strict=True)]
    middle = statistics.median(peer) / statistics.median(ours)
    text = f"**{middle:.3g}**"
    return text if len(rounds) == 1 else f"{text} ({min(rounds):.3g} to {max(rounds):.3g})"


def compared(label, times, ours, peer, note=""):
    """A row of a table."""
    return label, seconds(times[ours]), seconds(times[peer]), ratio(times[peer], times[ours]), note


def print_table(rows):
    """Prints rows as they come, after what they are measured on."""
    print(f"{machine()}\n")
    print("| work | fastlr | peer | peer / fastlr | |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print(f"\nMedians (least to greatest) of rounds in which sides took turns; at the end {load()}")


def machine():
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        fields = [line.split(": ") for line in Path("/proc/cpuinfo").read_text().splitlines()]
        model = next((field[1] for field in fields if field[0].startswith("model name")), model)
    blas = {
        f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture', '')}".strip()
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    }
    return (
        f"{model}, {available_threads()} processors; instructions {simd.ISA}; Python "
        f"{platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}, "
        f"BLAS {' and '.join(sorted(blas))}; {load()}"
    )


def load():
    return "load " + ", ".join(f"{value:.2f}" for value in os.getloadavg())
