"""Instructions that the main kernels take, against those kept in instructions.toml:

    python -m benchmarks.instructions            # counts, and shows what has changed
    python -m benchmarks.instructions --update   # counts, and keeps the counts

Counts do not know how busy a machine is. They depend on the compiler, whose name is kept beside them, and
hardly on the processor. Needs valgrind, which knows no AVX-512, and a C compiler.
"""

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from benchmarks import kernels
from fastlr._kernels import simd

KEPT = Path(__file__).with_suffix(".toml")
LEVELS = ("baseline", "avx2")
TYPES = ("float32", "float64", "uint8")
CLASSES = (2, 10)
ROWS = 256
# Largest change of a count that is no change: the interpreter around a kernel is counted, too.
TOLERANCE = 0.01

# Counting is begun and ended by requests that valgrind alone understands.
REQUESTS = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""


def cases():
    """Names and functions of what is counted."""
    pixels = kernels.pixels(ROWS)
    for kernel, make in kernels.KERNELS.items():
        for dtype in TYPES:
            for K in CLASSES:
                if kernel == "coordinate descent" and (dtype == "uint8" or K > 2):
                    continue  # it sees neither images nor classes
                size = f"{ROWS:,} x {kernels.d}, K = {K}"
                if kernel == "coordinate descent":
                    size = f"{kernels.ACTIVE} pairs, {kernels.SWEEPS} sweeps"
                run, _ = make(kernels.Images(pixels, dtype, K))
                yield f"{kernel}, {dtype}, {size}", run


def work(library):
    """Runs all cases, each for valgrind to count."""
    requests = ctypes.CDLL(library)
    for name, run in cases():
        run()  # what happens but once
        requests.begin()
        run()
        requests.end(name.encode())


def count(isa):
    """Instructions by name of the case."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "requests.c"), Path(folder, "requests.so")
        source.write_text(REQUESTS)
        compiler = os.environ.get("CC") or "cc"
        subprocess.run([*compiler.split(), "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
        command = [
            "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
            f"--callgrind-out-file={folder}/counts",
            sys.executable, "-m", "benchmarks.instructions", "--work", library,
        ]  # fmt: skip
        # The order of sets, and with it what the interpreter does, is that of a seed.
        environment = {
            **os.environ,
            "FASTLR_ISA": isa,
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        subprocess.run(command, check=True, env=environment)
        files = sorted(Path(folder).glob("counts.*"), key=lambda path: int(path.suffix[1:]))
        found = dict(map(parse, files))
    found.pop(None, None)
    return found


def parse(path):
    """Name and instructions of a file that callgrind has written; no name for what it writes at the end."""
    head = path.read_text()
    name = re.search(r"^desc: Trigger: Client Request: (.*)$", head, re.MULTILINE)
    total = re.search(r"^(?:totals|summary): (\d+)", head, re.MULTILINE)
    return name and name[1], int(total[1]) if total else 0


def compiler_of_kernels():
    """What the kernels were compiled by, as it has signed them; the module may say so more than once."""
    signed = re.findall(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(simd.__file__).read_bytes())
    return ", ".join(sorted({name.decode() for name in signed})) or "unknown"


def read(path=KEPT):
    """Compiler and counts by instruction set."""
    kept = tomllib.loads(path.read_text()) if path.exists() else {}
    return kept.pop("compiler", "unknown"), kept


def write(compiler, found, path=KEPT):
    lines = ["# Written by python -m benchmarks.instructions --update", f'compiler = "{compiler}"']
    for isa, counts in found.items():
        lines += ["", f"[{isa}]", *(f'"{name}" = {count}' for name, count in counts.items())]
    path.write_text("\n".join(lines) + "\n")


def changes(kept, found):
    """Rows of (name, instruction set, kept, found, relative change); None for what is missing on a side."""
    for isa, counts in found.items():
        for name in dict.fromkeys([*kept.get(isa, {}), *counts]):
            before, now = kept.get(isa, {}).get(name), counts.get(name)
            yield name, isa, before, now, now / before - 1 if before and now else None


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--update", action="store_true", help="keep these counts")
    parser.add_argument("--isa", nargs="+", choices=LEVELS, default=LEVELS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return 0
    (compiler, kept), ours = read(), compiler_of_kernels()
    found = {isa: count(isa) for isa in options.isa}
    print(f"Compiled by {ours}; counts kept are of {compiler}. Changes up to {TOLERANCE:.0%} mean nothing.\n")
    print("| kernel | instructions | kept | now, millions | change |\n|---|---|---|---|---|")
    changed = 0
    for name, isa, before, now, change in changes(kept, found):
        is_changed = change is None or abs(change) > TOLERANCE
        changed += is_changed
        cells = (f"{value / 1e6:.2f}" if value else "" for value in (before, now))
        told = "new or gone" if change is None else f"{change:+.1%}"
        print(f"| {name} | {isa} | {' | '.join(cells)} | {f'**{told}**' if is_changed else told} |")
    if options.update:
        write(ours, {**kept, **found} if compiler == ours else found)
        return 0
    return int(changed > 0 and compiler == ours)


if __name__ == "__main__":
    sys.exit(main())
