"""Faults: an interrupt at any moment leaves the old model or a whole new one, and nothing else behind."""

import signal
import sys
import threading
import time

import numpy as np
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_info

from fastlr.linear_model.folds import run_all

from .test_threads import EVERY, state, toy

# ---- interrupts -------------------------------------------------------------------------------------


@pytest.fixture
def alarm():
    """Calls with an interrupt after a delay; returns whether it came out of the call."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs setitimer")
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))

    def call(work, delay):
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            try:
                work()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False

    yield call
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def surroundings():
    return threadpool_info(), threading.active_count(), signal.getsignal(signal.SIGINT)


def seconds(work):
    """Of a second call, when all is loaded."""
    work()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def is_whole(clf, X, y):
    """Whether an interrupted model can be used, and its attributes are of one fit."""
    features = clf.coef_.shape[1] if hasattr(clf, "coef_") else clf.coefs_[0].shape[0]
    assert clf.n_features_in_ == features == X.shape[1]
    assert clf.classes_.tolist() == np.unique(y).tolist()
    assert set(clf.predict(X)) <= set(y)
    lengths = {len(values) for values in clf.history_.values()} if hasattr(clf, "history_") else {1}
    assert len(lengths) == 1
    return clf.status_ == "interrupted"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# Python drops an interrupt that comes while an object is taken down.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", EVERY)
def test_an_interrupt_at_any_moment_of_a_fit(name, alarm):
    X, y = toy()
    before = clone(EVERY[name]).fit(X[:, 1:], y == 0)
    clf, after = clone(EVERY[name]), clone(EVERY[name])
    span, outside = seconds(lambda: after.fit(X, y)), surroundings()
    old, new, rng = state(before), state(after), np.random.default_rng(0)
    for delay in rng.uniform(1e-6, 1.1 * span, 10):
        vars(clf).clear()
        vars(clf).update(vars(before))
        was_raised = alarm(lambda: clf.fit(X, y), delay)
        found = state(clf)
        assert found in (old, new) or is_whole(clf, X, y)
        assert was_raised or found != old
        assert surroundings() == outside
    assert state(clf.fit(X, y)) == new


@pytest.mark.parametrize("name", ["sgd", "mlp"])
def test_an_interrupt_at_any_moment_of_a_partial_fit(name, alarm):
    """Weights, velocities and counts go on together."""
    X, y = toy()
    before = clone(EVERY[name]).set_params(momentum=0.9, scaling=None).partial_fit(X, y, classes=range(4))
    after, outside = clone(before), surroundings()
    vars(after).update(vars(before))
    old, new = state(before), state(after.partial_fit(X, y))
    span = seconds(lambda: clone(before).partial_fit(X, y, classes=range(4)))
    for delay in np.random.default_rng(0).uniform(1e-6, 1.5 * span, 30):
        clf = clone(before)
        vars(clf).update(vars(before))
        was_raised = alarm(lambda clf=clf: clf.partial_fit(X, y), delay)
        assert state(clf) in ((old, new) if was_raised else (new,))
    assert surroundings() == outside


@pytest.mark.parametrize("name", EVERY)
def test_an_interrupted_prediction_leaves_the_model(name, alarm):
    X, y = toy()
    clf = clone(EVERY[name]).fit(X, y)
    before, expected, span = state(clf), clf.predict(X), seconds(lambda: clf.predict(X))
    for delay in np.random.default_rng(0).uniform(1e-6, 1.5 * span, 20):
        alarm(lambda: clf.predict(X), delay)
        assert state(clf) == before
    np.testing.assert_array_equal(clf.predict(X), expected)


def test_folds_end_after_an_interrupt_at_any_moment():
    """After every call of the main thread and at its beginning, where Python looks for signals: none leaves a
    lock that the threads wait for."""
    profiled, moments, n_stopped = sys.getprofile(), 0, 0
    while True:
        left, stop, result = moments, threading.Event(), None

        def interrupt(*event):
            nonlocal left
            left -= 1
            if left < 0:
                sys.setprofile(profiled)
                signal.raise_signal(signal.SIGINT)

        try:
            sys.setprofile(interrupt)
            result = run_all(lambda i: i, [(0,), (1,), (2,)], 2, stop, lambda: False)
            sys.setprofile(profiled)
        except KeyboardInterrupt:
            pass
        if left >= 0:
            break
        assert result in (None, [0, 1, 2])
        moments += 1
        n_stopped += result is not None and stop.is_set()
    assert n_stopped > 50 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
