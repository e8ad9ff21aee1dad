"""NumPy: accelerated proximal gradient on all rows (FISTA), with a restart where the momentum misleads."""

import numpy as np
from scipy.sparse.linalg import svds

from benchmarks.numpy_softmax import residuals
from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, ITERATIONS

TITLE = "NumPy FISTA"
PACKAGE = "numpy"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"sparse"}
BUDGETS = ITERATIONS


def prepare(problem):
    X, y, K = problem.X, problem.y, problem.n_classes
    n, d = X.shape
    bend = 1 / 4 if K == 2 else 1 / 2

    def fit(n_iter):
        # The intercept's column has the length of the longest direction of X, lest it slow the rest down.
        largest = svds(X, k=1, v0=np.ones(min(n, d), X.dtype), return_singular_vectors=False)[0]
        constant = largest / np.sqrt(n)
        eta = 1 / (bend * 2 * largest**2 * problem.C)
        W = np.zeros((d + 1, 1 if K == 2 else K), dtype=X.dtype)
        V, t = W.copy(), 1.0
        for _ in range(n_iter):
            R = problem.C * residuals(X @ V[:-1] + constant * V[-1], y)
            moved = V - eta * np.vstack([X.T @ R, constant * R.sum(axis=0, keepdims=True)])
            if problem.penalty == "l1":
                moved[:-1] = np.sign(moved[:-1]) * np.maximum(np.abs(moved[:-1]) - eta, 0)
            else:
                moved[:-1] /= 1 + eta
            if np.vdot(V - moved, moved - W) > 0:
                t = 1.0
            t_next = (1 + np.sqrt(1 + 4 * t * t)) / 2
            W, V, t = moved, moved + (t - 1) / t_next * (moved - W), t_next
        return W[:-1].T, constant * W[-1]

    return fit
