"""sklearn-contrib-lightning: coordinate descent, two classes."""

import numpy as np
from lightning.classification import CDClassifier
from scipy import sparse

from benchmarks.solvers import BOTH_PENALTIES, ITERATIONS, with_constant, without_constant

TITLE = "lightning"
PACKAGE = "sklearn-contrib-lightning"
# With more classes its FISTA, which has no L2, ends at other weights than those of the softmax's optimum.
TAKES = BOTH_PENALTIES | {"binary", "sparse"}
BUDGETS = ITERATIONS
DIFFERS = "its intercept is penalised (a column of tens)"


def prepare(problem):
    X = with_constant(problem.X.astype(np.float64, copy=False))
    X = X.tocsc() if sparse.issparse(X) else np.asfortranarray(X)
    options = {"loss": "log", "penalty": problem.penalty, "C": problem.C, "alpha": 1.0, "tol": 0}

    def fit(n_iter):
        model = CDClassifier(max_iter=n_iter, random_state=0, **options).fit(X, problem.y)
        return without_constant(model.coef_)

    return fit
