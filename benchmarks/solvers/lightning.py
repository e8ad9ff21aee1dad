"""sklearn-contrib-lightning: coordinate descent for two classes; for more FISTA, which takes L1 only."""

import numpy as np
from lightning.classification import CDClassifier, FistaClassifier
from scipy import sparse

from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, ITERATIONS, with_constant, without_constant

TITLE = "lightning"
PACKAGE = "sklearn-contrib-lightning"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"sparse"}
BUDGETS = ITERATIONS
DIFFERS = "its intercept is penalised (a column of tens)"


def refuses(problem):
    return "its multinomial FISTA has no L2" if {"l2", "multinomial"} <= problem.needs else ""


def prepare(problem):
    X = with_constant(problem.X.astype(np.float64, copy=False))
    options = {"loss": "log", "penalty": problem.penalty, "C": problem.C, "alpha": 1.0}
    if problem.n_classes == 2:
        X = X.tocsc() if sparse.issparse(X) else np.asfortranarray(X)

    def fit(n_iter):
        if problem.n_classes == 2:
            model = CDClassifier(max_iter=n_iter, tol=0, random_state=0, **options)
        else:
            model = FistaClassifier(multiclass=True, max_iter=n_iter, **options)
        return without_constant(model.fit(X, problem.y).coef_)

    return fit
