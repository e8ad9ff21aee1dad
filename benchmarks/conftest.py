"""Data of the benchmarks, made-up images by default, MNIST with --full; and the machine's ceiling."""

import os
import subprocess

import numpy as np
import pytest

from benchmarks import workloads
from benchmarks.ceiling import Ceiling


def pytest_addoption(parser):
    parser.addoption(
        "--full",
        action="store_true",
        help="measure on all of MNIST, read from the folder mnist/ of $FASTLR_DATA",
    )


def pytest_configure(config):
    if config.getoption("--full") and not os.environ.get("FASTLR_DATA"):
        raise pytest.UsageError("--full needs FASTLR_DATA, the folder that holds mnist/")


@pytest.fixture(scope="session")
def full(pytestconfig):
    return pytestconfig.getoption("--full")


@pytest.fixture(scope="session")
def images(full):
    """uint8 images of 784 pixels and their classes, shuffled."""
    if full:
        return workloads.shuffled(*workloads.mnist(os.environ["FASTLR_DATA"]))
    return workloads.mnist_like(12_000)


@pytest.fixture(scope="session")
def divided(images):
    """The images as floats from 0 to 1, by type."""
    X, _ = images
    double = X / 255
    return {"float32": double.astype(np.float32), "float64": double}


@pytest.fixture(scope="session")
def rates():
    """By threads, the best of some rounds: bytes read and operations by type, per second. None without cc."""
    try:
        ceiling = Ceiling()
    except (OSError, subprocess.CalledProcessError):
        return None
    X = np.zeros(16_000_000)  # beyond caches
    X += 1  # zeros that nobody has written are one page
    return {
        n_threads: {
            "read": max(ceiling.read(X, n_threads) for _ in range(9)),
            "float32": max(ceiling.flops("float32", n_threads) for _ in range(9)),
            "float64": max(ceiling.flops("float64", n_threads) for _ in range(9)),
        }
        for n_threads in (1, 2)
    }


@pytest.fixture
def against_ceiling(benchmark, rates):
    """To be called after a measurement: what it costs at least, and its share of the ceiling by the shortest
    round, go to extra_info."""

    def note(cost, n_threads=1):
        benchmark.extra_info.update(flops=cost.flops, bytes=cost.bytes)
        if rates and benchmark.stats:  # none with --benchmark-disable
            rate = rates[n_threads]
            least, binding = cost.least(rate["read"], rate[cost.dtype])
            share = least / benchmark.stats.stats.min
            benchmark.extra_info.update(share=round(share, 3), binding=binding, threads=n_threads)

    return note
