"""Made up: 5,000 x 500, neighbouring features correlated by 0.95 and of sizes from 0.1 to 10, two classes."""

import numpy as np
from scipy.signal import lfilter

from benchmarks.objective import Problem

TITLE = "correlated"
LIMIT = 3
STORAGES = ("float64",)


def load(folder, penalty, storage):
    rng = np.random.default_rng(0)
    X = lfilter([np.sqrt(1 - 0.95**2)], [1, -0.95], rng.normal(size=(5000, 500)), axis=1)
    scores = X[:, ::25] @ rng.normal(size=20) + 2 * rng.normal(size=5000)
    X *= 10 ** rng.uniform(-1, 1, size=500)
    return Problem(X, (scores > 0).astype(np.int64), 1.0, penalty)
