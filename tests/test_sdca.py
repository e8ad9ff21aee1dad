"""Stochastic dual coordinate ascent: the optimum from anywhere, and what holds on the way."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr import LogisticRegression
from fastlr.certificate import certify
from fastlr.data import Data
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import minimise
from fastlr.solvers.sdca import _Dual, _log_probabilities, sdca

from .test_certificate import make, objective, solve

module = sys.modules["fastlr.solvers.sdca"]
every_problem = pytest.mark.parametrize(
    "n_classes, storage, fit_intercept",
    [(K, storage, free) for K in (2, 3) for storage in ("dense", "csr") for free in (True, False)],
)


def build(X, y, s, *, units=1.0, fit_intercept=True):
    """A problem from arrays."""
    data, loss = Data(X), Softmax(y.astype(np.int32), s, max(2, int(y.max()) + 1))
    moments = data.moments(loss)
    shift = np.zeros(data.d) if data.is_sparse or not fit_intercept else moments.mean
    penalty = ElasticNet(0.0, 1.0, np.full(data.d, units))
    return LinearProblem(data, loss, penalty, moments, shift, fit_intercept)


def run(problem, tol, start=None, dtype=np.float64, max_iter=3000, **options):
    W, b = problem.start(dtype) if start is None else start
    steps = sdca(problem, W, b, np.random.default_rng(0), np.dtype(dtype))
    return minimise(problem, steps, W, b, tol=tol, max_iter=max_iter, **options)


def new_dual(problem, W, b):
    """As it is before the first epoch."""
    W, b = problem.data.weights(len(b), np.float64) + W, b.copy()
    dual = _Dual(problem, _log_probabilities(problem, W, b), W, b)
    list(dual.start())
    return dual


# ---- the optimum ----------------------------------------------------------------------------------


@every_problem
@pytest.mark.parametrize("tol", [1e-6, 1e-10])
def test_it_converges_to_the_optimum(n_classes, storage, fit_intercept, tol):
    """Units, weights of zero and an intercept that no penalty touches are in these problems."""
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    result = run(problem, tol)
    assert result.converged and result.status == "converged"
    best, scale = objective(problem, *solve(problem)), problem.null_objective
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)
    assert best - 1e-9 * scale <= result.objective <= best + tol * scale
    assert result.objective - result.dual_gap <= best + 1e-11 * scale
    assert fit_intercept or not result.b.any()


@pytest.mark.parametrize("C", [1e-4, 1e-2, 10.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_any_strength_of_the_penalty(C, fit_intercept):
    problem = make(3, "l2", "csr", fit_intercept=fit_intercept).scaled(C)
    result = run(problem, 1e-6)
    assert result.converged
    best = objective(problem, *solve(problem))
    assert result.objective <= best + 1e-6 * problem.null_objective


@pytest.mark.parametrize("K", [2, 20])
def test_rare_classes_and_a_strong_intercept(K):
    """The intercepts are far apart, and features say little."""
    rng = np.random.default_rng(0)
    n = 600
    y = np.r_[np.arange(K), np.minimum(rng.geometric(0.4, n - K) - 1, K - 1)]
    X = sp.csr_matrix(sp.random(n, 50, 0.1, random_state=rng))
    result = run(build(X, y, np.ones(n)), 1e-8, max_iter=300)
    assert result.converged


def test_classes_without_rows():
    problem = make(3, "l2", "csr")
    loss = Softmax(problem.loss.y, problem.loss.s * (problem.loss.y < 2), 3)
    problem = replace(problem, loss=loss, moments=problem.data.moments(loss))
    assert run(problem, 1e-6).converged


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_rows_without_weight_are_absent(storage):
    problem = make(3, "l2", storage)
    kept = np.flatnonzero(problem.loss.s)
    loss = Softmax(problem.loss.y[kept], problem.loss.s[kept], 3)
    data = Data(problem.data.X[kept])
    part = replace(problem, data=data, loss=loss, moments=data.moments(loss))
    whole, part = run(problem, 1e-9), run(part, 1e-9)
    assert whole.objective == pytest.approx(part.objective, rel=2e-9)
    np.testing.assert_allclose(whole.W, part.W, atol=1e-3)


@pytest.mark.parametrize("used", [0, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
def test_rows_without_entries(used, fit_intercept, storage):
    rng = np.random.default_rng(0)
    X, y = np.zeros((200, 5)), np.arange(200) % 3
    X[:used] = rng.normal(size=(used, 5))
    problem = build(storage(X), y, rng.uniform(0.1, 10, 200), fit_intercept=fit_intercept)
    start = problem.data.weights(3, np.float64), np.array([3.0, -1.0, -2.0]) * fit_intercept
    for result in (run(problem, 1e-8), run(problem, 1e-8, start)):
        assert result.converged
        if used == 0:
            assert not result.W.any()
            b = result.b - result.b.mean()
            np.testing.assert_allclose(b, problem.null_intercept, atol=1e-3)


# ---- starts ---------------------------------------------------------------------------------------


@every_problem
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_it_converges_from_anywhere(n_classes, storage, fit_intercept, scale):
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    W, b = problem.start(np.float64)
    rng = np.random.default_rng(1)
    W += scale * rng.standard_normal(W.shape)
    b += scale * rng.standard_normal(b.shape) * fit_intercept
    given = W.copy(), b.copy()
    assert run(problem, 1e-6, (W, b)).converged
    np.testing.assert_array_equal(W, given[0])
    np.testing.assert_array_equal(b, given[1])


@every_problem
def test_it_stays_at_the_optimum(n_classes, storage, fit_intercept):
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    best = run(problem, 1e-12)
    steps = sdca(problem, best.W, best.b, np.random.default_rng(0), np.dtype(np.float64))
    epochs = (iterate for iterate in steps if iterate is not None)
    next(epochs)  # the start
    for _ in range(3):
        assert certify(problem, *next(epochs)).gap <= 1e-9 * problem.null_objective


def dual_value(dual):
    """sum_i s_i H(q_i) - g*(V), as W is the image of V."""
    q = np.exp(dual.L)
    return -dual.problem.loss.s @ np.sum(q * dual.L, axis=1) - dual.problem.penalty.value(dual.W)


@every_problem
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_the_start_is_no_worse_than_the_labels(n_classes, storage, fit_intercept, scale):
    """At Q = Y, W = 0, the dual is zero."""
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    W, b = problem.start(np.float64)
    W += scale * np.random.default_rng(1).standard_normal(W.shape)
    assert dual_value(new_dual(problem, W, b)) >= 0


# ---- on the way -----------------------------------------------------------------------------------


@every_problem
def test_W_is_the_image_of_the_probabilities(n_classes, storage, fit_intercept):
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    dual, rng = new_dual(problem, *problem.start(np.float64)), np.random.default_rng(0)
    for _ in range(4):
        list(dual.epoch(rng))
    W, excess = dual.W.copy(), dual.excess.copy()
    list(dual.image())
    assert W.any() and excess.any()
    np.testing.assert_allclose(W, dual.W, atol=1e-12 * np.abs(W).max())
    np.testing.assert_allclose(excess, dual.excess, atol=1e-12 * problem.loss.s.sum())


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_the_dual_never_falls(n_classes, storage):
    """Without an intercept every visit maximises the dual over a row."""
    problem = make(n_classes, "l2", storage, fit_intercept=False)
    dual, rng = new_dual(problem, *problem.start(np.float64)), np.random.default_rng(0)
    values = [dual_value(dual)]
    for _ in range(20):
        list(dual.epoch(rng))
        values.append(dual_value(dual))
    assert np.all(np.diff(values) >= -1e-12 * problem.null_objective)
    best = objective(problem, *solve(problem))
    assert values[0] < values[-1] <= best + 1e-11 * problem.null_objective


def test_the_masses_become_those_of_the_classes():
    problem = make(3, "l2", "csr")
    dual, rng = new_dual(problem, *problem.start(np.float64)), np.random.default_rng(0)
    sizes = []
    for _ in range(100):
        list(dual.epoch(rng))
        sizes.append(np.abs(dual.excess).max())
    assert 0 < sizes[-1] <= 1e-3 * sizes[0]


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_calls_may_be_short(storage, monkeypatch):
    """The same epoch, cut into calls of one row, each followed by a breath."""
    problem = make(3, "l2", storage)
    duals = []
    for work in (module.CALL_WORK, 1):
        monkeypatch.setattr(module, "CALL_WORK", work)
        duals.append(new_dual(problem, *problem.start(np.float64)))
        breaths = len(list(duals[-1].epoch(np.random.default_rng(0))))
        assert breaths == (1 if work > 1 else np.count_nonzero(problem.loss.s))
    np.testing.assert_array_equal(duals[0].W, duals[1].W)
    np.testing.assert_array_equal(duals[0].L, duals[1].L)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_float32_goes_on_in_float64_and_ends(n_classes):
    problem = make(n_classes, "l2", "csr")
    steps = sdca(problem, *problem.start(np.float32), np.random.default_rng(0), np.dtype(np.float32))
    types, smallest, told = [], {}, None
    next(steps)
    for _ in range(50000):
        try:
            iterate = steps.send(told)
        except StopIteration:
            break
        told = None
        if iterate is not None:
            told, dtype = certify(problem, *iterate), iterate[0].dtype
            types.append(dtype)
            smallest[dtype] = min(told.gap, smallest.get(dtype, np.inf))
    else:
        pytest.fail("it did not end")
    assert types == sorted(types, key=lambda dtype: dtype.itemsize)
    assert smallest[np.dtype(np.float32)] > smallest[np.dtype(np.float64)]
    assert smallest[np.dtype(np.float64)] <= 1e-12 * problem.null_objective


# ---- through the estimator ------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", [None, "unit", "standard"])
@pytest.mark.parametrize("storage", ["uint8", "float32", "csr"])
def test_logistic_regression(scaling, storage):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (120, 12)).astype(np.uint8)
    y = (X[:, 0] > 128) + (X[:, 1] > 100).astype(int)
    X = X if storage == "uint8" else X.astype(np.float32) / 100
    X = sp.csr_matrix(X) if storage == "csr" else X
    weight = rng.uniform(0, 2, 120) * (rng.random(120) < 0.9)
    options = {"scaling": scaling, "class_weight": {0: 2.0, 1: 1.0, 2: 0.5}, "tol": 1e-6, "max_iter": 20000}
    C = 1e-4 if scaling is None and storage == "uint8" else 0.1
    fits = [
        LogisticRegression(penalty="l2", C=C, solver=solver, random_state=0, **options).fit(X, y, weight)
        for solver in ("sdca", "lbfgs")
    ]
    assert all(fit.converged_ for fit in fits) and fits[0].solver_ == "sdca"
    assert abs(fits[0].objective_ - fits[1].objective_) <= 2e-6 * fits[0].null_objective_


@pytest.mark.parametrize(
    "penalty, C, match",
    [(None, 1.0, "needs an L2 penalty"), ("l2", np.inf, "needs an L2 penalty"), ("l1", 1.0, "L1 part")],
)
def test_other_penalties_are_refused(penalty, C, match):
    X, y = np.eye(4), [0, 1, 0, 1]
    with pytest.raises(ValueError, match=f"solver='sdca' .*{match}"):
        LogisticRegression(penalty=penalty, C=C, solver="sdca").fit(X, y)


def test_warm_start():
    rng = np.random.default_rng(0)
    X = sp.random(300, 100, 0.1, "csr", random_state=rng)
    y = rng.integers(0, 4, 300)
    clf = LogisticRegression(penalty="l2", solver="sdca", tol=1e-8, warm_start=True, random_state=0)
    clf.fit(X, y)
    assert clf.set_params(C=1.1).fit(X, y).converged_
    again = clf.fit(X, y)
    assert again.n_iter_[0] == 0 and again.converged_
