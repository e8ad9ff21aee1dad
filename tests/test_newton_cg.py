"""Truncated Newton: the Hessian by finite differences, its samples, inner steps, and hard problems."""

import sys
from itertools import islice

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr import LogisticRegression
from fastlr.data import Data
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import minimise
from fastlr.solvers.newton_cg import Hessian, newton_cg, stratified, truncated_cg
from fastlr.solvers.smooth import Objective

from .test_certificate import make, objective, solve
from .test_logistic import toy

module = sys.modules["fastlr.solvers.newton_cg"]


def line(problem, seed=0):
    rng, K, d = np.random.default_rng(seed), problem.loss.n_columns, problem.data.d
    v = rng.standard_normal(K * d + K) / 3
    if not problem.fit_intercept:
        v[-K:] = 0
    return v


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_hessian_by_finite_differences(n_classes, storage, fit_intercept):
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    F = Objective(problem, np.float64)
    v, p, h = line(problem), line(problem, seed=1), 1e-5
    expected = (F(v + h * p)[1] - F(v - h * p)[1]) / (2 * h)
    found = Hessian(F, v, 1.0, None)(p)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def dense_hessian(hessian, size):
    return np.array([hessian(row) for row in np.eye(size)])


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_hessians_are_symmetric_and_positive(n_classes, share):
    problem = make(n_classes, "l2")
    v = line(problem)
    H = dense_hessian(Hessian(Objective(problem, np.float64), v, share, np.random.default_rng(0)), len(v))
    np.testing.assert_allclose(H, H.T, rtol=0, atol=1e-12 * np.abs(H).max())
    assert np.linalg.eigvalsh(H).min() >= -1e-12 * np.abs(H).max()


def test_samples_estimate_the_hessian_without_bias():
    problem = make(3, "l2")
    F, v, rng = Objective(problem, np.float64), line(problem), np.random.default_rng(0)
    exact = dense_hessian(Hessian(F, v, 1.0, rng), len(v))
    drawn = np.array([dense_hessian(Hessian(F, v, 0.3, rng), len(v)) for _ in range(400)])
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert drawn.std(axis=0).max() > 0
    assert np.all(np.abs(drawn.mean(axis=0) - exact) <= 5 * error + 1e-9 * np.abs(exact).max())


def test_stratified_rows():
    s = np.r_[0.0, 1.0, 1.0, 0.0, 8.0, 0.0]
    for seed in range(20):
        rows = stratified(s, 5, np.random.default_rng(seed))
        np.testing.assert_array_equal(rows[1:], 4)  # 8 of 10 parts are its
        assert rows[0] in (1, 2)
    assert set(stratified(np.r_[np.full(10, 0.1), 0.0], 1000, np.random.default_rng(0))) == set(range(10))


def test_the_diagonal_model_is_the_diagonal_where_rows_are_alike():
    """At W = 0 all rows have the same probabilities, and the model leaves nothing out."""
    problem = make(3, "l2", fit_intercept=True)
    F, v = Objective(problem, np.float64), line(problem)
    v[:-3] = 0
    hessian = Hessian(F, v, 1.0, None)
    exact = np.diag(dense_hessian(hessian, len(v)))
    np.testing.assert_allclose(1 / hessian.inverse_diagonal(), exact, rtol=1e-12)


def returned(generator):
    """What a generator returns after all that it yields."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("residual", [0.5, 1e-2, 1e-8])
def test_truncated_cg(residual):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((30, 30))
    H, g, inverse = root @ root.T + np.eye(30), rng.standard_normal(30), rng.uniform(0.5, 2, 30)
    p, slope, promise = returned(truncated_cg(lambda q: H @ q, g, inverse, residual))
    left = H @ p + g
    assert np.sqrt(left @ (inverse * left)) <= residual * np.sqrt(g @ (inverse * g)) * (1 + 1e-9)
    assert slope == pytest.approx(g @ p) and slope < 0
    assert promise == pytest.approx(-g @ p - p @ H @ p / 2) and promise > 0


def test_flat_directions_follow_the_gradient():
    g, inverse = np.array([1.0, -2.0]), np.array([1.0, 0.5])
    p, slope, _ = returned(truncated_cg(lambda q: 0 * q, g, inverse, 0.1))
    np.testing.assert_array_equal(p, -inverse * g)
    assert slope == -3


# ---- whole fits -----------------------------------------------------------------------------------


def fit(problem, tol=1e-6, dtype=np.float64, max_iter=200):
    W, b = problem.start(dtype)
    steps = newton_cg(problem, W, b, np.random.default_rng(0), np.dtype(dtype))
    return minimise(problem, steps, W, b, tol=tol, max_iter=max_iter)


def build(X, y, s=None, l2=1.0, n_classes=None):
    loss = Softmax(y.astype(np.int32), np.ones(len(y)) if s is None else s, n_classes or y.max() + 1)
    data = Data(X)
    moments = data.moments(loss)
    shift = np.zeros(data.d) if sp.issparse(X) else moments.mean
    return LinearProblem(data, loss, ElasticNet(0.0, l2, np.ones(data.d)), moments, shift)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 10))
    y = np.argmax(X @ rng.standard_normal((10, 4)) + rng.gumbel(size=(300, 4)), axis=1)
    return X, y


def test_unscaled_columns(data):
    X, y = data
    assert fit(build(X * 10.0 ** np.linspace(-4, 4, 10) + 1000, y)).converged


def test_nearly_separable(data):
    X, y = data
    y = np.argmax(X[:, :4], axis=1)
    result = fit(build(X, y, l2=1e-6))
    assert result.converged and result.objective < 0.1


@pytest.mark.parametrize("as_sparse", [False, True])
def test_rare_classes(data, as_sparse):
    X, y = data
    y[:2], y[2] = 4, 5
    X = sp.csr_matrix(X * (X > 0)) if as_sparse else X
    assert fit(build(X, y)).converged


@pytest.mark.parametrize("l2", [1.0, 1e-8, 0.0])
def test_rank_deficient(data, l2):
    X, y = data
    X = np.c_[X, X, np.zeros(300), np.ones(300)]
    assert fit(build(X, y, l2=l2)).converged


def test_more_features_than_rows(data):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((40, 200)), data[1][:40]
    assert fit(build(X, y)).converged


def test_weights_of_zero_are_absent_rows(data):
    X, y = data
    s = np.random.default_rng(1).uniform(0, 3, 300)
    s[100:] = 0
    whole, part = fit(build(X, y, s)), fit(build(X[:100], y[:100], s[:100]))
    assert whole.converged and part.converged
    assert whole.objective == pytest.approx(part.objective, rel=1e-5)


def test_without_a_penalty_the_gradient_decides(data):
    X, y = data
    result = fit(build(X, y, l2=0.0))
    assert result.converged and result.residual <= 1e-6


def test_float32_goes_on_in_float64(data):
    X, y = data
    result = fit(build(X, y), tol=1e-11, dtype=np.float32)
    assert result.converged and result.W.dtype == np.float64


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_samples_that_grow(data, storage, monkeypatch):
    """From a tenth of the rows to all, on to a tight tolerance."""
    X, y = (np.tile(part, (7,) + (1,) * (part.ndim - 1)) for part in data)
    X = X + np.random.default_rng(2).standard_normal(X.shape) / 3
    X = sp.csr_matrix(X * (X > 1)) if storage == "csr" else X
    shares = []

    class Spy(Hessian):
        def __init__(self, objective, v, share, rng):
            shares.append(share)
            super().__init__(objective, v, share, rng)

    monkeypatch.setattr(module, "Hessian", Spy)
    result = fit(build(X, y, l2=0.1), tol=1e-10)
    assert result.converged
    assert shares[0] == (1.0 if storage == "csr" else 0.1)
    assert shares == sorted(shares)


def test_a_start_near_the_optimum_is_kept():
    """No epochs from there: the first iterate is a Newton step."""
    problem = make(penalty="l2")
    W, b = solve(problem)
    steps = newton_cg(problem, W, b, np.random.default_rng(0), np.dtype(np.float64))
    next(steps)
    first = next(step for step in steps if step is not None)
    assert objective(problem, *first) <= objective(problem, W, b) * (1 + 1e-13)


def test_epochs_that_lead_astray_are_dropped(monkeypatch):
    def astray(problem, W, b, rng, dtype):
        yield None
        while True:
            yield W + 1e6, b

    problem = make(penalty="l2")
    monkeypatch.setattr(module, "saga", astray)
    result = fit(problem, max_iter=40)
    assert result.converged
    assert result.objective <= objective(problem, *solve(problem)) + 1e-6 * problem.null_objective


def test_convergence_is_superlinear_on_all_rows(data, monkeypatch):
    monkeypatch.setattr(module, "_SAMPLE", 1.0)
    monkeypatch.setattr(module, "_QUICK", (0, 0))  # epochs of SAGA come first, not L-BFGS
    problem = build(*data)
    F = Objective(problem, np.float64)
    steps = newton_cg(problem, *problem.start(np.float64), np.random.default_rng(0), np.dtype(np.float64))
    next(steps)
    iterates = (F.join(*step) for step in steps if step is not None)
    last_epoch = len(module._EPOCHS) - 1
    iterates = list(islice(iterates, last_epoch, last_epoch + 9))
    slopes = [np.linalg.norm(F(v)[1]) for v in iterates]
    assert min(slopes) < 1e-10 * slopes[0]  # what follows is rounding, up and down
    assert slopes[5] / slopes[4] < 0.1 * slopes[1] / slopes[0]


def test_newton_cg_where_its_first_method_finds_nothing(monkeypatch):
    """As L-BFGS where all of the gradient is rounding, which depends on the processor."""

    def nothing(problem, W, b, rng, dtype):
        yield None

    X, y = toy(3)
    one = LogisticRegression(solver="newton-cg").fit(X, y)
    monkeypatch.setattr(module, "lbfgs", nothing)
    other = LogisticRegression(solver="newton-cg").fit(X, y)
    assert other.converged_
    assert abs(other.objective_ - one.objective_) <= other.dual_gap_ + one.dual_gap_ + 1e-12
