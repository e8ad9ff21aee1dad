"""The peers, in a few lines each.

A function takes data and C, brings them into the form that the peer likes best, and returns what is to be
timed: a function that fits once and returns an object with `coef_` and `intercept_`. All minimise
`workloads.objective`. What is not installed raises ImportError.
"""

from types import SimpleNamespace

import numpy as np
from sklearn import __version__ as sklearn_version
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

_KNOWS_L1_RATIO = tuple(int(part) for part in sklearn_version.split(".")[:2]) >= (1, 8)


def sklearn_model(C, l1=True, **options):
    """scikit-learn's multinomial logistic regression, unfitted, in the words of its version."""
    penalty = {"l1_ratio": float(l1)} if _KNOWS_L1_RATIO else {"penalty": "l1" if l1 else "l2"}
    return LogisticRegression(C=C, random_state=0, **penalty, **options)


def sklearn(X, y, C, l1=True, **options):
    """scikit-learn's logistic regression; max_iter and tol=0 make a number of epochs."""
    model = sklearn_model(C, l1, **options)
    return lambda: model.fit(X, y)


def sklearn_svc(X, y, C, **options):
    """scikit-learn's L1 squared hinge by liblinear, which penalises the intercept."""
    model = LinearSVC(penalty="l1", loss="squared_hinge", dual=False, C=C, random_state=0, **options)
    return lambda: model.fit(X, y)


def adelie(X, y, C):
    """adelie: binary L1, on one thread, as is its default."""
    import adelie as ad

    X, labels = np.asfortranarray(X), y.astype(np.float64)
    options = {"tol": 1e-9, "irls_tol": 1e-8, "early_exit": False, "progress_bar": False}

    def fit():
        state = ad.grpnet(
            X, ad.glm.binomial(y=labels), lmda_path=np.array([1 / (C * len(y))]), n_threads=1, **options
        )
        return SimpleNamespace(coef_=state.betas[-1].toarray(), intercept_=state.intercepts[-1:])

    return fit


def glum(X, y, C):
    """glum: binary L1."""
    from glum import GeneralizedLinearRegressor

    X = np.asfortranarray(X)
    options = {"alpha": 1 / (C * len(y)), "l1_ratio": 1, "gradient_tol": 1e-4, "max_iter": 1000}

    def fit():
        model = GeneralizedLinearRegressor(family="binomial", **options).fit(X, y)
        return SimpleNamespace(coef_=model.coef_, intercept_=[model.intercept_], n_iter_=model.n_iter_)

    return fit


def skglm(X, y, C):
    """skglm: binary L1; all features in its first working set, which is its fastest here; compiled before it
    is timed."""
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic
    from skglm.penalties import L1
    from skglm.solvers import ProxNewton

    X, labels = np.asfortranarray(X), 2 * y - 1
    solver = ProxNewton(p0=X.shape[1], max_iter=100, max_pn_iter=20, tol=1e-5)
    model = GeneralizedLinearEstimator(Logistic(), L1(1 / (C * len(y))), solver)
    few = np.concatenate([np.flatnonzero(labels == sign)[:20] for sign in (-1, 1)])
    model.fit(np.asfortranarray(X[few]), labels[few])
    return lambda: model.fit(X, labels)
