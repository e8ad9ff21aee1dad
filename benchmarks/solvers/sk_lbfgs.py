"""scikit-learn's LogisticRegression by L-BFGS."""

from benchmarks import peers
from benchmarks.solvers import ANY_CLASSES, ITERATIONS

TITLE = "scikit-learn lbfgs"
PACKAGE = "scikit-learn"
TAKES = ANY_CLASSES | {"l2", "sparse"}
BUDGETS = ITERATIONS


def prepare(problem):
    def fit(n_iter):
        model = peers.sklearn_model(
            problem.C, problem.penalty == "l1", solver="lbfgs", max_iter=n_iter, tol=0
        ).fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return fit
