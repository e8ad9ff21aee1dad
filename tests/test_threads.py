"""The same bits for any number of threads, also where these share a processor and so wait at odd moments; and
for fits in many threads at once, after a fork, and in the workers of joblib."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from threadpoolctl import threadpool_info, threadpool_limits

from fastlr import (
    LinearSVC,
    LinearSVCCV,
    LogisticRegression,
    LogisticRegressionCV,
    MLPClassifier,
    SGDClassifier,
)
from fastlr import data as data_module
from fastlr.data import available_threads, thread_count


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


# ---- many threads of the user -----------------------------------------------------------------------


def seeded(kind, *args, **options):
    return kind(*args, random_state=0, n_threads=2, **options)


EVERY = {
    "newton-cd": seeded(LogisticRegression, "l1", C=0.5),
    "newton-cg": seeded(LogisticRegression, solver="newton-cg"),
    "saga": seeded(LogisticRegression, solver="saga", tol=0.01),
    "lbfgs": seeded(LogisticRegression, solver="lbfgs"),
    "cg": seeded(LogisticRegression, solver="cg"),
    "sdca": seeded(LogisticRegression, solver="sdca", tol=1e-3),
    "svm": seeded(LinearSVC, C=0.5),
    "svm l1": seeded(LinearSVC, "l1", scaling="standard", penalize_intercept=False),
    "svm cv": seeded(LinearSVCCV, Cs=[0.01, 0.1], cv=3),
    # Not newton-cd, whose Cholesky factor is BLAS's: this rounds by its own number of threads.
    "cv": seeded(LogisticRegressionCV, Cs=[0.01, 0.1], cv=3, solver="newton-cg"),
    "cv scorer": seeded(LogisticRegressionCV, Cs=[0.01, 0.1], cv=3, penalty="l1", scoring="f1_macro"),
    "sgd": seeded(SGDClassifier, max_iter=20, tol=None),
    "mlp": seeded(MLPClassifier, 20, max_iter=20, tol=None, scaling="standard"),
}


def toy(sparse=False):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 40)) * (rng.random((600, 40)) < 0.5)
    y = (X[:, :4] + rng.normal(size=(600, 4))).argmax(axis=1)
    return sp.csr_array(X) if sparse else X, y


def state(clf):
    """All that a fit has found, in bytes, but for times."""
    found = {name: value for name, value in vars(clf).items() if name.endswith("_")}
    history = found.get("history_", {})
    found["history_"] = {name: values for name, values in history.items() if name != "time"}
    return joblib.hash(found)


def fitted_state(name, sparse=False):
    return state(clone(EVERY[name]).fit(*toy(sparse)))


def tasks():
    """Names of all estimators, with storages that they take."""
    return [(name, sparse) for name in EVERY for sparse in (False, True) if not (sparse and name == "mlp")]


@pytest.fixture(scope="module")
def alone():
    """What every fit finds in the main thread."""
    return {task: fitted_state(*task) for task in tasks()}


def test_fits_in_many_threads_at_once(alone):
    """All estimators, cross-validations among them, in an order that no two threads share."""
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(tasks())), 3))
    chosen = [tasks()[i] for i in order]
    filters, blas, config = warnings.filters[:], threadpool_info(), sklearn.get_config()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda task: fitted_state(*task), chosen))
    assert found == [alone[task] for task in chosen]
    assert warnings.filters == filters and sklearn.get_config() == config
    assert threadpool_info() == blas


def test_fits_beside_those_of_the_main_thread(alone):
    """The main thread alone holds BLAS at one thread, and gives it back."""
    blas = threadpool_info()
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(fitted_state, *task) for task in tasks()]
        for task in reversed(tasks()):
            assert fitted_state(*task) == alone[task]
        assert [future.result() for future in futures] == [alone[task] for task in tasks()]
    assert threadpool_info() == blas


@pytest.mark.parametrize("name", EVERY)
def test_threads_share_a_fitted_estimator(name):
    X, y = toy()
    clf = clone(EVERY[name]).fit(X, y)
    methods = [
        getattr(clf, method)
        for method in ("predict", "predict_proba", "decision_function", "score")
        if hasattr(clf, method)
    ]
    begin = threading.Barrier(8, timeout=60)

    def work(i):
        begin.wait()
        rows = X[i::8]
        return [m(rows, y[i::8]) if m.__name__ == "score" else m(rows) for m in methods * 5]

    before = state(clf)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    begin.reset()
    for i, parts in enumerate(found):
        rows = X[i::8]
        for m, part in zip(methods * 5, parts, strict=True):
            np.testing.assert_array_equal(part, m(rows, y[i::8]) if m.__name__ == "score" else m(rows))
    assert state(clf) == before


# ---- processes --------------------------------------------------------------------------------------


def _child(pipe):
    pipe.send([fitted_state(*task) for task in tasks()])
    pipe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks are safe beside threads on Linux only")
@pytest.mark.parametrize("while_another_fits", [False, True])
def test_fits_after_a_fork(alone, while_another_fits):
    """In the child and in the parent, both of which have fitted before."""
    context, stop = multiprocessing.get_context("fork"), threading.Event()

    def fit_on():
        while not stop.is_set():
            fitted_state("newton-cg")

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(fit_on) if while_another_fits else None
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(there,))
        with warnings.catch_warnings():
            # Python 3.12 and later warn of threads, which may hold locks.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            child.start()
        there.close()
        expected = [alone[task] for task in tasks()]
        try:
            assert [fitted_state(*task) for task in tasks()] == expected
            assert here.poll(120), "the child hangs"
            assert here.recv() == expected
        finally:
            stop.set()
            child.kill()
            child.join()
        assert other is None or other.result() is None


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_changes_nothing(backend):
    X, y = toy()
    clf = LogisticRegression(random_state=0)
    alone = GridSearchCV(clf, {"C": [0.01, 0.1], "penalty": ["l1", "l2"]}, cv=3).fit(X, y)
    scores = cross_val_score(LogisticRegressionCV(Cs=[0.01, 0.1], cv=2), X, y, cv=3)
    with joblib.parallel_config(backend, n_jobs=2):
        many = GridSearchCV(clf, alone.param_grid, cv=3).fit(X, y)
        np.testing.assert_array_equal(
            cross_val_score(LogisticRegressionCV(Cs=[0.01, 0.1], cv=2), X, y, cv=3), scores
        )
    np.testing.assert_array_equal(many.best_estimator_.coef_, alone.best_estimator_.coef_)
    np.testing.assert_array_equal(many.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


# ---- how many threads -------------------------------------------------------------------------------


def test_workers_of_joblib_share_the_processors():
    """Two processes on two processors have one thread each."""
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(thread_count)(None) for _ in range(4))
    assert set(found) == {max(1, joblib.cpu_count() // 2)}


def test_one_processor_is_one_thread(crowded):
    assert thread_count(None) == 1


def test_limits_of_others():
    with threadpool_limits(limits=1):
        assert thread_count(None) == 1
        assert thread_count(3) == 3
    with threadpool_limits(limits=1, user_api="blas"):
        assert thread_count(None) == available_threads()
    assert thread_count(None) == available_threads()


def test_limits_of_the_environment():
    code = "from fastlr.data import thread_count; print(thread_count(None))"
    for name in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
        environment = {**os.environ, name: "1"}
        assert (
            subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            ).stdout
            == "1\n"
        )


def test_limits_of_control_groups(monkeypatch):
    """joblib knows them."""
    data_module._processors.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(joblib, "cpu_count", lambda: 1)
        assert thread_count(None) == 1
    data_module._processors.cache_clear()
    assert thread_count(None) == available_threads()
