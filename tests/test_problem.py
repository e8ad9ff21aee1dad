"""The problem: derivatives by finite differences, and the null model by direct computation."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr.data import Data
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem

from . import reference

n, d = 40, 5


def make(n_classes=3, storage="dense", *, l1=0.5, l2=0.3, fit_intercept=True, shifted=True, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * [1, 10, 0.1, 1, 3] + [0, 5, 0, -1, 0]
    X = sp.csr_matrix(X * (rng.random((n, d)) < 0.4)) if storage == "csr" else X
    y = rng.integers(0, n_classes, n).astype(np.int32)
    loss = Softmax(y, rng.uniform(0, 2, n) * (rng.random(n) < 0.8), n_classes)
    data = Data(X)
    penalty = ElasticNet(l1, l2, np.array([1.0, 10.0, 0.1, 1.0, 2.0]))
    shift = rng.standard_normal(d) if shifted else np.zeros(d)
    return LinearProblem(data, loss, penalty, data.moments(loss), shift, fit_intercept)


def centred(problem):
    X = problem.data.X
    return (X.toarray() if sp.issparse(X) else X) - problem.shift


def draw(problem, seed=1):
    rng = np.random.default_rng(seed)
    K = problem.loss.n_columns
    W = problem.data.weights(K, np.float64)
    W += rng.standard_normal((K, d)) / 5
    return W, rng.standard_normal(K)


every_problem = [
    pytest.mark.parametrize("n_classes", [2, 3]),
    pytest.mark.parametrize("storage", ["dense", "csr"]),
    pytest.mark.parametrize("shifted", [True, False]),
]


def on_every_problem(test):
    for mark in every_problem:
        test = mark(test)
    return test


@on_every_problem
def test_loss_gradient_by_finite_differences(n_classes, storage, shifted):
    problem = make(n_classes, storage, shifted=shifted)
    (W, b), (dW, db), h = draw(problem), draw(problem, seed=2), 1e-5
    value, G, residual = problem.loss_gradient(W, b)
    loss = problem.loss
    scores = centred(problem) @ W.T + b
    assert value == pytest.approx(reference.loss(scores, loss.y, loss.s), rel=1e-12)
    ahead, behind = (problem.loss_gradient(W + t * dW, b + t * db)[0] for t in (h, -h))
    slope = np.sum(G * dW) + residual @ db
    # Central differences: an error of h^2 and rounding of eps value / h.
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-7, abs=1e-7)


@on_every_problem
def test_sums_of_labels_and_features(n_classes, storage, shifted):
    problem = make(n_classes, storage, shifted=shifted)
    X, loss = centred(problem), problem.loss
    Y = reference.onehot(loss.y, loss.n_columns)[:, -loss.n_columns :]
    np.testing.assert_allclose(problem.label_sums, (loss.s[:, None] * Y).T @ X, atol=1e-10)
    np.testing.assert_allclose(problem.centred_total, loss.s @ X, atol=1e-10)


@on_every_problem
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_null_model(n_classes, storage, shifted, fit_intercept):
    problem = make(n_classes, storage, shifted=shifted, fit_intercept=fit_intercept)
    W, b = problem.start(np.float64)
    assert not W.any()
    X, loss = centred(problem), problem.loss
    scores = np.tile(b, (n, 1))
    assert problem.null_objective == pytest.approx(reference.loss(scores, loss.y, loss.s))
    expected = reference.gradient(X, reference.residuals(scores, loss.y, loss.s))
    np.testing.assert_allclose(problem.null_gradient, expected, atol=1e-10)


@pytest.mark.parametrize("factor", [1 - 1e-9, 1 + 1e-9])
def test_null_is_optimal_from_lambda_max_on(factor):
    problem = make()
    lambda_max = np.max(np.abs(problem.null_gradient) / problem.penalty.units)
    assert make(l1=factor * lambda_max).null_is_optimal is (factor > 1)


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_unpacked_model_gives_the_same_scores(storage):
    problem = make(storage=storage)
    W, b = draw(problem)
    coef, intercept = problem.unpack(W, b)
    raw = centred(problem) + problem.shift
    np.testing.assert_allclose(raw @ coef.T + intercept, centred(problem) @ W.T + b, atol=1e-12)
    np.testing.assert_allclose(intercept, problem.bias(W, b), atol=1e-14)
    assert np.shares_memory(problem.data.flat(coef), coef)  # as predictions read it, without a copy


def test_as_stored_is_the_model_that_users_get():
    """Rounded to float32 by `as_stored`, a model is unpacked without further rounding."""
    problem = make()
    W, b = problem.as_stored(*draw(problem), np.float32)
    coef, intercept = problem.unpack(W, b)
    assert coef.dtype == np.float32
    np.testing.assert_allclose(intercept, intercept.astype(np.float32), rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(np.diff(b), np.diff(draw(problem)[1]), atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_as_stored_leaves_out_what_all_classes_share(l1, fit_intercept, n_classes):
    problem = make(n_classes, l1=l1, fit_intercept=fit_intercept)
    W, b = draw(problem)
    V, c = problem.as_stored(W, b * fit_intercept, np.float64)
    loss = problem.loss_gradient(W, b * fit_intercept)[0]
    assert problem.loss_gradient(V, c)[0] == pytest.approx(loss, rel=1e-12)
    if l1 > 0 or n_classes == 2:
        np.testing.assert_array_equal(V, W)
    else:
        np.testing.assert_allclose(V.sum(axis=0), 0, atol=1e-14)
        assert problem.penalty.value(V, c) < problem.penalty.value(W, b)
    if fit_intercept and n_classes > 2:
        assert abs(problem.unpack(V, c)[1].sum()) < 1e-13
    elif not fit_intercept:
        assert not c.any()


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_rows_add_up(storage):
    problem = make(storage=storage)
    model = draw(problem)
    order = np.random.default_rng(3).permutation(n)
    parts = [problem.rows(index).loss_gradient(*model) for index in (order[:7], order[7:])]
    for found, whole in zip(map(sum, zip(*parts, strict=True)), problem.loss_gradient(*model), strict=True):
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("intercept", [None, 0.0, 0.5])
def test_null_model_of_the_squared_hinge(storage, intercept):
    """Its objective, gradient and start, without an intercept (None), a free one and a penalised one."""
    problem = make(2, storage, fit_intercept=intercept is not None)
    loss = SquaredHinge(problem.loss.y, problem.loss.s)
    penalty = replace(problem.penalty, intercept_unit=intercept or 0.0)
    problem = replace(problem, loss=loss, penalty=penalty, moments=problem.data.moments(loss))
    assert problem.intercept_is_free is (intercept == 0.0)
    W, b = problem.start(np.float64)
    X, scores = centred(problem), np.tile(b, (n, 1))
    value = reference.hinge_loss(scores, loss.y, loss.s) + problem.penalty.value(W, b)
    assert problem.null_objective == pytest.approx(value, rel=1e-12)
    expected = reference.gradient(X, reference.hinge_residuals(scores, loss.y, loss.s))
    np.testing.assert_allclose(problem.null_gradient, expected, atol=1e-10)
    found = problem.loss_gradient(W, b)
    np.testing.assert_allclose(found[1], expected, atol=1e-10)
    parts = [problem.rows(rows).loss_gradient(W, b)[0] for rows in (np.arange(9), np.arange(9, n))]
    assert sum(parts) == pytest.approx(found[0])


@on_every_problem
def test_scaled(n_classes, storage, shifted):
    """Weights of the loss three times as large: what depends on them follows."""
    problem = make(n_classes, storage, shifted=shifted)
    loss = replace(problem.loss, s=3 * problem.loss.s)
    whole = replace(problem, loss=loss, moments=problem.data.moments(loss))
    found = problem.scaled(3.0)
    assert found.null_objective == pytest.approx(whole.null_objective)
    np.testing.assert_allclose(found.null_gradient, whole.null_gradient, rtol=1e-9, atol=1e-9)
    for name, values in vars(whole.moments).items():
        np.testing.assert_allclose(getattr(found.moments, name), values, rtol=1e-9, atol=1e-9)
    model = draw(problem)
    assert found.loss_gradient(*model)[0] == pytest.approx(3 * problem.loss_gradient(*model)[0])
