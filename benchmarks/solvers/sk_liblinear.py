"""scikit-learn's LogisticRegression by liblinear, two classes."""

from benchmarks import peers
from benchmarks.solvers import BOTH_PENALTIES, CONSTANT, TOLERANCES

TITLE = "scikit-learn liblinear"
PACKAGE = "scikit-learn"
TAKES = BOTH_PENALTIES | {"binary", "sparse"}
BUDGETS = TOLERANCES
DIFFERS = "its intercept is penalised (`intercept_scaling=10`)"


def prepare(problem):
    def fit(tol):
        model = peers.sklearn_model(
            problem.C, problem.penalty == "l1", solver="liblinear", intercept_scaling=CONSTANT, tol=tol,
            max_iter=100_000,
        ).fit(problem.X, problem.y)  # fmt: skip
        return model.coef_, model.intercept_

    return fit
