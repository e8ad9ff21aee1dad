"""NumPy: minibatch SGD with the proximal step of the penalty."""

import numpy as np

from benchmarks.numpy_softmax import residuals
from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, EPOCHS, step_size

TITLE = "NumPy SGD"
PACKAGE = "numpy"
TAKES = BOTH_PENALTIES | ANY_CLASSES
BUDGETS = EPOCHS
BATCH = 100


def prepare(problem):
    X, y, K = problem.X, problem.y, problem.n_classes
    eta = step_size(X)
    cut = eta * problem.alpha

    def fit(epochs):
        rng = np.random.default_rng(0)
        W = np.zeros((X.shape[1], 1 if K == 2 else K), dtype=X.dtype)
        b = np.zeros(W.shape[1], dtype=X.dtype)
        for _ in range(epochs):
            order = rng.permutation(len(y))
            for first in range(0, len(y), BATCH):
                batch = order[first : first + BATCH]
                rows = X[batch]
                R = residuals(rows @ W + b, y[batch]) * (eta / len(batch))
                W -= rows.T @ R
                b -= R.sum(axis=0)
                W = np.sign(W) * np.maximum(np.abs(W) - cut, 0) if problem.penalty == "l1" else W / (1 + cut)
        return W.T, b

    return fit
