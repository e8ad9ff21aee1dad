"""The quadratic model in both forms, against the loss it stands for and against each other.

n samples, d features, K score columns, a active pairs.
"""

import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr._kernels import descent
from fastlr.data import Data
from fastlr.solvers.quadratic import Active, Columns, Gram, Scores, _lowest, _polish

from .test_certificate import INTERCEPTS, make, make_hinge, objective
from .test_solvers import run

PROBLEMS = {
    "2 classes": lambda storage="dense": make(2, "elasticnet", storage),
    "3 classes": lambda storage="dense": make(3, "elasticnet", storage),
    "3 classes without intercept": lambda storage="dense": make(
        3, "elasticnet", storage, fit_intercept=False
    ),
    "hinge": lambda storage="dense": make_hinge("elasticnet", storage, "free"),
    "hinge with a penalised intercept": lambda storage="dense": make_hinge(
        "elasticnet", storage, "penalised" if storage == "dense" else "none"
    ),
}
every_problem = pytest.mark.parametrize("name", PROBLEMS)


def point(problem, seed=0):
    rng = np.random.default_rng(seed)
    W, b = problem.start(np.float64)
    W = W + 0.5 * rng.standard_normal(W.shape) * (rng.random(W.shape) < 0.7)
    return W, b + rng.standard_normal(b.shape) * problem.fit_intercept


def active_at(problem, W, seed=1):
    return Active.of(problem, (W != 0) | (np.random.default_rng(seed).random(W.shape) < 0.3))


# ---- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", INTERCEPTS)
def test_values_of_active_pairs(intercept):
    problem = make_hinge("elasticnet", intercept=intercept)
    mask = np.array([[True, False, False, True, True, False]])
    active = Active.of(problem, mask)
    features, units = [0, 3, 4], problem.penalty.units[[0, 3, 4]]
    cut, curvature = 0.6 * units, 0.4 * units**2
    bound = 2 * problem.loss.s @ (problem.data.X[:, features] - problem.shift[features]) ** 2
    if intercept != "none":
        unit = 0.4 if intercept == "penalised" else 0.0
        features = [-1, *features]
        cut, curvature = np.append(0.6 * unit, cut), np.append(0.4 * unit**2, curvature)
        bound = np.append(2 * problem.loss.s.sum(), bound)
    assert active.pairs.feature.tolist() == features and not active.pairs.column.any()
    assert active.pairs.first.tolist() == [0, len(features)]
    for found, expected in ((active.cut, cut), (active.curvature, curvature), (active.bound, bound)):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    w = np.linspace(-1, 1, len(cut))
    assert active.penalty(w) == pytest.approx(np.sum(cut * abs(w)) + np.sum(curvature * w**2) / 2)


@every_problem
def test_pairs_take_and_put(name):
    problem = PROBLEMS[name]()
    W, b = point(problem)
    pairs = active_at(problem, W).pairs
    w = pairs.take(W, b)
    assert problem.penalty.value(W, b) == pytest.approx(active_at(problem, W).penalty(w))
    again = problem.data.weights(len(b), np.float64), np.zeros(len(b))
    pairs.put(w, *again)
    np.testing.assert_array_equal(again[0], W)
    np.testing.assert_array_equal(again[1], b)
    assert np.all(np.diff(pairs.column) >= 0) and len(w) == pairs.first[-1]


@every_problem
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_scores_are_the_loss(name, storage):
    problem = PROBLEMS[name](storage)
    W, b = point(problem)
    line = Scores(problem, W, b, np.float64)
    loss, R = line.at(line.Z)
    value, G, residual = problem.loss_gradient(W, b)
    assert loss == pytest.approx(value, rel=1e-12)
    R = R[:, : problem.data.n]
    np.testing.assert_allclose(R.sum(axis=1), residual, atol=1e-11)
    np.testing.assert_allclose(R @ problem.data.X - np.outer(residual, problem.shift), G, atol=1e-10)


@every_problem
def test_the_hessian_is_the_derivative_of_the_gradient(name):
    problem = PROBLEMS[name]()
    W, b = point(problem)
    active = active_at(problem, W)
    pairs, line = active.pairs, Scores(problem, W, b, np.float64)
    H = problem.data.hessian(*line.curvatures(1.0, np.float64), pairs, problem.shift)
    a, step, columns = len(active.cut), 1e-5, []

    def gradient(w):
        V, v = W.copy(), b.copy()
        pairs.put(w, V, v)
        return pairs.take(*problem.loss_gradient(V, v)[1:])

    w = pairs.take(W, b)
    for c in range(a):
        e = step * np.eye(a)[c]
        columns.append((gradient(w + e) - gradient(w - e)) / (2 * step))
    np.testing.assert_allclose(H[:, :a], columns, atol=1e-6 * np.abs(columns).max())
    assert not H[:, a:].any()
    assert np.all(np.diag(H) <= active.bound * (1 + 1e-12))


@every_problem
def test_tempered_curvatures_are_those_of_smaller_scores(name):
    problem = PROBLEMS[name]()
    W, b = point(problem)
    pairs = active_at(problem, W).pairs
    found, expected = (
        problem.data.hessian(*line.curvatures(temper, np.float64), pairs, problem.shift)
        for line, temper in (
            (Scores(problem, W, b, np.float64), 0.5),
            (Scores(problem, 0.5 * W, 0.5 * b, np.float64), 1.0),
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


# ---- both forms -----------------------------------------------------------------------------------


def model(problem, form, W, b, active, temper, damping):
    """(minimiser, change of the scores, gradient there) of one form of the model at (W, b)."""
    line, pairs = Scores(problem, W, b, np.float64), active.pairs
    w0 = pairs.take(W, b)
    q = pairs.take(*problem.loss_gradient(W, b)[1:]) + active.curvature * w0
    form = form(problem, active, np.float64)
    w = form.minimiser(line, w0, q, temper, damping, 1e-15)
    dW, db = problem.data.weights(len(b), np.float64), np.zeros(len(b))
    pairs.put(w - w0, dW, db)
    return w, form.scores(line, dW, db), form


@pytest.fixture
def thorough(monkeypatch):
    """Columns as exact as float32 allows."""
    monkeypatch.setattr(Columns, "sweeps", 20000)
    monkeypatch.setattr(Columns, "least_rest", 1e-15)


@every_problem
@pytest.mark.parametrize("temper, damping", [(1.0, 0.0), (0.4, 0.1)])
def test_both_forms_have_the_same_minimiser(name, temper, damping, thorough):
    problem = PROBLEMS[name]()
    W, b = point(problem)
    active = active_at(problem, W)
    by_hessian, Z, _ = model(problem, Gram, W, b, active, temper, damping)
    by_scores, same_Z, _ = model(problem, Columns, W, b, active, temper, damping)
    size = np.abs(by_hessian).max()
    assert np.abs(by_hessian - active.pairs.take(W, b)).max() > 0.1
    # Two softmax columns more than needed leave a direction to the penalty alone.
    np.testing.assert_allclose(by_scores, by_hessian, atol=1e-4 * size)
    np.testing.assert_allclose(same_Z, Z, atol=1e-4 * np.abs(Z).max())


@every_problem
def test_columns_of_csr_are_those_of_dense_rows(name, thorough):
    sparse = PROBLEMS[name]("csr")
    dense = replace(sparse, data=Data(sparse.data.X.toarray()))
    W, b = point(sparse)
    active = active_at(sparse, W)
    found, Z, form = model(sparse, Columns, W, b, active, 1.0, 1e-3)
    for other in (Columns, Gram):
        expected, same_Z, _ = model(dense, other, W, b, active, 1.0, 1e-3)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_allclose(Z, same_Z, atol=1e-4 * np.abs(Z).max())
    assert form.X.shape[1] == len(np.unique(active.pairs.feature[active.pairs.feature >= 0]))


@every_problem
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_columns_give_scores_and_gradients(name, storage):
    problem = PROBLEMS[name](storage)
    W, b = point(problem)
    active = active_at(problem, W)
    w, Z, form = model(problem, Columns, W, b, active, 1.0, 0.1)
    line, (V, v) = Scores(problem, W, b, np.float64), (W.copy(), b.copy())
    active.pairs.put(w, V, v)
    after = Scores(problem, V, v, np.float64)
    np.testing.assert_allclose((line.Z + line.padded(Z))[:, : line.n], after.Z[:, : line.n], atol=1e-12)
    expected = active.pairs.take(*problem.loss_gradient(V, v)[1:])
    np.testing.assert_allclose(form.gradient(line, after.at(after.Z)[1]), expected, atol=1e-10)


def test_columns_of_intercepts_alone():
    problem = PROBLEMS["3 classes"]("csr")
    W, b = point(problem)
    active = Active.of(problem, np.zeros(W.shape, dtype=bool))
    line = Scores(problem, W, b, np.float64)
    found = Columns(problem, active, np.float64).gradient(line, line.at(line.Z)[1])
    np.testing.assert_allclose(found, problem.loss_gradient(W, b)[2], atol=1e-10)


@every_problem
def test_the_minimiser_is_optimal(name):
    """q + (H + D)(w - w0) is a subgradient of the L1 part."""
    problem = PROBLEMS[name]()
    W, b = point(problem)
    active, damping = active_at(problem, W), 1e-3
    w, _, _ = model(problem, Gram, W, b, active, 1.0, damping)
    w0 = active.pairs.take(W, b)
    line = Scores(problem, W, b, np.float64)
    H = problem.data.hessian(*line.curvatures(1.0, np.float64), active.pairs, problem.shift)[:, : len(w)]
    slope = active.pairs.take(*problem.loss_gradient(W, b)[1:]) + active.curvature * w
    slope += (H + np.diag(damping * active.bound)) @ (w - w0)
    atol = 1e-6 * active.bound.max()
    assert np.all(np.abs(slope) <= active.cut + atol)
    np.testing.assert_allclose(slope[w != 0], -(active.cut * np.sign(w))[w != 0], atol=atol)


@every_problem
@pytest.mark.parametrize("pairs", [0, 1])
def test_more_pairs_than_a_hessian_has_room_for(name, pairs, monkeypatch):
    problem = PROBLEMS[name]()
    expected = run(problem, "newton-cd", tol=1e-9, pace=np.inf)
    room = sys.modules["fastlr.solvers.newton_cd"]
    monkeypatch.setattr(room, "_GRAM_PAIRS", pairs)
    monkeypatch.setattr(room, "Gram", None)  # it is not called
    found = run(problem, "newton-cd", tol=1e-9, pace=np.inf)
    assert found.converged
    assert found.objective == pytest.approx(expected.objective, abs=2e-9 * problem.null_objective)
    assert found.objective == pytest.approx(objective(problem, found.W, found.b), rel=1e-12)


# ---- polish ---------------------------------------------------------------------------------------


def crawling(seed, a=30, spread=1e-3, sweeps=3):
    """Columns nearly the same, and where a few sweeps come to: (H, q, w, cut) there, q at zero, the value."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((50, 3)) @ rng.standard_normal((3, a)) + spread * rng.standard_normal((50, a))
    H = np.zeros((a, a + 2))
    H[:, :a] = A.T @ A + 1e-9 * np.eye(a)
    q0 = 5 * rng.standard_normal(50) @ A
    cut = rng.uniform(0.5, 2, a) * (rng.random(a) < 0.9)
    w, q = np.zeros(a), q0.copy()
    assert not descent.gram(H, q, w, cut, 1e-12, sweeps)

    def value(w):
        return q0 @ w + w @ H[:, :a] @ w / 2 + cut @ np.abs(w)

    return H, q, w, cut, q0, value


@pytest.mark.parametrize("seed", range(20))
def test_polish_lowers_the_model(seed):
    H, q, w, cut, q0, value = crawling(seed)
    before, old = value(w), w.copy()
    assert _polish(H, q, w, cut)
    assert value(w) < before
    np.testing.assert_allclose(q, q0 + H[:, : len(w)] @ w, atol=1e-8 * np.abs(q0).max())
    assert not w[(old == 0) & (cut > 0)].any()
    for _ in range(20):  # until there is nothing more to do on the support
        if not _polish(H, q, w, cut):
            break
    free = (w != 0) | (cut == 0)
    np.testing.assert_allclose(q[free], -(cut * np.sign(w))[free], atol=1e-7 * np.abs(q0).max())


@pytest.mark.parametrize("seed", range(20))
def test_the_lowest_point_of_a_line(seed):
    rng = np.random.default_rng(seed)
    a = 8
    w, move, cut = rng.standard_normal(a), 3 * rng.standard_normal(a), rng.uniform(0, 1, a)
    w, cut = (
        np.round(w, 1),
        cut * (rng.random(a) < 0.8),
    )  # some kinks at the same place, none at a weight of zero
    w[(w == 0) & (cut > 0)] = 0.1
    fall = 10 ** rng.uniform(-1, 2)

    def value(t):
        # What the L1 part adds to slope fall (t - 1) of the model with the first signs.
        flipped = np.sign(w) * (w + t * move)
        return fall * (t**2 / 2 - t) + np.sum(2 * cut * np.maximum(-flipped, 0))

    t, zero = _lowest(w, move, cut, fall)
    assert 0 < t <= 1 and np.all((w + t * move)[~zero & (cut > 0)] != 0)
    np.testing.assert_allclose((w + t * move)[zero], 0, atol=1e-14)
    assert value(t) <= min(map(value, np.linspace(0, 1.5, 301))) + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_polish_keeps_a_minimum(seed):
    H, q, w, cut, _, value = crawling(seed, spread=1.0)
    for _ in range(20):
        if descent.gram(H, q, w, cut, 1e-20, 10000):
            break
    best, support = value(w), w != 0
    _polish(H, q, w, cut)
    assert value(w) <= best + 1e-12 * abs(best)
    np.testing.assert_array_equal(w != 0, support)


@pytest.mark.parametrize("seed", range(5))
def test_descent_and_polish_reach_the_minimum(seed):
    """As far as a thousand sweeps alone, and for most seeds further."""
    H, q, w, cut, _, value = crawling(seed)
    alone = w.copy()
    descent.gram(H, q.copy(), alone, cut, 0.0, 1000)
    for _ in range(10):
        _polish(H, q, w, cut)
        descent.gram(H, q, w, cut, 0.0, 100)
    assert value(w) <= value(alone) + 1e-12 * abs(value(alone))
    assert np.all(np.abs(q) <= cut + 1e-6)


def test_polish_leaves_alone_what_it_cannot_improve():
    flat = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])  # no minimum to go to
    for q, w, cut in (
        (np.array([1.0, -1.0]), np.array([1.0, 1.0]), np.zeros(2)),  # no minimum
        (np.array([1.0, -1.0]), np.zeros(2), np.ones(2)),  # no weight to move
        (-np.ones(2), np.ones(2), np.ones(2)),  # at the minimum
    ):
        before = q.copy(), w.copy()
        assert not _polish(flat if cut[0] == 0 else np.eye(2, 3), q, w, cut)
        np.testing.assert_array_equal(q, before[0])
        np.testing.assert_array_equal(w, before[1])


def test_nearly_singular_hessians_do_not_warn():
    rng = np.random.default_rng(0)
    for _ in range(300):
        A = rng.standard_normal((50, 1)) + 1e-9 * rng.standard_normal((50, 6))
        H = A.T @ A + 10 ** rng.uniform(-15, -12) * np.eye(6)
        q0, w0 = rng.standard_normal(6), rng.standard_normal(6)
        q, w = q0.copy(), w0.copy()
        moved = _polish(H, q, w, np.zeros(6))
        step = w - w0
        assert moved == step.any()
        assert q0 @ step + step @ H @ step / 2 <= 0


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_take_columns(storage):
    X = np.arange(12.0).reshape(3, 4) % 5
    data = Data(X if storage == "dense" else sp.csr_matrix(X))
    shift = np.arange(4.0) * (storage == "dense")
    found = data.take_columns([3, 1], shift)
    np.testing.assert_array_equal(found.toarray(), (X - shift)[:, [3, 1]])
