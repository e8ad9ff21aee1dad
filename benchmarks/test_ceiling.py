"""The ceiling is that of what binds, and the loops that measure it do what they are said to do."""

import numpy as np
import pytest

from benchmarks import kernels
from benchmarks.ceiling import Ceiling, cell, measure


def test_least():
    cost = kernels.Cost(flops=8e9, bytes=1e9, dtype="float32")
    assert cost.least(read=1e9, flops=2e9) == (4, "FMAs")
    assert cost.least(read=1e8, flops=2e9) == (10, "bytes")
    assert cell(cost, [8.0, 20.0, 9.0], 1e9, 2e9) == "50 % of FMAs, 8e+03 (9e+03) ms"


def test_loops():
    ceiling, words = Ceiling(), np.arange(1003, dtype=np.uint64)
    assert ceiling._read(words.ctypes.data, len(words)) == words.sum()
    # w = w / 2 + 1/4 from any start comes to 1/2.
    lanes = ceiling.width // 4
    assert ceiling._multiply_add["float32"](100, 0.5, 0.25) == pytest.approx(12 * lanes / 2)
    assert ceiling.read(words) > 0 and ceiling.flops("float64", 2) > 0


def test_measure():
    costs, seconds, read, flops = measure(300, ["uint8"], [2, 3], 2)
    assert costs["uint8", 2] == kernels.Cost(4.0 * 300 * 784, 300 * 784, "float32")
    assert costs["uint8", 3].flops == 3 * costs["uint8", 2].flops
    assert {key: len(times) for key, times in seconds.items()} == {
        ("uint8", K, n_threads): 2 for K in (2, 3) for n_threads in (1, 2)
    }
    assert set(read) == {1, 2} and set(flops) == {("float32", 1), ("float32", 2)}
