"""Time limits, interrupts and explain() of every estimator that comes with a certificate."""

import itertools
import signal
import sys
import threading
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastlr import LinearSVC, LinearSVCCV, LogisticRegression, LogisticRegressionCV, logistic_path
from fastlr.linear_model import folds
from fastlr.linear_model.convex import ENDINGS, Limits, worst
from fastlr.solvers import SOLVERS, Result
from fastlr.solvers.lbfgs import lbfgs

from . import test_logistic, test_svm
from .test_logistic import toy

CS = [0.05, 0.2, 0.5]
# tol is out of reach, lest fits end for another reason.
OPTIONS = {"tol": 1e-12, "n_threads": 1}
ESTIMATORS = {
    "LogisticRegression": LogisticRegression(C=0.5, **OPTIONS),
    "LogisticRegression float64": LogisticRegression("l2", scaling="standard", **OPTIONS),
    "LinearSVC": LinearSVC(C=0.5, **OPTIONS),
    "LinearSVC free": LinearSVC(C=0.5, penalize_intercept=False, class_weight={1: 2.0}, **OPTIONS),
    "LogisticRegressionCV": LogisticRegressionCV(Cs=CS, cv=3, **OPTIONS),
    "LogisticRegressionCV 1se": LogisticRegressionCV(Cs=CS, cv=3, rule="1se", **OPTIONS),
    "LinearSVCCV": LinearSVCCV(Cs=CS, cv=3, **OPTIONS),
}


def put_in_place(monkeypatch, steps):
    """That method is now every solver, whichever an estimator chooses."""
    for name, solver in SOLVERS.items():
        monkeypatch.setitem(SOLVERS, name, replace(solver, steps=steps, pace=2.0))


@pytest.fixture(autouse=True)
def one_solver(monkeypatch):
    put_in_place(monkeypatch, lbfgs)


def each_estimator(test):
    test = pytest.mark.parametrize("n_classes", [2, 3])(test)
    return pytest.mark.parametrize("clf", ESTIMATORS.values(), ids=ESTIMATORS)(test)


def single(clf, **options):
    """The estimator of one fit at the choice of a cross-validation, or the estimator itself."""
    if not hasattr(clf, "cv"):
        made = type(clf)(**clf.get_params())
    elif isinstance(clf, LogisticRegressionCV):
        made = LogisticRegression(C=clf.C_, l1_ratio=clf.l1_ratio_, **OPTIONS)
    else:
        made = LinearSVC(C=clf.C_, **OPTIONS)
    return made.set_params(**options)


def assert_whole(clf, X, y, status):
    """The model can be used, and what it says of itself is true."""
    assert clf.status_ == status and clf.converged_ is False
    assert clf.predict(X).shape == y.shape and np.isfinite(clf.decision_function(X)).all()
    true = (test_svm if "SVC" in type(clf).__name__ else test_logistic).true_objective
    twin = single(clf)
    twin.coef_, twin.intercept_, twin.classes_ = clf.coef_, clf.intercept_, clf.classes_
    assert clf.objective_ == pytest.approx(true(twin, X, y), rel=1e-9)
    best = single(clf, tol=1e-9, max_iter=20000).fit(X, y)
    assert clf.objective_ - clf.dual_gap_ <= best.objective_ * (1 + 1e-12)
    assert best.objective_ - best.dual_gap_ <= clf.objective_ * (1 + 1e-12)
    assert clf.history_["objective"][-1] >= clf.objective_ * (1 - 1e-12)
    text = clf.explain()
    assert ENDINGS[status][0] in text and clf.solver_reason_ in text
    assert f"lies between {clf.objective_ - clf.dual_gap_:.10g} and {clf.objective_:.10g}" in text


# ---- max_iter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", list(ESTIMATORS)[:4])
def test_without_an_iteration_there_are_zeros_or_the_warm_start(name, n_classes):
    X, y = toy(n_classes)
    solved = clone(ESTIMATORS[name]).set_params(tol=1e-6, max_iter=1000, warm_start=True).fit(X, y)
    clf = clone(solved).set_params(max_iter=0, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_iter=0"):
        clf.fit(X, y)
    assert not clf.coef_.any() and not clf.intercept_.any() and not np.any(clf.n_iter_)
    assert clf.objective_ > clf.null_objective_
    assert clf.objective_ - clf.dual_gap_ <= solved.objective_ <= clf.objective_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = clone(solved).fit(X, y).set_params(max_iter=0).fit(X, y)
    np.testing.assert_allclose(again.coef_, solved.coef_, rtol=1e-12)


# ---- max_time -------------------------------------------------------------------------------------


@each_estimator
def test_no_time_at_all_gives_the_null_model(clf, n_classes):
    X, y = toy(n_classes)
    with pytest.warns(ConvergenceWarning, match="max_time was up") as caught:
        assert clf.fit(X, y, max_time=1e-9) is clf
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not clf.coef_.any()
    assert clf.objective_ == pytest.approx(clf.null_objective_, rel=1e-12)
    assert_whole(clf, X, y, "max_time")


@each_estimator
def test_enough_time_changes_nothing(clf, n_classes):
    X, y = toy(n_classes)
    clf = type(clf)(**{**clf.get_params(), "tol": 1e-4})
    expected = clf.fit(X, y).coef_
    for max_time in (1e6, np.inf):
        np.testing.assert_array_equal(clf.fit(X, y, max_time=max_time).coef_, expected)
    assert clf.status_ == "converged"


@pytest.mark.parametrize("clf", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("max_time", [0, -1.0, np.nan, "1", True])
def test_max_time_that_makes_no_sense(clf, max_time):
    clf = type(clf)(**clf.get_params())
    with pytest.raises(ValueError, match=r"max_time must be None or a positive number of seconds; found"):
        clf.fit(*toy(), max_time=max_time)
    assert not hasattr(clf, "classes_")


def tick(monkeypatch):
    """A clock that goes on by a second whenever it is read."""
    now = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(now)))
    for module in ("fastlr.linear_model.convex", "fastlr.solvers.minimise"):
        monkeypatch.setattr(sys.modules[module], "time", clock)


@pytest.mark.parametrize("max_time", [30, 150, 300])
@each_estimator
def test_time_is_up_on_the_way(clf, n_classes, max_time, monkeypatch):
    X, y = toy(n_classes)
    clf = type(clf)(**{**clf.get_params(), "tol": 0.0, "max_iter": 10**6})
    with monkeypatch.context() as patch:
        dawdling(patch)
        tick(patch)
        with pytest.warns(ConvergenceWarning, match="max_time was up"):
            clf.fit(X, y, max_time=float(max_time))
    assert_whole(clf, X, y, "max_time")


def dawdling(monkeypatch):
    """L-BFGS that lets time pass between its iterates."""

    def steps(*start):
        for iterate in lbfgs(*start):
            for _ in range(19):
                yield None
            yield iterate

    put_in_place(monkeypatch, steps)


def test_limits(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(sys.modules["fastlr.linear_model.convex"], "time", clock)
    limits = Limits.of(40.0)
    clock.now = 110.0
    assert limits.reached is None and limits.share(1) == limits
    part = limits.share(3)
    assert part.max_time == 20.0 and part.began == 100.0  # of the 30 seconds that are left
    clock.now = 120.0
    assert part.reached == "max_time" and limits.reached is None
    part.stop.set()
    assert limits.reached == "interrupted"
    assert Limits.of(None).share(5).max_time == np.inf


def test_of_several_statuses_the_worst_is_told():
    assert worst(["converged", "max_iter", "converged"]) == "max_iter"
    assert worst(["max_time", "diverged"]) == "max_time" and worst(["interrupted"]) == "interrupted"
    assert {"converged", "max_iter", *ENDINGS} == set(ENDINGS) and Result  # those that minimise documents
    assert all(f'"{status}"' in Result.__doc__ for status in ENDINGS)


# ---- interrupts -----------------------------------------------------------------------------------


def interrupting(monkeypatch, after, act):
    """L-BFGS in which, after so many iterates of all fits, something happens."""
    count = itertools.count()

    def steps(*start):
        for iterate in lbfgs(*start):
            if iterate is not None and next(count) == after:
                yield from act()
            yield iterate

    put_in_place(monkeypatch, steps)


def from_within():
    raise KeyboardInterrupt
    yield


@pytest.mark.parametrize("after", [0, 1, 3, 6, 80])
@each_estimator
def test_an_interrupt_leaves_a_usable_model(clf, n_classes, after, monkeypatch):
    """It comes at any time: before the first iterate, in the first fit, in later ones."""
    if after == 80 and not hasattr(clf, "cv"):
        pytest.skip("a single fit takes fewer iterations")
    X, y = toy(n_classes)
    with monkeypatch.context() as patch:
        interrupting(patch, after, from_within)
        with pytest.warns(ConvergenceWarning, match="interrupted by the user") as caught:
            assert clf.fit(X, y) is clf
    assert len(caught) == 1 and caught[0].filename == __file__
    assert_whole(clf, X, y, "interrupted")


@pytest.mark.parametrize("name", ["LogisticRegressionCV", "LinearSVCCV"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_signal_ends_the_threads_of_all_folds(name, n_threads, monkeypatch):
    X, y = toy()
    clf = type(ESTIMATORS[name])(**{**ESTIMATORS[name].get_params(), "n_threads": n_threads})
    before, waiting, real = threading.active_count(), threading.Event(), folds.wait

    def wait(*args):
        waiting.set()
        return real(*args)

    def from_outside():
        """The signal reaches the main thread; this one goes on until it is told to stop."""
        assert waiting.wait(60)
        signal.raise_signal(signal.SIGINT)
        while True:
            yield None

    with monkeypatch.context() as patch:
        patch.setattr(folds, "wait", wait)
        interrupting(patch, 50, from_outside)
        with pytest.warns(ConvergenceWarning, match="interrupted by the user"):
            clf.fit(X, y)
    assert threading.active_count() == before
    assert_whole(clf, X, y, "interrupted")


def test_classes_that_are_not_begun_have_the_null_model(monkeypatch):
    X, y = toy(4)
    clf = LinearSVC(C=0.5, n_threads=1)
    alone = [LinearSVC(C=0.5, n_threads=1).fit(X, y == k) for k in range(4)]
    null = [problem.null_objective for problem in clf._problems(training(clf, X, y), *clf._strengths())]
    with monkeypatch.context() as patch:
        interrupting(patch, alone[0].n_iter_ + 2, from_within)
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            clf.fit(X, y)
    np.testing.assert_array_equal(clf.coef_[0], alone[0].coef_[0])
    assert clf.coef_[1].any() and not clf.coef_[2:].any()
    # A mean of targets 1 and -1, drawn to zero by the penalty of the intercept.
    mean = np.array([np.mean(np.where(y == k, 1.0, -1.0)) for k in (2, 3)])
    shrunk = 2 * 0.5 * len(y) / (2 * 0.5 * len(y) + 1)
    np.testing.assert_allclose(clf.intercept_[2:], mean * shrunk)
    assert sum(null[2:]) <= clf.dual_gap_ < sum(null)
    assert_whole(clf, X, y, "interrupted")


def training(clf, X, y):
    from fastlr import validate

    return validate.training(clf, X, y)


@pytest.mark.parametrize("name", ["LogisticRegression", "LinearSVC"])
def test_a_warm_start_is_kept_when_there_is_no_time(name):
    X, y = toy()
    clf = type(ESTIMATORS[name])(C=0.5, warm_start=True, tol=1e-2).fit(X, y)
    coef = clf.coef_.copy()
    clf.set_params(tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_time was up"):
        clf.fit(X, y, max_time=1e-9)
    np.testing.assert_allclose(clf.coef_, coef, rtol=1e-12, atol=1e-15)  # centred twice
    assert clf.dual_gap_ <= 0.1 * clf.null_objective_
    assert_whole(clf, X, y, "max_time")


# ---- paths and grids ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_a_path_has_the_points_that_were_reached(order, monkeypatch):
    X, y = toy()
    Cs = [CS[i] for i in order]
    whole = logistic_path(X, y, Cs=Cs, n_threads=1)
    small, middle, _ = np.argsort(Cs)
    with monkeypatch.context() as patch:
        interrupting(patch, whole.n_iters[small] + 2, from_within)
        with pytest.warns(ConvergenceWarning, match=r"1 of 3 fits .*interrupted by the user") as caught:
            path = logistic_path(X, y, Cs=Cs, n_threads=1)
    assert caught[0].filename == __file__
    assert path.Cs.tolist() == sorted(CS[:2], key=Cs.index)
    assert path.coefs.shape == (2, 3, 6) and path.intercepts.shape == (2, 3)
    first, second = np.argsort(path.Cs)
    assert path.statuses[first] == "converged" and path.statuses[second] == "interrupted"
    assert path.converged.tolist() == (path.statuses == "converged").tolist()
    np.testing.assert_array_equal(path.coefs[first], whole.coefs[small])
    best = whole.objectives[middle] - whole.dual_gaps[middle]
    assert path.objectives[second] - path.dual_gaps[second] <= whole.objectives[middle]
    assert path.objectives[second] >= best


def test_a_path_without_time_is_one_null_model():
    X, y = toy()
    with pytest.warns(ConvergenceWarning, match=r"0 of 3 fits .*max_time was up"):
        path = logistic_path(X, y, Cs=CS, tol=0, max_time=1e-9)
    assert path.Cs.tolist() == CS[:1] and not path.coefs.any() and path.statuses.tolist() == ["max_time"]


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("after", [2, 15, 25, 50])
def test_the_choice_is_among_what_all_folds_have_finished(after, refit, monkeypatch):
    X, y = toy()
    clf = LogisticRegressionCV(Cs=CS, cv=3, refit=refit, n_threads=1, scoring="neg_log_loss")
    whole = clf.fit(X, y).scores_
    clf = LogisticRegressionCV(**clf.get_params())
    with monkeypatch.context() as patch:
        interrupting(patch, after, from_within)
        with pytest.warns(ConvergenceWarning, match="interrupted by the user"):
            clf.fit(X, y)
    made = np.isfinite(clf.scores_)
    assert not made.all()
    np.testing.assert_array_equal(clf.scores_[made], whole[made])
    assert np.all(np.diff(made.astype(int), axis=2) <= 0)  # a fold ends, and does not begin again
    assert np.isfinite(clf.coefs_paths_).all(axis=(-2, -1)).tolist() == np.isfinite(clf.dual_gaps_).tolist()
    complete = made.all(axis=0)[0]
    if refit:
        expected = np.argmax(np.where(complete, whole.mean(axis=0)[0], -np.inf)) if complete.any() else 0
        assert clf.Cs_.tolist().index(clf.C_) == expected
    assert clf.predict(X).shape == y.shape and clf.status_ == "interrupted"
    assert "Stopped early: interrupted by the user" in clf.explain()


def test_no_fold_is_left_without_time(monkeypatch):
    """One after the other, each has an equal part of what is left."""
    X, y = toy()
    clf = LogisticRegressionCV(Cs=np.geomspace(1e-3, 1, 10), cv=4, n_threads=1, n_jobs=1)
    with monkeypatch.context() as patch:
        tick(patch)
        with pytest.warns(ConvergenceWarning, match="max_time was up"):
            clf.fit(X, y, max_time=800.0)
    made = np.isfinite(clf.scores_).sum(axis=(1, 2))
    assert made.min() >= 1 and made.max() < 10 and np.ptp(made) <= 2
    assert clf.status_ == "max_time" and clf.coef_.any()


# ---- explain --------------------------------------------------------------------------------------


@each_estimator
def test_explain(clf, n_classes):
    X, y = toy(n_classes)
    clf = type(clf)(**{**clf.get_params(), "tol": 1e-4})
    with pytest.raises(NotFittedError):
        clf.explain()
    text = clf.fit(X, y).explain()
    assert clf.solver_reason_ in text and clf.solver_reason_.startswith(f"{clf.solver_}: ")
    assert f"lies between {clf.objective_ - clf.dual_gap_:.10g} and {clf.objective_:.10g}" in text
    assert "Stopped" not in text
    if hasattr(clf, "cv"):
        assert text.startswith(f"C={clf.C_:.4g}") and "3 folds" in text
    if isinstance(clf, LinearSVC):
        assert ("3 such problems" in text) == (n_classes == 3)


def test_explain_of_averages():
    X, y = toy()
    clf = LogisticRegressionCV(Cs=CS, cv=3, refit=False).fit(X, y)
    assert "means of what is best on each fold" in clf.explain() and clf.solver_ in clf.explain()
    assert "3 folds" in LinearSVCCV(Cs=CS, cv=3, refit=False).fit(X, y).explain()
