"""The same bits for any number of threads, also where these share a processor and so wait at odd moments."""

import os

import numpy as np
import pytest

from fastlr import LogisticRegression, SGDClassifier


@pytest.fixture
def crowded():
    """One processor for all threads of the test."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs sched_setaffinity")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="module")
def data():
    """Wide enough for the features to be shared out among threads."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 1600)).astype(np.float32)
    y = (X[:, :5] + rng.normal(size=(1000, 5))).argmax(axis=1)
    return X, y


ESTIMATORS = {
    "saga": LogisticRegression(penalty="l1", C=0.05, solver="saga", tol=0.02, max_iter=200, random_state=0),
    "lbfgs": LogisticRegression(C=0.01, solver="lbfgs", tol=1e-3),
    "sgd": SGDClassifier(eta0=0.01, max_iter=5, tol=None, random_state=0),
    "momentum": SGDClassifier(eta0=0.01, max_iter=5, tol=None, momentum=0.9, random_state=0),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_threads_change_nothing(data, crowded, name):
    estimator = ESTIMATORS[name]
    one = estimator.set_params(n_threads=1).fit(*data)
    coef, intercept, history = one.coef_, one.intercept_, one.history_
    for n_threads in (2, 2, 2, 3, 4):
        many = estimator.set_params(n_threads=n_threads).fit(*data)
        np.testing.assert_array_equal(many.coef_, coef)
        np.testing.assert_array_equal(many.intercept_, intercept)
        for series in history.keys() - {"time"}:
            assert many.history_[series] == history[series]
