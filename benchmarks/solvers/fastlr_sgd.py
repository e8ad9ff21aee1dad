"""fastlr's minibatch SGD."""

from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, EPOCHS, step_size
from fastlr import SGDClassifier

TITLE = "fastlr SGD"
PACKAGE = "fastlr"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"sparse", "uint8", "mapped"}
BUDGETS = EPOCHS


def prepare(problem):
    # Steps are those of scaled weights; "standard" gives rows of mean squared length d.
    eta = 10 / problem.X.shape[1] if problem.scaling == "standard" else step_size(problem.X)
    if problem.scaling == "unit":
        eta *= 255**2

    def fit(epochs):
        model = SGDClassifier(
            penalty=problem.penalty, alpha=problem.alpha, eta0=eta, batch_size=100, max_iter=epochs, tol=None,
            scaling=problem.scaling, random_state=0,
        ).fit(problem.X, problem.y)  # fmt: skip
        return model.coef_, model.intercept_

    return fit
