"""celer: proximal Newton on working sets with dual extrapolation."""

import numpy as np
from celer import LogisticRegression
from scipy import sparse

from benchmarks.solvers import TOLERANCES, with_constant, without_constant

TITLE = "celer"
PACKAGE = "celer"
TAKES = {"l1", "binary", "sparse"}
BUDGETS = TOLERANCES
DIFFERS = "its intercept is penalised (a column of tens)"


def prepare(problem):
    X = with_constant(problem.X)
    X = X.tocsc() if sparse.issparse(X) else np.asfortranarray(X)

    def fit(tol):
        model = LogisticRegression(C=problem.C, tol=tol, max_iter=1000).fit(X, problem.y)
        return without_constant(model.coef_)

    return fit
