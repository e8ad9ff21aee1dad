"""The data that the benchmarks share, and the objective that judges all sides."""

from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler, normalize

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
    return _overlapping(255 * prototypes.reshape(10, 784), n, rng)


def strips_like(n, d, K, seed=0):
    """The same in one dimension and in any size: uint8 (n, d) of K overlapping classes, most of it zero."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, d, size=(K, 5, 1))
    prototypes = np.exp(-((np.arange(d) - places) ** 2) / (2 * (d / 40) ** 2)).sum(axis=1)
    return _overlapping(255 * prototypes, n, rng)


def _overlapping(prototypes, n, rng):
    """Noisy mixtures of two prototypes (K, d), of which the stronger is mostly that of the class."""
    K, d = prototypes.shape
    y = rng.integers(K, size=n)
    own, strange = rng.uniform(0.5, 1.5, size=(n, 1)), rng.uniform(0, 1, size=(n, 1))
    noise = rng.normal(scale=60, size=(n, d))
    X = own * prototypes[y] + strange * prototypes[rng.integers(K, size=n)] + noise - 90
    return np.clip(X, 0, 255).astype(np.uint8), y


def text_like(n, d=50_000, words=100, seed=0):
    """Made-up texts of ten topics as CSR float64 (n, d) with rows of length 1, and their topics.

    Words are common or rare as in Zipf's law; every fifth comes from 200 words of the topic.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(10, size=n)
    common = np.exp(rng.uniform(0, np.log(d), size=(n, words))).astype(np.int64) - 1
    own = (977 * (y[:, None] + 1) + 31 * rng.integers(200, size=(n, words))) % d
    columns = np.where(rng.random((n, words)) < 0.2, own, common)
    rows = np.repeat(np.arange(n), words)
    X = sparse.csr_matrix((np.ones(n * words), (rows, columns.ravel())), shape=(n, d))
    return normalize(X.astype(np.float64)), y


def training_images(folder):
    """The 60,000 training images: uint8 (60,000, 784) and int64 (60,000,)."""
    X, y = mnist(folder)
    return X[:60_000], y[:60_000]


def fives_and_eights(folder):
    """Those of them that show 5 or 8, divided by 255: float64 (11,272, 784); and whether it is 8."""
    X, y = training_images(folder)
    rows = (y == 5) | (y == 8)
    return X[rows] / 255, (y[rows] == 8).astype(np.int64)


def news(folder):
    """TF-IDF of the training texts of `folder`/20news: CSR float64 (11,315, 130,107), and their groups."""
    folder = Path(folder) / "20news"
    counts = sparse.load_npz(folder / "train-counts.npz")
    return TfidfTransformer().fit_transform(counts).tocsr(), np.load(folder / "train-labels.npy")


def shuffled(X, y, seed=0):
    """All rows, in the order of RandomState(seed)."""
    order = np.random.RandomState(seed).permutation(len(y))
    return X[order], y[order]


def split(X, y):
    """Four fifths of the shuffled rows to train on, one to validate: (X, y, X_val, y_val)."""
    X, y = shuffled(X, y)
    n = len(y) * 4 // 5
    return X[:n], y[:n], X[n:], y[n:]


def course(X, y):
    """The first 500 images of each digit without their margin of 4 pixels: float64 (5,000, 400)."""
    rows = np.concatenate([np.flatnonzero(y == digit)[:500] for digit in range(10)])
    return X[rows].reshape(-1, 28, 28)[:, 4:-4, 4:-4].reshape(-1, 400) / 255, y[rows]


def tutorial(X, y, n=5000):
    """The first n shuffled rows, standardised, float64."""
    X, y = shuffled(X, y)
    return standardised(X[:n]), y[:n]


def standardised(X):
    return StandardScaler().fit_transform(X.astype(np.float64))


def logistic_losses(Z, y):
    """Multinomial, for scores (n, K) and class numbers y; one column of two classes is that of class 1."""
    if Z.shape[1] == 1:
        Z = np.hstack([np.zeros_like(Z), Z])
    top = Z.max(axis=1)
    return np.log(np.exp(Z - top[:, None]).sum(axis=1)) + top - Z[np.arange(len(y)), y]


def squared_hinge_losses(Z, y):
    """For scores (n, 1) of class 1 and class numbers y, 0 or 1."""
    return np.maximum(0, 1 - (2 * y - 1) * Z[:, 0]) ** 2


def objective(X, y, C, coef, intercept, *, l1_ratio=1.0, losses=logistic_losses, intercept_penalty=0.0):
    """C times the sum of the losses, plus the penalty, in float64 and in plain NumPy: the one judge of fastlr
    and its peers.

    Parameters
    ----------
    X : {array, CSR matrix} of shape (n, d)
    y : array of shape (n,)
        Class numbers.
    C : float
    coef, intercept : arrays of shape (K, d) and (K,)
    l1_ratio : float, default=1.0
        Share of |coef|_1; the rest is |coef|^2 / 2.
    losses : callable, default=logistic_losses
        Of the scores and y.
    intercept_penalty : float, default=0.0
        Factor of |intercept|_1.
    """
    coef, intercept = np.atleast_2d(np.asarray(coef, np.float64)), np.asarray(intercept, np.float64)
    Z = np.asarray(X @ coef.T) + intercept
    penalty = l1_ratio * np.abs(coef).sum() + (1 - l1_ratio) / 2 * np.vdot(coef, coef)
    return float(C * losses(Z, y).sum() + penalty + intercept_penalty * np.abs(intercept).sum())
