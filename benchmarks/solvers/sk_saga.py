"""scikit-learn's LogisticRegression by SAGA."""

from benchmarks import peers
from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, ITERATIONS

TITLE = "scikit-learn saga"
PACKAGE = "scikit-learn"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"sparse"}
BUDGETS = ITERATIONS


def prepare(problem):
    def fit(n_iter):
        model = peers.sklearn_model(
            problem.C, problem.penalty == "l1", solver="saga", max_iter=n_iter, tol=0
        ).fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return fit
