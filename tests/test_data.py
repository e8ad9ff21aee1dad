"""Data: the operations on rows, for every storage, in one kernel call or several, without copies."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr import LogisticRegression
from fastlr import data as data_module
from fastlr.data import Data, available_threads
from fastlr.losses import Softmax

from . import reference

STORAGES = {
    "uint8": lambda X: np.clip(100 + 50 * X, 0, 255).astype(np.uint8),
    "float32": lambda X: X.astype(np.float32),
    "float64": lambda X: X,
    "fortran": np.asfortranarray,
    "csr": lambda X: sp.csr_matrix(X * (X > 0.5)),
    "text": lambda X: sp.csr_matrix(X * (X > 2.6)),  # few entries: gradients by columns
    "csr array": lambda X: sp.csr_array(X * (X > 0.5), dtype=np.float32),
}
every_storage = pytest.mark.parametrize("storage", STORAGES)
n, d, K = 700, 21, 3


def dense(X):
    return (X.toarray() if sp.issparse(X) else X).astype(np.float64)


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((n, d))


@pytest.fixture
def loss():
    rng = np.random.default_rng(1)
    s = rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    return Softmax(rng.integers(0, K, n).astype(np.int32), s, K)


def model(data, dtype=np.float64):
    rng = np.random.default_rng(2)
    W = data.weights(K, dtype)
    W += rng.standard_normal((K, d)).astype(dtype) / 10
    return W, rng.standard_normal(K).astype(dtype)


@every_storage
@pytest.mark.parametrize("calls", ["one call", "many calls"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_operations(X, loss, storage, calls, n_threads, monkeypatch):
    if calls == "many calls":  # as if a call could do little
        monkeypatch.setattr(data_module, "CALL_WORK", 1)
        monkeypatch.setattr(data_module, "_THREAD_WORK", 1)
        X = np.tile(X, (13, 1))
        loss = Softmax(np.tile(loss.y, 13), np.tile(loss.s, 13), K)
    data = Data(STORAGES[storage](X), n_threads)
    X = dense(data.X)
    W, b = model(data)
    assert len(list(data._calls(K))) == (3 if calls == "many calls" else 1)
    value, G, mass = data.loss_gradient(W, b, loss)
    expected, expected_G, expected_mass = reference.loss_gradient(X, loss.y, loss.s, W, b)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(G, expected_G, rtol=0, atol=1e-12 * np.abs(loss.s @ np.abs(X)).max())
    np.testing.assert_allclose(mass, expected_mass, rtol=1e-12)
    np.testing.assert_allclose(data.scores(W, b), reference.scores(X, W, b), rtol=0, atol=1e-11)
    found = data.evaluate(W, b, loss)
    np.testing.assert_allclose(found, reference.evaluate(X, loss.y, loss.s, W, b), rtol=1e-12)
    moves = np.array([0.5, 1.0, 1.0]), np.array([0.0, 0.25, 0.75])
    entropy = reference.dual_entropy(X, loss.y, loss.s, W, b, *moves, 0.9)
    assert data.dual_entropy(W, b, loss, *moves, 0.9) == pytest.approx(entropy, rel=1e-12)


def test_gradients_by_columns_where_rows_are_short(X):
    assert Data(STORAGES["text"](X)).columns is not None
    assert Data(STORAGES["csr"](X)).columns is None
    assert Data(X).columns is None


@every_storage
def test_curvature_products(X, loss, storage):
    data = Data(STORAGES[storage](X), n_threads=2)
    (W, b), rng = model(data), np.random.default_rng(3)
    V, v_b, s = data.weights(K, np.float64), rng.standard_normal(K), loss.s
    V += rng.standard_normal((K, d))
    for order in (None, rng.integers(0, n, 50)):
        rows = np.arange(n) if order is None else order
        P = data.probabilities(W, b, order)
        G, mass = data.weights(K, np.float64), np.ones(K)
        data.add_curvature_product(V, v_b, s, P, G, mass, order)
        expected, expected_mass = reference.curvature_product(dense(data.X)[rows], s[rows], W, b, V, v_b)
        scale = np.abs(s @ np.abs(dense(data.X))).max() + 1
        np.testing.assert_allclose(G, expected, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(mass, 1 + expected_mass, rtol=0, atol=1e-12 * scale)


@every_storage
def test_moments_under_weights(X, loss, storage):
    X[:, 3] = 2.0
    data = Data(STORAGES[storage](X))
    X = dense(data.X)
    found = data.moments(loss)
    mean = np.average(X, axis=0, weights=loss.s)
    variance = np.average((X - mean) ** 2, axis=0, weights=loss.s)
    np.testing.assert_allclose(found.total, loss.s @ X, rtol=1e-12, atol=1e-12 * n)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-11, atol=1e-14)
    expected, *_ = reference.column_moments(X, loss.y, loss.s, 0.0, K)
    np.testing.assert_allclose(found.label_sums, expected, rtol=1e-12, atol=1e-12 * n)
    assert found.variance[3] == 0
    np.testing.assert_array_equal(found.low, X[loss.s > 0].min(axis=0))
    np.testing.assert_array_equal(found.high, X[loss.s > 0].max(axis=0))


@pytest.mark.parametrize("storage", ["float64", "csr"])
def test_moments_of_two_classes_and_of_full_columns(X, loss, storage):
    """One score column takes the sums of the second class; a column without zeros may lie above zero."""
    X = np.abs(X) + 1
    loss = Softmax((loss.y > 0).astype(np.int32), loss.s, 2)
    data = Data(sp.csr_matrix(X) if storage == "csr" else X)
    found = data.moments(loss)
    np.testing.assert_allclose(found.label_sums, [(loss.s * loss.y) @ X], rtol=1e-12)
    np.testing.assert_array_equal(found.low, X[loss.s > 0].min(axis=0))
    assert found.low.min() >= 1


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_variance_far_from_zero(X, loss, offset):
    """sum x^2 / n - mean^2 would lose the digits that (offset / deviation)^2 takes."""
    found = Data(X + offset).moments(loss)
    mean = np.average(X, axis=0, weights=loss.s)
    variance = np.average((X - mean) ** 2, axis=0, weights=loss.s)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-6)


# Text is read by columns, too, which takes a copy.
@pytest.mark.parametrize("storage", [name for name in STORAGES if name != "text"])
def test_nothing_copies_X(X, loss, storage):
    X = STORAGES[storage](np.tile(X, (20, 1)))
    loss = Softmax(np.tile(loss.y, 20), np.tile(loss.s, 20), K)
    size = X.data.nbytes if sp.issparse(X) else X.nbytes
    warm = Data(X)
    W, b = model(warm)
    warm.evaluate(W, b, loss)
    tracemalloc.start()
    try:
        data = Data(X)
        data.loss_gradient(W, b, loss)
        data.evaluate(W, b, loss)
        data.moments(loss)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # int64 row pointers and small panels are all there is.
    assert peak < size / 3 + 9 * X.shape[0]


@every_storage
def test_weights_and_flat_share_memory(X, storage):
    data = Data(STORAGES[storage](X))
    W = data.weights(K, np.float32)
    assert W.shape == (K, d) and W.dtype == np.float32 and not W.any()
    assert np.shares_memory(W, data.flat(W))
    W[1, 2] = 5
    assert data.flat(W)[2 * K + 1 if data.is_sparse else d + 2] == 5


def test_exact_dtype(X):
    expected = {"uint8": "f4", "float32": "f4", "float64": "f8", "csr": "f8", "csr array": "f4"}
    for storage, dtype in expected.items():
        assert Data(STORAGES[storage](X)).exact_dtype == dtype


def test_available_threads():
    assert available_threads() >= 1


@pytest.mark.parametrize("order", ["<", ">", "="])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_byte_orders(order, kind):
    """A type may name its order, as those of files do; a foreign one is converted before it comes here."""
    X, y = np.random.default_rng(0).standard_normal((40, 3)), np.arange(40) % 2
    model = LogisticRegression().fit(X.astype(order + kind), y)
    right = LogisticRegression().fit(X.astype(kind), y)
    np.testing.assert_allclose(model.coef_, right.coef_, rtol=1e-3)
