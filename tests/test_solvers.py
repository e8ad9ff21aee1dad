"""The loop that owns stopping, and every method on every problem it takes."""

import os
import signal
import sys
from threading import Timer
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastlr import LogisticRegression
from fastlr.data import Data
from fastlr.losses import Softmax
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.solvers import ALIASES, NAMES, SOLVERS, _Rule, choose, describe, minimise

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


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n", [30, 1000])
def test_saga_where_most_rows_are_empty(storage, fit_intercept, n):
    """The blocks whose curvature is measured may have no gradient at all."""
    rng = np.random.default_rng(0)
    X, y = np.zeros((n, 5)), np.arange(n) % 2
    X[:3] = rng.normal(size=(3, 5))
    clf = LogisticRegression(
        "l1", C=10.0, solver="saga", fit_intercept=fit_intercept, max_iter=20000, random_state=0
    ).fit(storage(X), y)
    assert clf.converged_


def test_saga_where_few_rows_have_most_of_the_weight():
    """Blocks of these are a few, and steps that do not know their curvature lead far away."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 3))
    y = X[:, 0] + rng.standard_normal(40) > 0
    clf = LogisticRegression("l1", C=0.1, solver="saga", fit_intercept=False, max_iter=200, random_state=0)
    assert clf.fit(X, y, 10.0 ** rng.uniform(-3, 3, 40)).converged_


# ---- the choice -----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", NAMES)
def test_choose(name, penalty):
    problem = make(penalty=penalty)
    solver = SOLVERS.get(ALIASES.get(name, name))
    if name == "liblinear":
        with pytest.raises(ValueError, match="solver='liblinear' takes two classes"):
            choose(name, problem, 1e-4)
        problem = make(2, penalty=penalty)
    smooth_only = name in ("sag", "newton-cholesky") and penalty != "l2"
    if smooth_only or (solver is not None and not takes(solver.name, penalty)):
        with pytest.raises(ValueError, match=f"solver='{name}' needs a smooth penalty.*'saga'"):
            choose(name, problem, 1e-4)
        return
    found, reason = choose(name, problem, 1e-4)
    assert takes(found.name, penalty)
    assert solver in (None, found) and (name not in SOLVERS or found.name == name)
    assert reason.startswith(f"{found.name}: ") and reason.endswith(".")
    assert {"l1": "L1", "l2": "L2", "elasticnet": "elastic net"}[penalty] in reason
    assert "60 x 6 dense" in reason and (name == "auto" or repr(name) in reason)


@pytest.mark.parametrize(
    ("n", "d", "penalty", "tol", "name"),
    [
        (900_000, 784, "l1", 0.1, "subsampled"),
        (900_000, 784, "l1", 1e-7, "subsampled"),
        (900_000, 784, "l2", 1e-4, "subsampled"),
        (1000, 1_000_000, "l1", 1e-4, "newton-cd"),
        (1000, 1_000_000, "l2", 1e-4, "newton-cg"),
        (5000, 784, "l1", 0.1, "saga"),
        (50, 784, "l1", 0.1, "newton-cd"),
        (200_000, 784, "l1", 1e-4, "saga"),
        (200_000, 784, "l1", 1e-6, "newton-cd"),
        (5000, 784, "l1", 1e-4, "newton-cd"),
        (5000, 784, "l2", 1e-4, "newton-cg"),
        (1000, 20, "l2", 1e-4, "newton-cd"),
    ],
)
def test_auto_goes_by_size_and_tolerance(n, d, penalty, tol, name):
    """As the guide's table says, of dense bytes; the rows are one in memory."""
    data = Data(np.broadcast_to(np.ones(d, np.uint8), (n, d)))
    loss = Softmax(np.arange(n, dtype=np.int32) % 10, np.ones(n), 10)
    penalty = ElasticNet(float(penalty == "l1"), float(penalty == "l2"), np.ones(d))
    assert choose("auto", LinearProblem(data, loss, penalty, None, None), tol)[0].name == name


def test_describe():
    problem = make(storage="csr", l1=0.0)
    assert describe(problem) == "no penalty on 60 x 6 sparse data, 3 classes"


def test_the_first_rule_that_holds_chooses(monkeypatch):
    rules = (
        _Rule(lambda problem, tol: tol < 1e-6, "lbfgs", "exactly"),
        _Rule(lambda problem, tol: problem.data.is_sparse, "saga", "sparsely"),
        _Rule(lambda problem, tol: True, "lbfgs", "otherwise"),
    )
    monkeypatch.setattr("fastlr.solvers.RULES", rules)
    for storage, tol, name, because in (
        ("csr", 1e-9, "lbfgs", "exactly"),
        ("csr", 1e-3, "saga", "sparsely"),
        ("dense", 1e-3, "lbfgs", "otherwise"),
    ):
        solver, reason = choose("auto", make(penalty="l2", storage=storage), tol)
        assert solver is SOLVERS[name] and reason.endswith(f"; {because}.")


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


def test_iterates_worse_than_the_null_model_give_way_to_it(way):
    problem, points = way
    start = problem.start(np.float64)
    steps, _ = scripted([(100 * points[-1][0], points[-1][1])] * 3)
    result = minimise(problem, steps, *start, tol=1e-3, max_iter=3)
    assert (result.n_iter, result.status) == (3, "max_iter")
    assert result.objective == pytest.approx(problem.null_objective, rel=1e-12)
    np.testing.assert_array_equal(result.W, start[0])


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
        report=reports.append,
    )  # fmt: skip
    assert len(reports) == len(result.history["objective"])
    n_iters, objectives, gaps = zip(*((r.n_iter, r.objective, r.gap) for r in reports), strict=True)
    assert n_iters[-1] == 10 and list(n_iters) == sorted(set(n_iters))
    for values in (objectives, gaps):  # of the best so far
        assert list(values) == sorted(values, reverse=True)
    assert result.W.dtype == np.float32
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)


@pytest.mark.parametrize("warm", [False, True])
def test_the_certificate_of_the_start_is_sent_first(way, warm):
    problem, points = way
    steps, sent = scripted(points[5:])
    start = points[4] if warm else problem.start(np.float64)
    minimise(problem, steps, *start, tol=0, max_iter=3)
    if warm:
        np.testing.assert_array_equal(sent[0].W, start[0])
        assert np.ptp(sent[0].b - start[1]) < 1e-14
    else:
        assert sent[0] is None


def test_none_is_no_iteration(way):
    problem, points = way
    start = problem.start(np.float64)
    slow = [value for point in points for value in (None, None, point)]
    results, told = [], []
    for yielded in (points, slow):
        steps, sent = scripted(yielded)
        results.append(minimise(problem, steps, *start, tol=0, max_iter=10))
        told.append([certificate.objective for certificate in sent if certificate is not None])
    a, b = results
    assert (a.n_iter, a.objective, a.dual_gap, a.status) == (b.n_iter, b.objective, b.dual_gap, b.status)
    assert told[0] == told[1]
    # A certificate is sent to the point it belongs to, not to a None after it.
    assert next(i for i, certificate in enumerate(sent) if certificate is not None) % 3 == 0


def test_every_step_gets_a_certificate(way):
    problem, points = way
    steps, sent = scripted(points)
    start = problem.start(np.float64)
    result = minimise(problem, steps, *start, tol=0, max_iter=10, pace=np.inf)
    assert len(result.history["objective"]) == 10
    assert sent[0] is None
    for certificate, (W, b) in zip(sent[1:], points[:9], strict=True):
        np.testing.assert_array_equal(certificate.W, W)
        assert np.ptp(certificate.b - b) < 1e-14


# ---- the ways to end ------------------------------------------------------------------------------


def true(problem, result):
    """A result's point is finite, and its objective is the point's."""
    assert np.all(np.isfinite(result.W)) and np.all(np.isfinite(result.b))
    assert result.objective == pytest.approx(objective(problem, result.W, result.b), rel=1e-12)
    assert len({len(values) for values in result.history.values()}) == 1
    assert result.objective == min(result.history["objective"])
    assert result.objective - result.dual_gap <= objective(problem, *solve(problem)) * (1 + 1e-9)
    return True


def test_status(way):
    problem, points = way
    start = problem.start(np.float64)

    def status(yielded, **options):
        result = minimise(problem, scripted(yielded)[0], *start, **options)
        assert true(problem, result)
        assert result.converged == (result.status == "converged")
        return result.status

    assert status(points, tol=1e-3, max_iter=10) == "converged"
    assert status(points, tol=0, max_iter=10) == "max_iter"
    assert status(points, tol=0, max_iter=0) == "max_iter"
    assert status([(start[0] * np.nan, start[1])] * 10, tol=0, max_iter=10) == "diverged"
    assert status([(start[0] * np.nan, start[1])] * 10, tol=2, max_iter=10) == "converged"


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10])
def test_a_solver_may_end_on_its_own(way, count):
    """Its last point is certified all the same."""
    problem, points = way
    start = problem.start(np.float64)
    for tol, status in ((0, "stalled"), (1e-3, "converged" if count == 10 else "stalled")):
        steps = iter_steps([None, *points[:count]])
        result = minimise(problem, steps, *start, tol=tol, max_iter=100)
        assert true(problem, result)
        assert (result.status, result.n_iter) == (status, count)
        np.testing.assert_array_equal(result.W, points[count - 1][0] if count else start[0])


def test_a_solver_may_end_before_it_begins(way):
    problem, _ = way
    result = minimise(problem, iter_steps([]), *problem.start(np.float64), tol=0, max_iter=5)
    assert true(problem, result) and (result.status, result.n_iter) == ("stalled", 0)


def iter_steps(values):
    """A method that yields given values, calling those that can be called, and returns."""
    for value in values:
        yield value() if callable(value) else value


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self, monkeypatch, certificate=0.0):
        self.now, self.checks = 100.0, 0
        room = sys.modules["fastlr.solvers.minimise"]
        certify = room.certify

        def timed(*arguments):
            self.now += certificate
            self.checks += 1
            return certify(*arguments)

        monkeypatch.setattr(room, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(room, "certify", timed)

    def after(self, seconds, values):
        """Values that take time to come."""

        def late(value):
            self.now += seconds
            return value

        return [lambda value=value: late(value) for value in values]


@pytest.mark.parametrize("breath", [False, True])
def test_max_time_ends_with_a_certificate_of_the_last_point(way, monkeypatch, breath):
    problem, points = way
    clock = Clock(monkeypatch)
    values = points[:4] + ([None] * 20 if breath else points[4:])
    steps = iter_steps([None, *clock.after(1.0, values)])
    start = problem.start(np.float64)
    result = minimise(problem, steps, *start, tol=1e-9, max_iter=100, max_time=6.5)
    assert true(problem, result) and result.status == "max_time" and clock.now == 107.0
    assert result.n_iter == (4 if breath else 7)
    np.testing.assert_array_equal(result.W, points[result.n_iter - 1][0])


@pytest.mark.parametrize("pace", [2.0, np.inf])
def test_max_time_counts_certificates_once_one_is_known(way, monkeypatch, pace):
    problem, points = way
    clock = Clock(monkeypatch, certificate=2.0)
    steps = iter_steps([None, *clock.after(1.0, points)])
    start = problem.start(np.float64)
    result = minimise(problem, steps, *start, tol=1e-9, max_iter=100, max_time=9.5, pace=pace)
    assert true(problem, result) and result.status == "max_time"
    if pace == np.inf:  # 3, 6 and 9 s; at 9 s there is no time for another certificate
        assert (clock.now, clock.checks) == (109.0, 3)
    else:  # the only certificate starts when the time is up
        assert (clock.now, clock.checks) == (112.0, 1)


@pytest.mark.parametrize("warm", [False, True])
def test_time_may_be_up_before_the_start(way, monkeypatch, warm):
    problem, points = way
    clock = Clock(monkeypatch)
    steps, sent = scripted(points)
    start = points[3] if warm else problem.start(np.float64)
    result = minimise(problem, steps, *start, tol=0, max_iter=9, max_time=5.0, began=90.0)
    assert true(problem, result) and (result.status, result.n_iter, sent) == ("max_time", 0, [])
    assert clock.checks == 1 and result.history["time"] == [10.0]
    np.testing.assert_array_equal(result.W, start[0])


def test_time_may_be_up_in_the_first_epoch(way, monkeypatch):
    """A method that works in place has something to show by then."""
    problem, points = way
    clock, (W, b) = Clock(monkeypatch), (part.copy() for part in points[0])

    def steps():
        yield W, b
        for point in points:
            W[:], b[:] = point
            clock.now += 1
            yield None

    result = minimise(problem, steps(), *problem.start(np.float64), tol=0, max_iter=9, max_time=5.5)
    assert true(problem, result) and (result.status, result.n_iter) == ("max_time", 0)
    np.testing.assert_array_equal(result.W, points[5][0])


def interrupt(*_):
    raise KeyboardInterrupt


def raise_signal():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("stop", [interrupt, raise_signal])
@pytest.mark.parametrize("count", range(-1, 10))
def test_an_interrupt_in_the_solver_ends_with_the_best_model(way, monkeypatch, stop, count):
    """-1 is the set-up, 0 the time before the first point."""
    problem, points = way
    clock, start = Clock(monkeypatch), problem.start(np.float64)
    steps = iter_steps([*[None, *points][: count + 1], stop, *points])
    result = minimise(problem, steps, *start, tol=1e-9, max_iter=100)
    assert true(problem, result) and not result.converged
    assert (result.status, result.n_iter) == ("interrupted", max(count, 0))
    assert clock.checks == len(result.history["time"]) == 1
    np.testing.assert_array_equal(result.W, points[count - 1][0] if count > 0 else start[0])


@pytest.mark.parametrize("calls", [1, 2, 5])
@pytest.mark.parametrize("where", ["certify", "report"])
def test_an_interrupt_in_a_check_ends_with_the_best_model(way, monkeypatch, calls, where):
    problem, points = way
    start, made = problem.start(np.float64), []
    room = sys.modules["fastlr.solvers.minimise"]
    certify = room.certify

    def count(*_):
        made.append(1)
        if len(made) == calls:
            raise KeyboardInterrupt

    def counted(*arguments):
        count()
        return certify(*arguments)

    if where == "certify":
        monkeypatch.setattr(room, "certify", counted)
    steps, _ = scripted(points)
    report = count if where == "report" else None
    result = minimise(problem, steps, *start, tol=0, max_iter=9, pace=np.inf, report=report)
    assert true(problem, result) and (result.status, result.n_iter) == ("interrupted", calls)
    # What the interrupted certificate was of is certified only if there is nothing else.
    last = calls if calls == 1 or where == "report" else calls - 1
    np.testing.assert_array_equal(result.W, points[last - 1][0])


def test_a_second_interrupt_is_raised(way, monkeypatch):
    problem, _ = way
    monkeypatch.setattr(sys.modules["fastlr.solvers.minimise"], "certify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        minimise(problem, iter_steps([None, interrupt]), *problem.start(np.float64), tol=0, max_iter=9)


def test_interrupted_at_a_point_that_is_not_finite(way):
    problem, points = way
    bad = np.full_like(points[0][0], np.nan), points[0][1]
    steps = iter_steps([None, bad, interrupt])
    result = minimise(problem, steps, *problem.start(np.float64), tol=1e-9, max_iter=9)
    assert true(problem, result) and result.status == "interrupted" and not result.W.any()


def test_a_signal_from_outside(way):
    """Nothing but the signal ends this solver; the timer starts inside it, so that it cannot come early."""
    problem, points = way

    def forever():
        Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        yield None
        while True:
            yield points[5]

    result = minimise(problem, forever(), *problem.start(np.float64), tol=0, max_iter=10**12)
    assert true(problem, result) and result.status == "interrupted"
    np.testing.assert_array_equal(result.W, points[5][0])


def test_other_errors_of_a_solver_are_raised(way):
    problem, points = way

    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        minimise(
            problem, iter_steps([None, points[0], broken]), *problem.start(np.float64), tol=0, max_iter=9
        )


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_an_epoch_of_saga_may_be_cut_short(storage, monkeypatch):
    """Time is up within the first epoch: the blocks visited by then count."""
    clock, problem = Clock(monkeypatch), make(storage=storage)
    monkeypatch.setattr(sys.modules["fastlr.solvers.saga"], "CALL_WORK", 1)
    W, b = problem.start(np.float64)

    def ticking():
        steps, told = SOLVERS["saga"].steps(problem, W, b, np.random.default_rng(0), np.dtype(float)), None
        while True:
            yielded = steps.send(told)
            clock.now += 1
            told = yield yielded

    result = minimise(problem, ticking(), W, b, tol=1e-9, max_iter=9, max_time=5.0)
    assert true(problem, result) and (result.status, result.n_iter) == ("max_time", 0)
    assert result.W.any() and result.objective < problem.null_objective


@pytest.mark.parametrize("dtype, count", [(np.float64, 0), (np.float32, 1)])
def test_lbfgs_ends_where_nothing_descends(dtype, count):
    """Features without a use leave no gradient; float32 arithmetic is given up first."""
    plain = make(penalty="l2")
    data = type(plain.data)(np.zeros((plain.data.n, 6)))
    penalty = ElasticNet(0.0, 1.0, np.ones(6))
    problem = LinearProblem(data, plain.loss, penalty, data.moments(plain.loss), np.zeros(6), False)
    W, b = problem.start(dtype)
    yielded = list(SOLVERS["lbfgs"].steps(problem, W, b, None, np.dtype(dtype)))
    assert len([value for value in yielded if value is not None]) == count


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
