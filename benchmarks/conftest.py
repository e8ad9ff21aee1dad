"""Data of the benchmarks: made-up images by default, MNIST with --full."""

import os

import numpy as np
import pytest

from benchmarks import workloads


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
