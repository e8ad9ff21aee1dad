"""newton-cd where models of one class at a time stall: correlated, separable, unscaled and rare."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from fastlr.certificate import certify
from fastlr.data import Data
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import SOLVERS, minimise

from .test_certificate import INTERCEPTS, PENALTIES, make, make_hinge, objective, solve

every_penalty = pytest.mark.parametrize("penalty", PENALTIES)


def build(X, y, penalty, C=1.0, *, hinge=False, weight=None, intercept="free", n_threads=1):
    """A problem in raw features; the squared hinge sets class 0 against the others."""
    s = C * (np.ones(len(y)) if weight is None else weight)
    y = y.astype(np.int32)
    loss = SquaredHinge((y > 0).astype(np.int32), s) if hinge else Softmax(y, s, int(y.max()) + 1)
    data = Data(X, n_threads)
    moments = data.moments(loss)
    centred = intercept == "free" and not sp.issparse(X)
    penalty = ElasticNet(*PENALTIES[penalty], np.ones(data.d), 0.5 if intercept == "penalised" else 0.0)
    shift = moments.mean if centred else np.zeros(data.d)
    return LinearProblem(data, loss, penalty, moments, shift, intercept != "none")


def fit(problem, tol=1e-8, max_iter=200, start=None, dtype=np.float64, seed=0):
    W, b = problem.start(np.dtype(dtype)) if start is None else start
    steps = SOLVERS["newton-cd"].steps(problem, W, b, np.random.default_rng(seed), np.dtype(dtype))
    return minimise(problem, steps, W, b, tol=tol, max_iter=max_iter, pace=np.inf)


def assert_optimal(problem, result, tol=1e-8):
    """By the certificate, and by a look at the objective and its gradient that is not the solver's."""
    assert result.converged and result.dual_gap <= tol * problem.null_objective
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-10)
    _, G, residual = problem.loss_gradient(result.W, result.b)
    G = G + problem.penalty.smooth_gradient(result.W)
    # A gap of tol F bounds the violation of coordinate j by sqrt(2 tol F L_j), L_j its curvature.
    moments, scale = problem.moments, problem.null_objective
    square = moments.variance + (moments.mean - problem.shift) ** 2
    curvature = problem.loss.curvature * problem.loss.s.sum() * square + problem.penalty.curvatures
    excess = np.abs(G) - problem.penalty.thresholds
    assert np.all(excess <= 2 * np.sqrt(2 * tol * scale * curvature))
    if problem.intercept_is_free:
        mass = problem.loss.curvature * problem.loss.s.sum()
        assert np.all(np.abs(residual) <= 2 * np.sqrt(2 * tol * scale * mass))


# ---- where others stall ---------------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize("C", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("hinge", [False, True])
def test_nearly_separable(penalty, C, hinge):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 20))
    y = (X[:, :3] @ [[1, -1, 0], [0, 1, -1], [-1, 0, 1]]).argmax(axis=1)
    problem = build(X, y, penalty, C, hinge=hinge)
    assert_optimal(problem, fit(problem))


@every_penalty
@pytest.mark.parametrize("C", [1.0, 100.0, 1e4])
def test_columns_nearly_the_same(penalty, C):
    rng = np.random.default_rng(0)
    base = rng.standard_normal((150, 5))
    X = np.repeat(base, 6, axis=1) + 1e-3 * rng.standard_normal((150, 30))
    y = np.argmax(base[:, :3] + rng.gumbel(size=(150, 3)), axis=1)
    problem = build(X, y, penalty, C)
    assert_optimal(problem, fit(problem))


@every_penalty
@pytest.mark.parametrize("C", [1.0, 100.0])
def test_a_class_of_two_rows(penalty, C):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((150, 10)), rng.integers(0, 2, 150)
    y[:2] = 2
    problem = build(X, y, penalty, C)
    assert_optimal(problem, fit(problem))


@every_penalty
@pytest.mark.parametrize("dataset", [load_breast_cancer, load_wine, load_iris])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("hinge", [False, True])
def test_unscaled_columns(penalty, dataset, C, hinge):
    problem = build(*dataset(return_X_y=True), penalty, C, hinge=hinge)
    # Under the strongest losses the rounding of scores, in whatever order they are summed, moves gradients by
    # some 1e-5 of the thresholds: gaps end near 1e-8 of the null objective, above it or below.
    tol = 1e-7 if hinge and C == 1e4 else 1e-8
    assert_optimal(problem, fit(problem, tol), tol)


@pytest.mark.parametrize("penalty, C", [("l1", 1.0), ("l1", 10.0), ("elasticnet", 1.0), ("l2", 0.1)])
def test_more_features_than_rows(penalty, C):
    """Also more pairs, for L2, than a Hessian has room for."""
    rng = np.random.default_rng(2)
    problem = build(rng.standard_normal((100, 1000)), rng.integers(0, 10, 100), penalty, C)
    result = fit(problem)
    assert_optimal(problem, result)
    assert result.W.all() == (penalty == "l2")


# ---- every kind of problem ------------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_squared_hinge(penalty, storage, intercept):
    problem = make_hinge(penalty, storage if intercept != "penalised" else "dense", intercept)
    result = fit(problem, tol=1e-10)
    assert_optimal(problem, result, tol=1e-10)
    best = objective(problem, *solve(problem))
    assert result.objective <= best + 1e-10 * problem.null_objective
    if intercept == "none":
        assert not result.b.any()


@every_penalty
@pytest.mark.parametrize("hinge", [False, True])
@pytest.mark.parametrize("intercept", ["free", "none"])
def test_rows_of_weight_zero_are_absent(penalty, hinge, intercept):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((120, 8)), rng.integers(0, 3, 120)
    weight = rng.uniform(0, 2, 120) * (rng.random(120) < 0.6)
    X[weight == 0] *= 1e3
    whole, part = (
        build(X[rows], y[rows], penalty, weight=weight[rows], hinge=hinge, intercept=intercept)
        for rows in (slice(None), weight > 0)
    )
    found, expected = fit(whole, tol=1e-11), fit(part, tol=1e-11)
    assert_optimal(whole, found)
    np.testing.assert_allclose(found.W, expected.W, atol=1e-4)
    assert found.objective == pytest.approx(expected.objective, rel=1e-10)


@every_penalty
@pytest.mark.parametrize("K", [2, 3, "hinge"])
@pytest.mark.parametrize("intercept", ["free", "none"])
def test_csr_is_dense(penalty, K, intercept):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((150, 30)) * (rng.random((150, 30)) < 0.3)
    y = np.argmax(X[:, :3] + rng.gumbel(size=(150, 3)), axis=1) % (2 if K == 2 else 3)
    sparse, dense = (
        build(storage(X), y, penalty, hinge=K == "hinge", intercept=intercept)
        for storage in (sp.csr_matrix, np.asarray)
    )
    found, expected = fit(sparse, tol=1e-9), fit(dense, tol=1e-9)
    assert_optimal(sparse, found, tol=1e-9)
    assert found.objective == pytest.approx(expected.objective, abs=2e-9 * dense.null_objective)
    (W, b), (V, v) = sparse.unpack(found.W, found.b), dense.unpack(expected.W, expected.b)
    np.testing.assert_allclose(W, V, atol=1e-3)
    # Without an L2 part no more than the differences between classes is determined.
    np.testing.assert_allclose(b - b.mean() * (K == 3), v - v.mean() * (K == 3), atol=1e-3)


@every_penalty
@pytest.mark.parametrize("stored", [np.uint8, np.float32, np.float64])
def test_stored_types(penalty, stored):
    rng = np.random.default_rng(5)
    X, y = rng.integers(0, 256, (200, 12)).astype(stored), rng.integers(0, 3, 200)
    problem = build(X, y, penalty, 1e-3)
    exact = fit(problem)
    assert_optimal(problem, exact)
    rounded = fit(problem, tol=1e-4, dtype=np.float32)
    assert rounded.converged
    assert rounded.objective == pytest.approx(exact.objective, abs=1.1e-4 * problem.null_objective)


# ---- the way there --------------------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize("make", [make, make_hinge])
def test_a_warm_start_at_the_optimum_ends_at_once(penalty, make):
    problem = make(penalty=penalty)
    cold = fit(problem, tol=1e-10)
    warm = fit(problem, tol=1e-9, start=(cold.W, cold.b))
    assert warm.converged and warm.n_iter <= 1  # the bound may have come from another point
    near = fit(problem, tol=1e-8, start=(1.0001 * cold.W, cold.b + 1e-4))
    assert near.converged and near.n_iter <= 2 < cold.n_iter


@every_penalty
def test_another_C_starts_from_the_last_solution(penalty):
    problem = make(penalty=penalty)
    first = fit(problem, tol=1e-8)
    other = problem.scaled(1.1)
    warm, cold = fit(other, start=(first.W, first.b)), fit(other)
    assert warm.converged and cold.converged and warm.n_iter < cold.n_iter
    assert warm.objective == pytest.approx(cold.objective, rel=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
def test_results_do_not_depend_on_the_number_of_threads(dtype, storage):
    rng = np.random.default_rng(6)
    # So many that passes do have threads.
    X = rng.standard_normal((9000, 40)).astype(dtype)
    y = np.argmax(X[:, :3] + rng.gumbel(size=(9000, 3)), axis=1)
    results = [
        fit(build(storage(X), y, "l1", 0.01, n_threads=n_threads), tol=1e-4, dtype=dtype)
        for n_threads in (1, 3)
    ]
    assert results[0].converged and results[0].n_iter == results[1].n_iter
    assert results[0].W.tobytes() == results[1].W.tobytes()
    assert results[0].b.tobytes() == results[1].b.tobytes()


def test_iterates_are_certified_on_the_way():
    """Each model is lower than the last, and the bounds never pass the optimum."""
    problem = build(*load_wine(return_X_y=True), "l1")
    best = fit(problem, tol=1e-11).objective
    history = fit(problem).history
    assert np.all(np.diff(history["objective"]) < 0)
    bounds = np.subtract(history["objective"], history["dual_gap"])
    assert np.all(bounds <= best * (1 + 1e-10))


def test_it_ends_where_nothing_can_be_lowered():
    """A gap of zero is asked for: it says so, and does not go on for ever."""
    problem = make()
    result = fit(problem, tol=0.0, max_iter=500)
    # Rounding may make the gap zero, with some instruction sets.
    assert result.status == ("stalled" if result.dual_gap > 0 else "converged") and result.n_iter < 100
    assert result.dual_gap <= 1e-12 * problem.null_objective


def test_columns_of_no_use():
    """Constant or zero columns have no curvature; their weights stay zero."""
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((100, 5)), rng.integers(0, 3, 100)
    X[:, 1], X[:, 3] = 0.0, 7.0
    for penalty in PENALTIES:
        problem = build(X, y, penalty)
        result = fit(problem)
        assert_optimal(problem, result)
        np.testing.assert_allclose(result.W[:, [1, 3]], 0, atol=1e-12)


# ---- the start from a sample ----------------------------------------------------------------------


@pytest.fixture
def samples(monkeypatch):
    """The problems that are solved for a start, or None."""
    room, made = sys.modules["fastlr.solvers.newton_cd"], []
    make_sample = room._sample

    def watched(*arguments):
        made.append(make_sample(*arguments))
        return made[-1]

    monkeypatch.setattr(room, "_sample", watched)
    return made


def rows(n, K, seed=8):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 10))
    return X, np.argmax(X[:, :K] + rng.gumbel(size=(n, K)), axis=1)


@pytest.mark.parametrize("hinge", [False, True])
@every_penalty
def test_many_rows_start_from_a_sample(samples, penalty, hinge):
    problem = build(*rows(5000, 3), penalty, 0.01, hinge=hinge)
    result = fit(problem)
    assert_optimal(problem, result)
    outer, *inner = samples
    assert outer.data.n == 625 and inner in ([], [None])
    assert outer.loss.s.sum() == pytest.approx(problem.loss.s.sum())
    # The sample's solution goes most of the way.
    inexact = fit(outer, tol=0.01)
    part = certify(problem, inexact.W, inexact.b)
    assert part.objective - result.objective < 0.3 * (problem.null_objective - result.objective)
    from_zero = fit(problem, start=tuple(a + 1e-300 for a in problem.start(np.float64)))
    assert result.n_iter <= from_zero.n_iter


def outside(n, seed=0):
    """Rows that the sample does not take."""
    return np.random.default_rng(seed).permutation(n)[n // 8 :]


def test_a_sample_that_lacks_a_class_is_not_used(samples):
    X, y = rows(5000, 3)
    y[y == 2] = 0
    y[outside(5000)[:2]] = 2
    problem = build(X, y, "l1", 0.01)
    result = fit(problem)
    assert samples == [None]
    assert_optimal(problem, result)


def test_rows_without_weight_do_not_stand_for_a_class(samples):
    X, y = rows(5000, 3)
    weight = np.where(y == 2, 0.0, 1.0)
    few = outside(5000)[:2]
    y[few], weight[few] = 2, 1.0
    problem = build(X, y, "l1", 0.01, weight=weight)
    result = fit(problem)
    assert samples == [None]
    assert_optimal(problem, result)


def test_few_rows_and_sparse_rows_take_no_sample(samples):
    X, y = rows(4000, 3)
    for problem in (build(X, y, "l1", 0.01), build(sp.csr_matrix(rows(5000, 3)[0]), rows(5000, 3)[1], "l1")):
        assert fit(problem, tol=1e-4).converged
    assert samples == [None, None]


def test_the_sample_is_drawn_by_the_generator_that_is_given():
    problem = build(*rows(5000, 3), "l1", 0.01)
    one, same, other = (fit(problem, seed=seed) for seed in (0, 0, 1))
    assert one.W.tobytes() == same.W.tobytes() != other.W.tobytes()
    assert one.objective == pytest.approx(other.objective, rel=1e-7)


def test_a_problem_of_one_class():
    problem = make(3)
    loss = replace(problem.loss, s=problem.loss.s * (problem.loss.y == 1))
    problem = replace(problem, loss=loss, moments=problem.data.moments(loss))
    result = fit(problem, max_iter=50)
    assert np.isfinite(result.objective) and not result.W.any()
