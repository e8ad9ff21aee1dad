"""Snap ML: L2 by stochastic dual coordinate ascent, L1 in the primal; two classes."""

import numpy as np
from snapml import LogisticRegression

from benchmarks.solvers import BOTH_PENALTIES, ITERATIONS, threads, with_constant, without_constant

TITLE = "Snap ML"
PACKAGE = "snapml"
TAKES = BOTH_PENALTIES | {"binary", "sparse"}
BUDGETS = ITERATIONS
DIFFERS = "its intercept is penalised (a column of tens)"


def prepare(problem):
    X = with_constant(problem.X.astype(np.float32))
    options = {"penalty": problem.penalty, "dual": problem.penalty == "l2", "regularizer": 1 / problem.C}
    options |= {"tol": 0.0, "n_jobs": threads(), "random_state": 0}

    def fit(epochs):
        model = LogisticRegression(max_iter=epochs, **options).fit(X, problem.y)
        return without_constant(model.coef_)

    return fit
