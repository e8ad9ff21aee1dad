"""Builds harness.c and runs it: ``python tests/harness/run.py [way] [--cc compiler]``.

sanitize    AddressSanitizer and UndefinedBehaviorSanitizer, the default
guard       the release's flags; every buffer ends where a page begins that nothing may touch
valgrind    memcheck; AVX-512, which it does not know, is left out
threads     team.h under ThreadSanitizer
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "fastlr" / "_kernels"
AVX512 = "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mfma"  # as in setup.py
LEVELS = {"baseline": [], "avx2": ["-mavx2", "-mfma"], "avx512": AVX512}
if platform.machine().lower() not in ("x86_64", "amd64"):
    LEVELS = {"baseline": []}

# Without optimisation, a build with sanitizers takes a third of the time, and no load is left out.
WAYS = {
    "sanitize": ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "guard": ["-O3", "-DGUARD"],
    "valgrind": ["-O1"],
    "threads": ["-O1", "-fsanitize=thread"],
}


def build(compiler, flags, folder):
    """The path of the harness, built in `folder`."""
    flags = ["-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", *flags]
    includes = [f"-I{KERNELS / 'simd'}", f"-I{KERNELS}"]
    sources = {HERE / "harness.c": [], **{KERNELS / "simd" / f"{level}.c": LEVELS[level] for level in LEVELS}}
    objects = [Path(folder, f"{source.stem}.o") for source in sources]
    for (source, own), target in zip(sources.items(), objects, strict=True):
        subprocess.run([compiler, *flags, *own, *includes, "-c", source, "-o", target], check=True)
    harness = Path(folder, "harness")
    subprocess.run([compiler, *flags, *objects, "-lm", "-lpthread", "-o", harness], check=True)
    return harness


def run(way, compiler):
    """The exit status of the harness."""
    with tempfile.TemporaryDirectory() as folder:
        command = [build(compiler, WAYS[way], folder), *LEVELS, "team"]
        if way == "valgrind":
            command = [
                "valgrind",
                "-q",
                "--error-exitcode=9",
                *(word for word in command if word != "avx512"),
            ]
        if way == "threads":
            command = [command[0], "team"]
            if shutil.which("setarch"):  # ThreadSanitizer wants its addresses free
                command = ["setarch", "-R", *command]
        return subprocess.run(command, env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=WAYS, nargs="?", default="sanitize")
    parser.add_argument("--cc", default=os.environ.get("CC") or "cc")
    arguments = parser.parse_args()
    sys.exit(run(arguments.way, arguments.cc))
