"""adelie: coordinate descent on iteratively reweighted least squares.

Of several classes it takes the L2 penalty: its groups span them, so that its L1 is a group lasso.
"""

import adelie as ad
import numpy as np

from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, TOLERANCES, threads

TITLE = "adelie"
PACKAGE = "adelie"
TAKES = BOTH_PENALTIES | ANY_CLASSES
BUDGETS = TOLERANCES


def refuses(problem):
    return "its L1 of several classes is a group lasso" if {"l1", "multinomial"} <= problem.needs else ""


def prepare(problem):
    X, K = np.asfortranarray(problem.X, dtype=np.float64), problem.n_classes
    binary = K == 2
    # Its multinomial loss is divided by K.
    losses = (
        ad.glm.binomial(problem.y.astype(np.float64)) if binary else ad.glm.multinomial(np.eye(K)[problem.y])
    )
    options = {"lmda_path": np.array([problem.alpha / (1 if binary else K)]), "penalty": np.ones(X.shape[1])}
    options |= {"alpha": float(problem.penalty == "l1"), "n_threads": threads()}

    def fit(tol):
        state = ad.grpnet(
            X, losses, tol=tol / 10, irls_tol=tol, irls_max_iters=10_000, max_iters=10**7, early_exit=False,
            progress_bar=False, **options,
        )  # fmt: skip
        coef = state.betas[-1].toarray()
        return coef if binary else coef.reshape(-1, K).T, np.ravel(state.intercepts[-1])

    return fit
