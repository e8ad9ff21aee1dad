"""How near the fused pass is to what the machine can do: `python -m benchmarks.ceiling`.

The ceiling is the time that reading X takes, or that of the multiply-adds of scores and gradient, whichever
is longer. Both rates are the best of all rounds, measured between the passes by loops in C that are compiled
on the spot (by $CC, or cc). Shares are those of the shortest pass.
"""

import argparse
import ctypes
import os
import platform
import shlex
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks import kernels
from benchmarks.measure import apart, load, machine, timed
from fastlr._kernels import simd

SOURCE = Path(__file__).with_suffix(".c")
# Bytes of a vector, and the flags of setup.py.
LEVELS = {"baseline": (16, [])}
if platform.machine().lower() in ("x86_64", "amd64"):
    LEVELS["avx2"] = 32, ["-mavx2", "-mfma"]
    LEVELS["avx512"] = 64, ["-mavx512f", "-mfma", "-mprefer-vector-width=512"]
_CHAINS = 12  # of ceiling.c
_TURNS = 300_000  # of its loop of multiply-adds: some milliseconds

TYPES = ("float32", "float64", "uint8")
CLASSES = (2, 3, 10, 20, 100)
THREADS = (1, 2)


def compiler():
    """The command of the C compiler."""
    return shlex.split(os.environ.get("CC") or "cc")


class Ceiling:
    """Rates of the machine, measured anew by each call.

    Parameters
    ----------
    isa : str
        Name of the instruction set.
    """

    def __init__(self, isa=simd.ISA):
        self.width, flags = LEVELS[isa]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            library = Path(folder, "ceiling.so")
            flags = ["-O3", "-shared", "-fPIC", f"-DVECTOR_BYTES={self.width}", *flags]
            subprocess.run([*compiler(), *flags, SOURCE, "-o", library], check=True)
            loops = ctypes.CDLL(str(library))  # while a function of it runs, other threads may
        self._read, self._multiply_add = loops.read_words, {}
        self._read.argtypes, self._read.restype = [ctypes.c_void_p, ctypes.c_ssize_t], ctypes.c_uint64
        for dtype, real in (("float32", "float"), ("float64", "double")):
            loop, number = getattr(loops, f"multiply_add_{real}"), getattr(ctypes, f"c_{real}")
            loop.argtypes, loop.restype = [ctypes.c_ssize_t, number, number], number
            self._multiply_add[dtype] = loop
        self._pools = {}

    def read(self, X, n_threads=1):
        """Bytes per second of reading the array X, which is contiguous."""
        words = X.nbytes // 8 // n_threads

        def part(member):
            self._read(X.ctypes.data + 8 * words * member, words)

        return X.nbytes / self._seconds(part, n_threads)

    def flops(self, dtype, n_threads=1):
        """Operations per second of multiply-adds, which are two each, of that type."""
        loop, lanes = self._multiply_add[dtype], self.width // np.dtype(dtype).itemsize

        def part(member):
            loop(_TURNS, 0.5, 0.25)

        return n_threads * 2 * _CHAINS * lanes * _TURNS / self._seconds(part, n_threads)

    def _seconds(self, part, n_threads):
        """Of part(0), part(1), ... at one time, by threads that are there already."""
        if n_threads == 1:
            return timed(lambda: part(0))[0]
        if n_threads not in self._pools:
            self._pools[n_threads] = ThreadPoolExecutor(n_threads)
            list(self._pools[n_threads].map(lambda _: None, range(n_threads)))
        return timed(lambda: list(self._pools[n_threads].map(part, range(n_threads))))[0]


def measure(rows, dtypes, classes, repeats):
    """The cost of passes by (type, K), their seconds by (type, K, threads), and the best rates: bytes by
    threads, operations by (type, threads). To be called `apart`, with FASTLR_ISA in the environment."""
    costs, seconds, read, flops, ceiling = {}, {}, {}, {}, Ceiling()
    pixels = kernels.pixels(rows)
    for dtype in dtypes:
        for K in classes:
            images = kernels.Images(pixels, dtype, K)
            run, cost = kernels.fused_pass(images)
            costs[dtype, K] = cost
            run(2)
            for n_threads in THREADS:
                times = seconds[dtype, K, n_threads] = []
                for _ in range(repeats):
                    times.append(timed(partial(run, n_threads))[0])
                    rate = ceiling.read(images.X, n_threads)
                    read[n_threads] = max(rate, read.get(n_threads, 0))
                    key, rate = (cost.dtype, n_threads), ceiling.flops(cost.dtype, n_threads)
                    flops[key] = max(rate, flops.get(key, 0))
    return costs, seconds, read, flops


def cell(cost, seconds, read, flops):
    """Share of the ceiling, what binds, and milliseconds: the shortest, and the median."""
    least, binding = cost.least(read, flops)
    best, middle = min(seconds), statistics.median(seconds)
    return f"{100 * least / best:.0f} % of {binding}, {1e3 * best:.3g} ({1e3 * middle:.3g}) ms"


def rates(isa, read, flops):
    """A line that tells the ceilings."""
    parts = []
    for n_threads in read:
        types = [f"{rate / 1e9:.0f} GFLOP/s {key[0]}" for key, rate in flops.items() if key[1] == n_threads]
        parts.append(f"threads {n_threads}: {read[n_threads] / 1e9:.0f} GB/s, {', '.join(types)}")
    return f"- {isa}; {'; '.join(parts)}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling", description=__doc__)
    levels = [isa for isa in simd.LEVELS[: simd.LEVELS.index(simd.ISA) + 1] if isa in LEVELS]
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES)
    parser.add_argument("--classes", nargs="+", type=int, default=CLASSES)
    parser.add_argument("--isa", nargs="+", choices=levels, default=levels)
    parser.add_argument("--repeats", type=int, default=15, help="rounds")
    options = parser.parse_args()
    found = {}
    for isa in options.isa:
        with mock.patch.dict(os.environ, FASTLR_ISA=isa):
            found[isa] = apart(measure, options.rows, options.types, options.classes, options.repeats)
    print(f"{machine()}\n")
    for isa, (_, _, read, flops) in found.items():
        print(rates(isa, read, flops))
    heads = [f"{isa}, {n_threads}" for isa in found for n_threads in THREADS]
    print(f"\n| X, {options.rows:,} x {kernels.d} | K | {' | '.join(heads)} |")
    print("|---" * (2 + len(heads)) + "|")
    for dtype in options.types:
        for K in options.classes:
            cells = [
                cell(costs[dtype, K], seconds[dtype, K, n], read[n], flops[costs[dtype, K].dtype, n])
                for costs, seconds, read, flops in found.values()
                for n in THREADS
            ]
            print(f"| {dtype} | {K} | {' | '.join(cells)} |")
    print(
        f"\nHeads: instructions, threads. Shares are of the shortest pass (in brackets: the median); {load()}"
    )


if __name__ == "__main__":
    main()
