"""MNIST, 60,000 rows: L1 standardised, C = 50/60000; L2 divided by 255, C = 0.01."""

import numpy as np

from benchmarks import workloads
from benchmarks.datasets.mnist_5000 import standardised
from benchmarks.objective import Problem

TITLE = "MNIST 60,000"
LIMIT = 15
STORAGES = ("float64", "float32", "uint8")


def load(folder, penalty, storage):
    X, y = workloads.training_images(folder)
    if penalty == "l1":
        return standardised(X, y, 50 / len(y), penalty, storage)
    if storage == "uint8":
        return Problem(X, y, 0.01, penalty, "unit", 255.0)
    return Problem(np.divide(X, 255, dtype=np.dtype(storage)), y, 0.01, penalty)
