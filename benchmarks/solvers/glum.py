"""glum: iteratively reweighted least squares, with coordinate descent for L1."""

import numpy as np
from glum import GeneralizedLinearRegressor
from scipy import sparse

from benchmarks.solvers import BOTH_PENALTIES, TOLERANCES

TITLE = "glum"
PACKAGE = "glum"
TAKES = BOTH_PENALTIES | {"binary", "sparse"}
BUDGETS = TOLERANCES


def prepare(problem):
    X = problem.X.tocsc() if sparse.issparse(problem.X) else np.asfortranarray(problem.X)
    options = {"family": "binomial", "alpha": problem.alpha, "l1_ratio": float(problem.penalty == "l1")}

    def fit(tol):
        model = GeneralizedLinearRegressor(gradient_tol=tol, max_iter=100_000, **options).fit(X, problem.y)
        return model.coef_, model.intercept_

    return fit
