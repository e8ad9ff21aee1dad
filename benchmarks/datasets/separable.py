"""Made up: nearly separable, 4,000 x 100, three classes of which one row in 500 is mislabelled, C = 1000."""

import numpy as np

from benchmarks.objective import Problem

TITLE = "nearly separable"
LIMIT = 3
STORAGES = ("float64",)


def load(folder, penalty, storage):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 100))
    y = (X @ rng.normal(size=(100, 3))).argmax(axis=1)
    wrong = rng.choice(4000, size=8, replace=False)
    y[wrong] = (y[wrong] + 1) % 3
    return Problem(X, y, 1000.0, penalty)
