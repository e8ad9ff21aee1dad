"""MNIST, the 5,000 rows of scikit-learn's tutorial on sparse softmax, standardised; C = 50/5000 as there."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks import workloads
from benchmarks.objective import Problem

TITLE = "MNIST 5,000"
LIMIT = 5
STORAGES = ("float64", "float32", "uint8")


def load(folder, penalty, storage):
    X, y = workloads.shuffled(*workloads.mnist(folder))
    return standardised(X[:5000], y[:5000], workloads.TUTORIAL_C, penalty, storage)


def standardised(X, y, C, penalty, storage):
    """The problem of X (n, d) in uint8 as a StandardScaler makes it, stored in one of three ways."""
    scaler = StandardScaler().fit(X)
    if storage == "uint8":
        return Problem(X, y, C, penalty, "standard", scaler.scale_)
    return Problem(scaler.transform(X).astype(np.dtype(storage), copy=False), y, C, penalty)
