"""Intel's extension of scikit-learn (scikit-learn-intelex): L-BFGS."""

from sklearnex.linear_model import LogisticRegression

from benchmarks.solvers import ANY_CLASSES, ITERATIONS

TITLE = "Intel extension lbfgs"
PACKAGE = "scikit-learn-intelex"
TAKES = ANY_CLASSES | {"l2", "sparse"}
BUDGETS = ITERATIONS


def prepare(problem):
    def fit(n_iter):
        model = LogisticRegression(C=problem.C, solver="lbfgs", max_iter=n_iter, tol=0)
        model.fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return fit
