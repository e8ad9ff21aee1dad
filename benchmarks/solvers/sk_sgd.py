"""scikit-learn's SGDClassifier, its own steps; from a mapped file by partial_fit over blocks of rows."""

import numpy as np
from sklearn.linear_model import SGDClassifier

from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, EPOCHS

TITLE = "scikit-learn SGDClassifier"
PACKAGE = "scikit-learn"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"sparse", "mapped"}
BUDGETS = EPOCHS
DIFFERS = "one class against the rest, where there are more than two"
ROWS = 10_000


def refuses(problem):
    against_the_rest = "multinomial" in problem.needs and not problem.is_mapped
    return "fits one class against the rest" if against_the_rest else ""


def prepare(problem):
    classes, options = np.arange(problem.n_classes), {"loss": "log_loss", "penalty": problem.penalty}
    options |= {"alpha": problem.alpha, "tol": None, "random_state": 0}

    def fit(epochs):
        if not problem.is_mapped:
            model = SGDClassifier(max_iter=epochs, **options).fit(problem.X, problem.y)
            return model.coef_, model.intercept_
        model = SGDClassifier(**options)
        for _ in range(epochs):
            for first in range(0, len(problem.y), ROWS):
                rows = slice(first, first + ROWS)
                model.partial_fit(problem.X[rows] / problem.units, problem.y[rows], classes)
        return model.coef_ / problem.units, model.intercept_

    return fit
