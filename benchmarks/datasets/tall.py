"""Made up: n >> d, 100,000 x 40 Gaussian, five classes by a noisy softmax."""

import numpy as np

from benchmarks.objective import Problem

TITLE = "n >> d"
LIMIT = 3
STORAGES = ("float64",)


def load(folder, penalty, storage):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 40))
    scores = X @ rng.normal(scale=0.5, size=(40, 5)) + rng.gumbel(size=(100_000, 5))
    return Problem(X, scores.argmax(axis=1), 100 / len(X), penalty)
