"""The data and the peers that the benchmarks share."""

from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.preprocessing import StandardScaler

from fastlr.datasets import load_mnist_idx

TUTORIAL_C = 50 / 5000


def mnist(folder):
    """All images of `folder`/mnist, training before test: uint8 (n, 784) and int64 (n,)."""
    (X, y), (X_test, y_test) = load_mnist_idx(Path(folder) / "mnist")
    return np.vstack([X, X_test]), np.concatenate([y, y_test]).astype(np.int64)


def mnist_like(n, seed=0):
    """Made-up uint8 images of ten overlapping classes; as in MNIST, most pixels are zero."""
    rng = np.random.default_rng(seed)
    grid = np.arange(28)
    prototypes = np.zeros((10, 28, 28))
    for image in prototypes:
        for row, column in rng.uniform(6, 22, size=(5, 2)):
            image += np.exp(-((grid[:, None] - row) ** 2 + (grid - column) ** 2) / 8)
    y = rng.integers(10, size=n)
    prototypes = 255 * prototypes.reshape(10, 784)
    own, strange = rng.uniform(0.5, 1.5, size=(n, 1)), rng.uniform(0, 1, size=(n, 1))
    noise = rng.normal(scale=60, size=(n, 784))
    X = own * prototypes[y] + strange * prototypes[rng.integers(10, size=n)] + noise - 90
    return np.clip(X, 0, 255).astype(np.uint8), y


def shuffled(X, y, seed=0):
    """All rows, in the order of RandomState(seed)."""
    order = np.random.RandomState(seed).permutation(len(y))
    return X[order], y[order]


def split(X, y):
    """Four fifths of the shuffled rows to train on, one to validate: (X, y, X_val, y_val)."""
    X, y = shuffled(X, y)
    n = len(y) * 4 // 5
    return X[:n], y[:n], X[n:], y[n:]


def tutorial(X, y, n=5000):
    """The first n shuffled rows, standardised, float64."""
    X, y = shuffled(X, y)
    return standardised(X[:n]), y[:n]


def standardised(X):
    return StandardScaler().fit_transform(X.astype(np.float64))


def sklearn_saga(C, tol, **options):
    """scikit-learn's L1 multinomial logistic regression by SAGA, in the words of its version."""
    major, minor = (int(part) for part in sklearn.__version__.split(".")[:2])
    l1 = {"l1_ratio": 1} if (major, minor) >= (1, 8) else {"penalty": "l1"}
    return SklearnLogisticRegression(C=C, solver="saga", tol=tol, **l1, **options)


def l1_objective(X, y, C, coef, intercept):
    """C times the sum of the losses, plus |coef|_1, in float64 and in plain NumPy."""
    Z = X @ np.asarray(coef, np.float64).T + intercept
    top = Z.max(axis=1)
    losses = np.log(np.exp(Z - top[:, None]).sum(axis=1)) + top - Z[np.arange(len(y)), y]
    return float(C * losses.sum() + np.abs(coef).sum())
