"""skglm: proximal Newton on working sets; the first holds all features where n > d, its fastest on MNIST."""

import numpy as np
from scipy import sparse
from skglm import GeneralizedLinearEstimator
from skglm.datafits import Logistic
from skglm.penalties import L1
from skglm.solvers import ProxNewton

from benchmarks.solvers import TOLERANCES

TITLE = "skglm"
PACKAGE = "skglm"
TAKES = {"l1", "binary", "sparse"}
BUDGETS = TOLERANCES


def prepare(problem):
    X = problem.X.tocsc() if sparse.issparse(problem.X) else np.asfortranarray(problem.X)
    y, (n, d) = (2 * problem.y - 1).astype(X.dtype), X.shape
    first = d if n > d else 10

    def fit(tol):
        solver = ProxNewton(p0=first, max_iter=1000, tol=tol)
        model = GeneralizedLinearEstimator(Logistic(), L1(problem.alpha), solver).fit(X, y)
        return model.coef_, model.intercept_

    return fit
