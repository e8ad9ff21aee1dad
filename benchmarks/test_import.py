"""`import fastlr` against `import sklearn.linear_model`, in fresh interpreters that take turns."""

import statistics
import subprocess
import sys

CODE = """
import sys, time
began = time.perf_counter()
import {module}
print(time.perf_counter() - began, "matplotlib" in sys.modules)
"""


def import_seconds(module):
    command = [sys.executable, "-c", CODE.format(module=module)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert output[1] == "False"
    return float(output[0])


def test_import(benchmark):
    """The timer shows whole interpreters; extra_info has the two import statements alone."""
    ours, peers = [], []
    benchmark.group = "import"
    benchmark.pedantic(
        lambda: ours.append(import_seconds("fastlr")),
        setup=lambda: peers.append(import_seconds("sklearn.linear_model")),
        rounds=5,
    )
    benchmark.extra_info["fastlr"] = statistics.median(ours)
    benchmark.extra_info["sklearn.linear_model"] = statistics.median(peers)
