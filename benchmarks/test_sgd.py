"""Five epochs of SGD, with loss and both accuracies at the end of each, against plain NumPy."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks import numpy_softmax
from benchmarks.kernels import Cost
from fastlr import SGDClassifier
from fastlr.data import available_threads

EPOCHS = 5
# The seed that SGDClassifier(random_state=0) draws for the order of its rows: both sides take the
# same steps.
SEED = np.random.RandomState(0).randint(2**31)


@pytest.fixture(scope="module")
def parts(images, divided):
    """By type: X, y to train on and X, y to validate, 4 to 1."""
    X, y = images
    n = len(y) * 4 // 5
    every = {"uint8": X, **divided}
    return {name: (values[:n], y[:n], values[n:], y[n:]) for name, values in every.items()}


@pytest.fixture(scope="module")
def expected(parts):
    return train_numpy(*parts["float64"])


def train_numpy(*parts):
    return numpy_softmax.fit(*parts, max_epochs=EPOCHS, patience=None, seed=SEED)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_fastlr(benchmark, against_ceiling, parts, expected, dtype):
    X, y, X_val, y_val = parts[dtype]
    scaling, unit = ("unit", 255) if dtype == "uint8" else (None, 1)
    sgd = SGDClassifier(eta0=0.24, scaling=scaling, tol=None, max_iter=EPOCHS, random_state=0)
    benchmark.group = f"SGD, {EPOCHS} epochs of {len(y):,} rows"
    benchmark.pedantic(sgd.fit, (X, y), {"X_val": X_val, "y_val": y_val}, rounds=5, warmup_rounds=1)
    against_ceiling(cost_of(*parts[dtype]), n_threads=min(2, available_threads()))
    check(sgd.coef_.T * unit, sgd.intercept_, sgd.history_, expected, dtype)


@pytest.mark.parametrize("n_threads", [1, None])  # more BLAS threads may be slower here
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy(benchmark, parts, expected, dtype, n_threads):
    benchmark.group = f"SGD, {EPOCHS} epochs of {len(parts[dtype][1]):,} rows"
    with threadpool_limits(n_threads):
        _, _, history = benchmark.pedantic(train_numpy, parts[dtype], rounds=5, warmup_rounds=1)
    np.testing.assert_allclose(history["loss"], expected[2]["loss"], rtol=1e-3)


def cost_of(X, y, X_val, y_val):
    """Scores and gradients of the rows to train on, then scores of all rows, epoch by epoch."""
    flops = EPOCHS * 2.0 * 10 * (3 * X.size + X_val.size)
    dtype = "float64" if X.dtype == np.float64 else "float32"
    return Cost(flops, EPOCHS * (2.0 * X.nbytes + X_val.nbytes), dtype)


def check(W, b, history, expected, dtype):
    """The last weights lie closer to NumPy's, in float64, than an epoch carries them."""
    atol = 1e-9 if dtype == "float64" else 1e-3
    best = int(np.argmax(expected[2]["val_score"]))
    for name in ("loss", "train_score", "val_score"):
        np.testing.assert_allclose(history[name], expected[2][name], atol=atol)
    if best == EPOCHS - 1:  # NumPy's fit returns its best weights
        np.testing.assert_allclose(W, expected[0], atol=10 * atol)
        np.testing.assert_allclose(b, expected[1], atol=10 * atol)
