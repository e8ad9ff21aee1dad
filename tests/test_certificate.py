"""Certificates: bounds that hold anywhere, and close at the optimum, against an independent solver."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from fastlr.certificate import certify, feasible_masses
from fastlr.data import Data
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem

from . import reference

PENALTIES = {"l1": (1.0, 0.0), "elasticnet": (0.6, 0.4), "l2": (0.0, 1.0)}


def optimum(X, y, s, n_classes, l1, l2, units, fit_intercept=True):
    """(W, b) by L-BFGS-B on W = P - N with P, N >= 0, in NumPy: no code of fastlr's.

    The objective at any (W, b) is a bound on the minimum from above, so a test that uses this one
    never relies on its having converged.
    """
    K, d = (1 if n_classes == 2 else n_classes), X.shape[1]
    spread = np.sqrt(np.average(X**2, axis=0, weights=s))
    spread[spread == 0] = 1.0
    A, units = X / spread, units / spread

    def split(v):
        P, N = v[: 2 * K * d].reshape(2, K, d)
        return P, N, v[2 * K * d :]

    def value_gradient(v):
        P, N, b = split(v)
        U, Z = P - N, A @ (P - N).T + b
        R = reference.residuals(Z, y, s)
        value = reference.loss(Z, y, s)
        value += l1 * np.sum((P + N) * units) + l2 / 2 * np.sum((U * units) ** 2)
        G = R.T @ A + l2 * units**2 * U
        slope_b = R.sum(axis=0) * fit_intercept
        gradient = np.concatenate([(G + l1 * units).ravel(), (l1 * units - G).ravel(), slope_b])
        return value / s.sum(), gradient / s.sum()

    bounds = [(0, None)] * (2 * K * d) + [(None, None)] * K
    found = minimize(
        value_gradient, np.zeros(2 * K * d + K), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": 3000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 20},
    )  # fmt: skip
    P, N, b = split(found.x)
    return (P - N) / spread, b


def make(n_classes=3, penalty="l1", storage="dense", *, fit_intercept=True, l1=None, seed=0):
    """Rows with weights, some of them zero, and features of several scales."""
    rng = np.random.default_rng(seed)
    n, d = 60, 6
    X = rng.standard_normal((n, d))
    y = np.argmax(X @ rng.standard_normal((d, n_classes)) + rng.gumbel(size=(n, n_classes)), axis=1)
    X = X * [1, 1, 0.3, 3, 1, 1]
    X = sp.csr_matrix(X * (rng.random((n, d)) < 0.6)) if storage == "csr" else X
    loss = Softmax(y.astype(np.int32), rng.uniform(0, 3, n) * (rng.random(n) < 0.8), n_classes)
    data = Data(X)
    strengths = PENALTIES[penalty] if l1 is None else (l1, 0.0)
    moments = data.moments(loss)
    shift = moments.mean if fit_intercept and storage == "dense" else np.zeros(d)
    units = np.array([1.0, 2.0, 1.0, 1.0, 0.5, 1.0])
    return LinearProblem(data, loss, ElasticNet(*strengths, units), moments, shift, fit_intercept)


def solve(problem):
    """An optimal (W, b) for the shifted features."""
    X, loss, penalty = problem.data.X, problem.loss, problem.penalty
    X = X.toarray() if sp.issparse(X) else X
    return optimum(
        X - problem.shift, loss.y, loss.s, loss.n_classes, penalty.l1, penalty.l2, penalty.units,
        problem.fit_intercept,
    )  # fmt: skip


def objective(problem, W, b):
    X, loss, penalty = problem.data.X, problem.loss, problem.penalty
    X = (X.toarray() if sp.issparse(X) else X) - problem.shift
    return reference.objective(X, loss.y, loss.s, W, b, penalty.l1, penalty.l2, penalty.units)


def every_problem(test):
    for name, values in {
        "n_classes": [2, 3, 5],
        "penalty": PENALTIES,
        "storage": ["dense", "csr"],
        "fit_intercept": [True, False],
    }.items():
        test = pytest.mark.parametrize(name, values)(test)
    return test


@pytest.mark.parametrize("seed", range(20))
def test_feasible_masses(seed):
    rng = np.random.default_rng(seed)
    n, n_classes = 30, 2 + seed % 4
    P, s = rng.dirichlet(np.full(n_classes, 0.5), n), rng.uniform(0, 2, n)
    wanted = s.sum() * rng.dirichlet(np.ones(n_classes))
    if seed % 5 == 0:
        wanted = np.roll(s.sum() * np.eye(n_classes)[0], seed)  # all mass to one class
    shrink, receive = feasible_masses(s @ P, wanted)
    Q = shrink * P + receive * ((1 - shrink) * P).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Q.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(s @ Q, wanted, rtol=1e-12, atol=1e-12)
    assert np.all(Q >= 0)


def test_masses_that_are_right_are_left_alone():
    mass = np.array([1.0, 0.0, 3.0])
    shrink, receive = feasible_masses(mass, mass)
    np.testing.assert_array_equal(shrink, 1)
    np.testing.assert_array_equal(receive, 0)


def test_a_class_without_mass_receives_it():
    shrink, receive = feasible_masses(np.array([0.0, 40.0]), np.array([30.0, 10.0]))
    np.testing.assert_array_equal(shrink, [1, 0.25])
    np.testing.assert_array_equal(receive, [1, 0])


@every_problem
def test_bounds_hold_anywhere_and_close_at_the_optimum(n_classes, penalty, storage, fit_intercept):
    problem = make(n_classes, penalty, storage, fit_intercept=fit_intercept)
    W, b = solve(problem)
    scale = problem.null_objective
    best = objective(problem, W, b)
    certificate = certify(problem, W, b)
    assert certificate.objective == pytest.approx(best, rel=1e-12)
    assert 0 <= certificate.gap <= 1e-4 * scale
    rng = np.random.default_rng(0)
    for size in (0.0, 1e-3, 0.1, 1.0, 10.0, 1000.0):
        W_far = W + size * rng.standard_normal(W.shape)
        b_far = b + size * rng.standard_normal(b.shape) * fit_intercept
        certificate = certify(problem, W_far, b_far)
        assert certificate.objective == pytest.approx(objective(problem, W_far, b_far), rel=1e-11)
        assert 0 <= certificate.gap <= certificate.objective * (1 + 1e-12)
        assert certificate.objective - certificate.gap <= best + 1e-11 * scale


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gap_shrinks_on_the_way_to_the_optimum(penalty):
    problem = make(penalty=penalty)
    W, b = solve(problem)
    null_W, null_b = problem.start(np.float64)
    gaps = [certify(problem, W + t * (null_W - W), b + t * (null_b - b)).gap for t in (0.3, 1e-2, 1e-4)]
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_null_model_is_certified_from_lambda_max_on(n_classes, storage, fit_intercept):
    problem = make(n_classes, storage=storage, fit_intercept=fit_intercept)
    lambda_max = np.max(np.abs(problem.null_gradient) / problem.penalty.units)
    problem = make(n_classes, storage=storage, fit_intercept=fit_intercept, l1=lambda_max)
    certificate = certify(problem, *problem.start(np.float64))
    assert certificate.gap <= 1e-9 * problem.null_objective
    assert certificate.residual == pytest.approx(1)
    less = make(n_classes, storage=storage, fit_intercept=fit_intercept, l1=0.9 * lambda_max)
    assert certify(less, *less.start(np.float64)).gap > 1e-3 * problem.null_objective


@pytest.mark.parametrize("n_classes", [2, 3])
def test_certificates_are_in_float64(n_classes):
    problem = make(n_classes)
    W, b = (part.astype(np.float32) for part in solve(problem))
    found, exact = (vars(certify(problem, W.astype(t), b.astype(t))) for t in (np.float32, np.float64))
    for name, value in exact.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_class_without_mass():
    problem = make(3)
    loss = Softmax(problem.loss.y, problem.loss.s * (problem.loss.y != 1), 3)
    moments = problem.data.moments(loss)
    problem = LinearProblem(problem.data, loss, problem.penalty, moments, moments.mean)
    W, b = problem.start(np.float64)
    certificate = certify(problem, W, b)
    best = objective(problem, *solve(problem))
    assert certificate.gap >= 0
    assert certificate.objective - certificate.gap <= best + 1e-9 * problem.null_objective
