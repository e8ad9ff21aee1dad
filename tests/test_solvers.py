"""The loop that owns stopping, and every method on every problem it takes."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastlr import LogisticRegression
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import SOLVERS, choose, minimise

from .test_certificate import PENALTIES, every_problem, make, objective, solve


def run(problem, solver, *, tol, max_iter=1000, dtype=np.float64, **options):
    dtype = np.dtype(dtype)
    W, b = problem.start(dtype)
    steps = SOLVERS[solver].steps(problem, W, b, np.random.default_rng(0), dtype)
    return minimise(problem, steps, W, b, tol=tol, max_iter=max_iter, **options)


def takes(solver, penalty):
    return not (SOLVERS[solver].smooth_only and PENALTIES[penalty][0] > 0)


# ---- methods --------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@every_problem
def test_every_method_reaches_the_optimum(solver, n_classes, penalty, storage, fit_intercept):
    if not takes(solver, penalty):
        pytest.skip(f"{solver} needs a smooth penalty")
    problem = make(n_classes, penalty, storage, fit_intercept=fit_intercept)
    result = run(problem, solver, tol=1e-5, max_iter=4000)
    assert result.converged
    best, scale = objective(problem, *solve(problem)), problem.null_objective
    assert result.dual_gap <= 1e-5 * scale
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)
    assert result.objective <= best + 1e-5 * scale
    assert result.objective - result.dual_gap <= best + 1e-11 * scale
    if not fit_intercept:
        assert not result.b.any()


@pytest.mark.parametrize("solver", SOLVERS)
def test_optimality_conditions(solver):
    """At an optimum -G is a subgradient: |G| <= l1 u, with equality and sign against W's where W != 0."""
    penalty = "l2" if SOLVERS[solver].smooth_only else "elasticnet"
    problem = make(penalty=penalty)
    result = run(problem, solver, tol=1e-12, max_iter=20000)
    W, thresholds = result.W, problem.penalty.thresholds
    _, G, residual = problem.loss_gradient(W, result.b)
    G = G + problem.penalty.smooth_gradient(W)
    atol = 1e-5 * problem.null_objective
    assert np.all(np.abs(G) <= thresholds + atol)
    used = W != 0
    np.testing.assert_allclose(G[used], -(thresholds * np.sign(W))[used], atol=atol)
    np.testing.assert_allclose(residual, 0, atol=atol)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_float32_arithmetic(solver, storage):
    """Work in float32 has the same optimum and certificates in float64."""
    problem = make(penalty="l2", storage=storage)
    exact = run(problem, solver, tol=1e-8, max_iter=5000)
    result = run(problem, solver, tol=1e-4, dtype=np.float32, stored=np.float32)
    assert result.converged and result.W.dtype == np.float32
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)
    assert exact.objective - exact.dual_gap <= result.objective <= exact.objective * (1 + 2e-4)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [0.1, 1e3 / 3])
def test_constant_features_change_nothing(solver, value):
    """Beside an intercept they are of no use; rounding of their mean must not make them dear."""
    plain = make(penalty="l2")
    X = np.c_[plain.data.X, np.full(plain.data.n, value)]
    data = type(plain.data)(X)
    moments = data.moments(plain.loss)
    penalty = ElasticNet(0.0, 1.0, np.append(plain.penalty.units, 1.0))
    problem = LinearProblem(data, plain.loss, penalty, moments, moments.mean)
    result, expected = (run(p, solver, tol=1e-6) for p in (problem, plain))
    assert result.converged
    assert result.objective == pytest.approx(expected.objective, rel=1e-5)


def test_choose():
    smooth, sparse = (ElasticNet(l1, 0.5, np.ones(3)) for l1 in (0.0, 0.5))
    assert choose("lbfgs", smooth).name == "lbfgs"
    assert choose("saga", smooth).name == choose("saga", sparse).name == "saga"
    assert not choose("auto", sparse).smooth_only
    assert choose("auto", smooth) in SOLVERS.values()
    with pytest.raises(ValueError, match=r"solver='lbfgs' needs a smooth penalty.*'saga'"):
        choose("lbfgs", sparse)


# ---- the loop -------------------------------------------------------------------------------------


def scripted(points):
    """A method that yields given points; `sent` collects what minimise tells it."""
    sent = []

    def steps():
        sent.append((yield None))
        for point in points:
            sent.append((yield point))
        raise AssertionError("asked for more iterates than max_iter")

    return steps(), sent


@pytest.fixture
def way():
    """A problem, and points from the null model to its optimum."""
    problem = make()
    (W, b), (W0, b0) = solve(problem), problem.start(np.float64)
    return problem, [(W0 + t * (W - W0), b0 + t * (b - b0)) for t in np.linspace(0.1, 1, 10)]


def test_the_best_point_and_the_best_bound_are_kept(way):
    problem, points = way
    there_and_back = points + points[::-1]
    steps, _ = scripted(there_and_back)
    result = minimise(problem, steps, *problem.start(np.float64), tol=0, max_iter=20)
    history = result.history
    assert len(history["objective"]) == len(history["dual_gap"]) == len(history["time"])
    assert result.objective == min(history["objective"])
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)
    bounds = np.subtract(history["objective"], history["dual_gap"])
    assert np.all(np.diff(bounds) >= -1e-12 * problem.null_objective)
    assert result.dual_gap == pytest.approx(result.objective - bounds[-1], rel=1e-9, abs=1e-12)
    assert result.n_iter == 20 and not result.converged


def test_it_stops_when_the_gap_is_closed(way):
    problem, points = way
    steps, sent = scripted(points + points[-1:] * 90)
    result = minimise(problem, steps, *problem.start(np.float64), tol=1e-3, max_iter=100)
    assert result.converged and result.dual_gap <= 1e-3 * problem.null_objective
    assert 10 <= result.n_iter < 100
    told = [certificate for certificate in sent if certificate is not None]
    assert all(certificate.gap > 1e-3 * problem.null_objective for certificate in told)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite_are_never_returned(way, bad):
    problem, points = way
    W, start = np.full_like(points[0][0], bad), problem.start(np.float64)
    for before in ([], points[:4]):
        steps, _ = scripted(before + [(W, start[1])] * 20)
        result = minimise(problem, steps, *start, tol=0, max_iter=20)
        assert np.all(np.isfinite(result.W)) and np.isfinite(result.objective)
        assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)


def test_no_iterations_certify_the_start(way):
    problem, points = way
    steps, sent = scripted([])
    result = minimise(problem, steps, *points[5], tol=0, max_iter=0)
    assert (result.n_iter, result.converged, sent) == (0, False, [])
    assert result.objective == pytest.approx(objective(problem, *points[5]), rel=1e-12)


def test_a_start_that_is_good_enough_is_kept(way):
    problem, points = way
    steps, sent = scripted([])
    result = minimise(problem, steps, *points[-1], tol=1e-3, max_iter=5)
    assert (result.n_iter, result.converged, sent) == (0, True, [])
    np.testing.assert_array_equal(result.W, points[-1][0])


def test_the_null_model_is_kept_from_lambda_max_on():
    problem = make()
    problem = make(l1=np.max(np.abs(problem.null_gradient) / problem.penalty.units))
    steps, _ = scripted([])
    result = minimise(problem, steps, *problem.start(np.float64), tol=1e-6, max_iter=5)
    assert result.converged and result.n_iter == 0 and not result.W.any()


def test_reports_and_rounding(way):
    problem, points = way
    steps, _ = scripted(points)
    reports = []
    result = minimise(
        problem, steps, *problem.start(np.float64), tol=0, max_iter=10, stored=np.float32,
        report=lambda *values: reports.append(values),
    )  # fmt: skip
    assert len(reports) == len(result.history["objective"])
    n_iters, objectives, gaps = zip(*reports, strict=True)
    assert n_iters[-1] == 10 and list(n_iters) == sorted(set(n_iters))
    for values in (objectives, gaps):  # of the best so far
        assert list(values) == sorted(values, reverse=True)
    assert result.W.dtype == np.float32
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
def test_an_epoch_of_saga_may_be_cut_into_calls(storage, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = storage(rng.normal(size=(300, 5))), rng.integers(0, 3, 300)
    fit = LogisticRegression("l1", C=0.1, solver="saga", tol=1e-6, max_iter=5000, random_state=0)
    whole = clone(fit).fit(X, y)
    monkeypatch.setattr("fastlr.data.CALL_WORK", 1)
    monkeypatch.setattr(sys.modules["fastlr.solvers.saga"], "CALL_WORK", 1)
    cut = clone(fit).fit(X, y)
    np.testing.assert_allclose(cut.coef_, whole.coef_, rtol=0, atol=1e-10)
