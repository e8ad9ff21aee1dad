"""Certificates: bounds that hold anywhere, and close at the optimum, against an independent solver."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from fastlr.certificate import certify, feasible_masses
from fastlr.data import Data
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem

from . import reference

PENALTIES = {"l1": (1.0, 0.0), "elasticnet": (0.6, 0.4), "l2": (0.0, 1.0)}


SOFTMAX = reference.loss, reference.residuals
HINGE = reference.hinge_loss, reference.hinge_residuals


def optimum(X, y, s, n_classes, l1, l2, units, fit_intercept=True, formulas=SOFTMAX, intercept_unit=0.0):
    """(W, b) by L-BFGS-B on W = P - N with P, N >= 0, in NumPy: no code of fastlr's.

    A penalised intercept is the weight of one more feature, of value 1 / intercept_unit. The objective
    at any (W, b) is a bound on the minimum from above, so a test that uses this one never relies on its
    having converged.
    """
    if intercept_unit:
        X, units = np.column_stack([X, np.full(len(X), 1 / intercept_unit)]), np.append(units, 1.0)
        W, b = optimum(X, y, s, n_classes, l1, l2, units, False, formulas)
        return W[:, :-1], W[:, -1] / intercept_unit
    K, d = (1 if n_classes == 2 else n_classes), X.shape[1]
    loss, residuals = formulas
    spread = np.sqrt(np.average(X**2, axis=0, weights=s))
    spread[spread == 0] = 1.0
    A, units = X / spread, units / spread

    def split(v):
        P, N = v[: 2 * K * d].reshape(2, K, d)
        return P, N, v[2 * K * d :]

    def value_gradient(v):
        P, N, b = split(v)
        U, Z = P - N, A @ (P - N).T + b
        R = residuals(Z, y, s)
        value = loss(Z, y, s)
        value += l1 * np.sum((P + N) * units) + l2 / 2 * np.sum((U * units) ** 2)
        G = R.T @ A + l2 * units**2 * U
        slope_b = R.sum(axis=0) * fit_intercept
        gradient = np.concatenate([(G + l1 * units).ravel(), (l1 * units - G).ravel(), slope_b])
        return value / s.sum(), gradient / s.sum()

    bounds = [(0, None)] * (2 * K * d) + [(None, None)] * K
    v = np.zeros(2 * K * d + K)
    # The kinks of the hinge's gradient may stop it early: it goes on with a fresh memory.
    for _ in range(1 if formulas is SOFTMAX else 3):
        v = minimize(
            value_gradient, v, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": 3000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 20},
        ).x  # fmt: skip
    P, N, b = split(v)
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


INTERCEPTS = ["free", "penalised", "none"]


def make_hinge(penalty="l1", storage="dense", intercept="free", *, l1=None, seed=0):
    """The same rows with the squared hinge."""
    problem = make(2, penalty, storage, fit_intercept=intercept != "none", l1=l1, seed=seed)
    loss = SquaredHinge(problem.loss.y, problem.loss.s)
    if intercept == "penalised":
        penalty = replace(problem.penalty, intercept_unit=0.4)
        # A shift is part of the model here, and may be anything.
        problem = replace(problem, penalty=penalty, shift=np.linspace(-0.2, 0.3, problem.data.d))
    return replace(problem, loss=loss, moments=problem.data.moments(loss))


def solve(problem):
    """An optimal (W, b) for the shifted features."""
    X, loss, penalty = problem.data.X, problem.loss, problem.penalty
    X = X.toarray() if sp.issparse(X) else X
    return optimum(
        X - problem.shift, loss.y, loss.s, loss.n_classes, penalty.l1, penalty.l2, penalty.units,
        problem.fit_intercept, HINGE if isinstance(loss, SquaredHinge) else SOFTMAX, penalty.intercept_unit,
    )  # fmt: skip


def objective(problem, W, b):
    X, loss, penalty = problem.data.X, problem.loss, problem.penalty
    X = (X.toarray() if sp.issparse(X) else X) - problem.shift
    formula = (HINGE if isinstance(loss, SquaredHinge) else SOFTMAX)[0]
    strengths = penalty.l1, penalty.l2, penalty.units, penalty.intercept_unit
    return reference.objective(X, loss.y, loss.s, W, b, *strengths, loss=formula)


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
    assert_bounds_hold(make(n_classes, penalty, storage, fit_intercept=fit_intercept))


def every_hinge_problem(test):
    for name, values in {"penalty": PENALTIES, "storage": ["dense", "csr"], "intercept": INTERCEPTS}.items():
        test = pytest.mark.parametrize(name, values)(test)
    return test


@every_hinge_problem
@pytest.mark.parametrize("seed", range(2))
def test_bounds_of_the_squared_hinge(penalty, storage, intercept, seed):
    assert_bounds_hold(make_hinge(penalty, storage, intercept, seed=seed))


def assert_bounds_hold(problem):
    W, b = solve(problem)
    fit_intercept = problem.fit_intercept
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


@pytest.mark.parametrize("make", [make, make_hinge])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_gap_shrinks_on_the_way_to_the_optimum(penalty, make):
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


def dual_of_the_squared_hinge(problem, alpha):
    """D, from the definition; -inf for an alpha that is not feasible."""
    X, loss, penalty = problem.data.X, problem.loss, problem.penalty
    X = (X.toarray() if sp.issparse(X) else X) - problem.shift
    t, s = np.where(loss.y == 1, 1.0, -1.0), loss.s
    if np.any(alpha < 0) or np.any(alpha[s == 0] > 0):
        return -np.inf
    if problem.intercept_is_free and abs(alpha @ t) > 1e-9 * alpha.sum():
        return -np.inf
    conjugate = penalty.conjugate((alpha * t) @ X, [alpha @ t])
    return alpha.sum() - np.sum(alpha[s > 0] ** 2 / (4 * s[s > 0])) - conjugate


@every_hinge_problem
def test_bound_of_the_squared_hinge_is_the_dual_of_a_feasible_point(penalty, storage, intercept):
    """Balanced by rows and scaled by a search here, in closed form there."""
    problem = make_hinge(penalty, storage, intercept)
    W, b = solve(problem)
    rng = np.random.default_rng(1)
    W, b = W + 0.1 * rng.standard_normal(W.shape), b + 0.1 * problem.fit_intercept
    X, loss = problem.data.X, problem.loss
    X = (X.toarray() if sp.issparse(X) else X) - problem.shift
    t, lack = reference.hinge_lack(X @ W.T + b, loss.y)
    alpha = 2 * loss.s * lack
    excess = alpha @ t
    if intercept == "free":
        lacking = loss.y == (excess < 0)
        alpha = alpha + lacking * loss.s * abs(excess) / loss.s[lacking].sum()
    scales = np.geomspace(1e-4, 2, 1001)
    values = [dual_of_the_squared_hinge(problem, c * alpha) for c in scales]
    certificate = certify(problem, W, b)
    found = certificate.objective - certificate.gap
    assert max(values) <= found * (1 + 1e-12)
    # Neighbours differ by one percent, and so does their D at most.
    assert found == pytest.approx(max(values), rel=1e-2)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_null_model_of_the_squared_hinge_is_certified_from_lambda_max_on(storage, intercept):
    make = make_hinge
    problem = make("l1", storage, intercept)
    # A penalised intercept of the null model shrinks as l1 grows: look for the l1 that keeps all weights out.
    lambda_max = 0.0
    for _ in range(200):
        problem = make("l1", storage, intercept, l1=lambda_max)
        lambda_max = np.max(np.abs(problem.null_gradient) / problem.penalty.units)
    problem = make("l1", storage, intercept, l1=1.001 * lambda_max)
    assert problem.null_is_optimal
    certificate = certify(problem, *problem.start(np.float64))
    assert certificate.gap <= 1e-9 * problem.null_objective
    less = make("l1", storage, intercept, l1=0.9 * lambda_max)
    assert certify(less, *less.start(np.float64)).gap > 1e-4 * problem.null_objective


@pytest.mark.parametrize("intercept", INTERCEPTS)
@pytest.mark.parametrize("absent", [0, 1])
def test_squared_hinge_with_one_class(intercept, absent):
    problem = make_hinge(intercept=intercept)
    loss = SquaredHinge(problem.loss.y, problem.loss.s * (problem.loss.y != absent))
    problem = replace(problem, loss=loss, moments=problem.data.moments(loss))
    W, b = solve(problem)
    best = objective(problem, W, b)
    for point in ((W, b), problem.start(np.float64), (W + 1, b - 1)):
        certificate = certify(problem, *point)
        assert 0 <= certificate.gap <= certificate.objective
        assert certificate.objective - certificate.gap <= best + 1e-9 * loss.s.sum()
    if intercept == "free":
        assert certify(problem, *problem.start(np.float64)).gap == 0


def test_gradient_without_an_intercept_does_not_count_the_intercepts():
    """Without an intercept the sum of the residuals is no part of the gradient."""
    problem = make(3, "l2", fit_intercept=False)
    assert certify(problem, *solve(problem)).residual < 1e-4
