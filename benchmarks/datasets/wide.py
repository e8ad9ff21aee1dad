"""Made up: d >> n, 400 x 4,000 Gaussian, two classes that 20 of the features tell apart, with noise."""

import numpy as np

from benchmarks.objective import Problem

TITLE = "d >> n"
LIMIT = 3
STORAGES = ("float64",)


def load(folder, penalty, storage):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4000))
    scores = X[:, :20] @ rng.normal(size=20) + 2 * rng.normal(size=400)
    return Problem(X, (scores > 0).astype(np.int64), 0.1 if penalty == "l1" else 1e-3, penalty)
