"""fastlr's certified LogisticRegression with its automatic choice of a method."""

from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, TOLERANCES
from fastlr import LogisticRegression

TITLE = "fastlr"
PACKAGE = "fastlr"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"sparse", "uint8", "mapped"}
BUDGETS = TOLERANCES


def prepare(problem):
    def fit(tol):
        model = LogisticRegression(
            problem.penalty, C=problem.C, tol=tol, scaling=problem.scaling, max_iter=100_000, random_state=0
        ).fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return fit
