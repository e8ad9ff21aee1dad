"""Nonlinear conjugate gradients, and the line searches and the objective that smooth methods share."""

import importlib

import numpy as np
import pytest

from fastlr.solvers import minimise
from fastlr.solvers.cg import BETAS, cg
from fastlr.solvers.smooth import Objective, armijo_step, wolfe_step

from .test_certificate import make, objective, solve


class Quadratic:
    """F(v) = <v, A v>/2 - <c, v>, which counts its evaluations."""

    noise = 1e-14

    def __init__(self, d=8, seed=0):
        rng = np.random.default_rng(seed)
        root = rng.standard_normal((d, d))
        self.A, self.c, self.calls = root @ root.T + np.eye(d), rng.standard_normal(d), 0

    def __call__(self, v):
        self.calls += 1
        return v @ self.A @ v / 2 - self.c @ v, self.A @ v - self.c


@pytest.mark.parametrize("beta", BETAS)
def test_betas_are_those_of_linear_cg_on_a_quadratic(beta):
    """With exact steps all formulas agree, directions are conjugate, and d steps reach the minimum."""
    F = Quadratic()
    v, p, g_old = np.zeros(8), None, None
    directions = []
    _, g = F(v)
    for _ in range(8):
        p = -g if p is None else -g + BETAS[beta](g, g, g_old, g_old, p) * p
        directions.append(p)
        v = v - (g @ p) / (p @ F.A @ p) * p
        g_old, (_, g) = g, F(v)
    np.testing.assert_allclose(g, 0, atol=1e-9)
    products = np.array(directions) @ F.A @ np.array(directions).T
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-8 * products.max())


def test_betas_never_point_back():
    """Where the gradient turns round, the PR+ and HS+ formulas restart and Fletcher-Reeves does not."""
    g_old, g, p = np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([-1.0, 0.0])
    assert BETAS["fletcher-reeves"](g, g, g_old, g_old, p) == 0.25
    assert BETAS["polak-ribiere"](g, g, g_old, g_old, p) == 0
    assert BETAS["hestenes-stiefel"](g, g, g_old, g_old, p) == 0


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_every_beta_reaches_the_optimum(beta, n_classes, storage):
    problem = make(n_classes, "l2", storage)
    W, b = problem.start(np.float64)
    steps = cg(problem, W, b, None, np.dtype(np.float64), beta=beta)
    result = minimise(problem, steps, W, b, tol=1e-8, max_iter=500)
    assert result.converged
    best = objective(problem, *solve(problem))
    assert result.objective <= best + 1e-8 * problem.null_objective


def test_it_stays_at_the_optimum():
    """No step descends there: points repeat, and none is worse."""
    problem = make(penalty="l2")
    steps = cg(problem, *problem.start(np.float64), None, np.dtype(np.float64))
    next(steps)
    points = [objective(problem, *(part.copy() for part in next(steps))) for _ in range(200)]
    assert max(points[100:]) <= min(points) + 1e-13 * problem.null_objective


def test_float32_goes_on_in_float64(monkeypatch):
    problem = make(penalty="l2")
    types = []
    call = Objective.__call__

    def spy(self, v):
        types.append(self.dtype)
        return call(self, v)

    monkeypatch.setattr(Objective, "__call__", spy)
    W, b = problem.start(np.float32)
    steps = cg(problem, W, b, None, np.dtype(np.float32))
    assert minimise(problem, steps, W, b, tol=1e-11, max_iter=500).converged
    assert types[0] == np.float32 and types[-1] == np.float64


# ---- the objective --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_objective_by_finite_differences(n_classes, storage, fit_intercept):
    problem = make(n_classes, "l2", storage, fit_intercept=fit_intercept)
    F = Objective(problem, np.float64)
    rng, K, d = np.random.default_rng(0), problem.loss.n_columns, problem.data.d
    v, p = rng.standard_normal((2, K * d + K))
    if not fit_intercept:
        v[-K:] = p[-K:] = 0
    value, gradient = F(v)
    assert value == pytest.approx(objective(problem, *F.split(v)), rel=1e-12)
    h = 1e-5
    assert gradient @ p == pytest.approx((F(v + h * p)[0] - F(v - h * p)[0]) / (2 * h), rel=1e-7)
    if not fit_intercept:
        assert not gradient[-K:].any()
    np.testing.assert_array_equal(F.join(*F.split(v)), v)


# ---- line searches --------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("curvature", [0.1, 0.5])
def test_wolfe_conditions(t, curvature):
    F = Quadratic()
    v = np.ones(8)
    value, g = F(v)
    length, point, new_value, new_g = wolfe_step(F, v, value, g, -g, t, curvature)
    np.testing.assert_array_equal(point, v - length * g)
    assert (new_value, *new_g) == (F(point)[0], *F(point)[1])
    assert new_value <= value - 1e-4 * length * g @ g
    assert abs(new_g @ g) <= curvature * g @ g


def test_secants_find_the_minimum_of_a_quadratic_at_once():
    F = Quadratic()
    v = np.ones(8)
    value, g = F(v)
    best = (g @ g) / (g @ F.A @ g)
    F.calls = 0
    length, *_ = wolfe_step(F, v, value, g, -g, 0.5 * best, 1e-6)
    assert length == pytest.approx(best) and F.calls == 2
    F.calls = 0
    length, *_ = wolfe_step(F, v, value, g, -g, 5 * best, 1e-6)
    assert length == pytest.approx(best) and F.calls == 2


def overflowing(v):
    """1 - cos near the start, not a number beyond."""
    return (1 - np.cos(v[0]), np.sin(v)) if abs(v[0]) < 1 else (np.nan, np.full(1, np.nan))


overflowing.noise = 0.0


@pytest.mark.parametrize("search", ["wolfe", "armijo"])
def test_searches_come_back_from_where_F_is_not_finite(search):
    v = np.array([0.9])
    value, g = overflowing(v)
    p = -1e4 * g
    if search == "wolfe":
        _, point, new_value, _ = wolfe_step(overflowing, v, value, g, p, 1.0, 0.5)
    else:
        point, new_value, _ = armijo_step(overflowing, v, value, g @ p, p)
    assert abs(point[0]) < 1 and new_value < value


def test_searches_give_up():
    F = Quadratic()
    v = np.ones(8)
    value, g = F(v)
    assert armijo_step(F, v, value, -g @ g, g) is None  # uphill
    bottomless = Quadratic()
    bottomless.A[:] = 0  # its slope never shrinks
    value, g = bottomless(v)
    assert wolfe_step(bottomless, v, value, g, -g, 1.0, 0.5) is None


def test_armijo_tries_one_first():
    F = Quadratic()
    v = np.ones(8)
    value, g = F(v)
    newton = np.linalg.solve(F.A, -g)
    F.calls = 0
    point, *_ = armijo_step(F, v, value, g @ newton, newton)
    np.testing.assert_array_equal(point, v + newton)
    assert F.calls == 1


def test_beta_is_checked():
    problem = make(penalty="l2")
    steps = cg(problem, *problem.start(np.float64), None, np.dtype(np.float64), beta="newton")
    with pytest.raises(ValueError, match=r"beta must be one of 'fletcher-reeves', .*; found 'newton'"):
        next(steps)


def test_modules_are_named_as_their_methods():
    assert importlib.import_module("fastlr.solvers.cg").cg is cg
