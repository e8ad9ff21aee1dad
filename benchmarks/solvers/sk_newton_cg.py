"""scikit-learn's LogisticRegression by Newton's method with conjugate gradients."""

from benchmarks import peers
from benchmarks.solvers import ANY_CLASSES, ITERATIONS

TITLE = "scikit-learn newton-cg"
PACKAGE = "scikit-learn"
TAKES = ANY_CLASSES | {"l2", "sparse"}
BUDGETS = ITERATIONS


def prepare(problem):
    def fit(n_iter):
        model = peers.sklearn_model(
            problem.C, problem.penalty == "l1", solver="newton-cg", max_iter=n_iter, tol=0
        ).fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return fit
