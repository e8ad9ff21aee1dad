"""Fits on a cluster of two worker processes find what fits in memory find, whatever the partitions."""

import doctest
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import fastlr

pytest.importorskip("distributed")
pytest.importorskip("dask.array")

import dask
from dask import array as da
from distributed import Client, LocalCluster, wait

import fastlr.dask as room
from fastlr.dask import LogisticRegression

CUTS = (7, 493, 0, 800, 497)  # uneven, and one of them empty


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X, y, np.random.default_rng(0).random(len(y))


def distributed(X, *vectors, cuts=CUTS):
    """Arrays in these partitions."""
    return [da.from_array(X, chunks=(cuts, X.shape[1])), *(da.from_array(v, chunks=(cuts,)) for v in vectors)]


def csr(X):
    return X.map_blocks(sp.csr_matrix, dtype=X.dtype, meta=sp.csr_matrix((0, 0), dtype=X.dtype))


def assert_same_optimum(many, one):
    assert many.converged_ and one.converged_
    np.testing.assert_allclose(many.null_objective_, one.null_objective_, rtol=1e-12)
    assert (
        abs(many.objective_ - one.objective_) <= one.dual_gap_ + many.dual_gap_ + 1e-14 * one.null_objective_
    )


KINDS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "uint8": lambda X: X.astype(np.uint8),
    "columns": lambda X: X.rechunk({1: (30, 34)}),
    "CSR": csr,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_same_optimum(client, digits, kind, penalty):
    X, y, weight = distributed(*digits)
    X = KINDS[kind](X)
    options = {"penalty": penalty, "C": 0.01, "tol": 1e-6, "class_weight": "balanced"}
    many = LogisticRegression(random_state=0, **options).fit(X, y, weight)
    memory = X.compute()
    one = fastlr.LogisticRegression(**options).fit(memory, *digits[1:])
    assert_same_optimum(many, one)
    assert many.solver_ == "subsampled"
    assert many.coef_.dtype == one.coef_.dtype
    assert many.n_features_in_ == 64
    assert "data in blocks" in many.explain()
    assert len(many.history_["time"]) >= 1
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        lazy, direct = getattr(many, method)(X), getattr(many, method)(memory)
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype) == (direct.shape, direct.dtype)
        np.testing.assert_allclose(lazy.compute(), direct, rtol=1e-12)
    np.testing.assert_allclose(many.score(X, y, weight), many.score(memory, *digits[1:]))


def test_both_workers_have_work(client, digits):
    X, y, _ = client.persist(distributed(*digits, cuts=(300,) * 5 + (297,)))
    wait([X, y])
    training = room._training(LogisticRegression(), X, y, None, None)
    wait(training.data.parts.bundles)
    held = client.who_has(training.data.parts.bundles)
    assert len({worker for workers in held.values() for worker in workers}) == 2
    assert len(held) <= 4


def test_two_classes_scaling_and_solvers(client, digits):
    X, y, _ = digits
    X, y = X[y < 2], np.array(["zero", "one"])[y[y < 2]]
    D = distributed(X, y, cuts=(100, 100, len(y) - 200))
    for options in ({"scaling": "standard"}, {"solver": "lbfgs"}, {"penalty": "l1", "fit_intercept": False}):
        many = LogisticRegression(C=0.01, tol=1e-6, random_state=0, **options).fit(*D)
        assert_same_optimum(many, fastlr.LogisticRegression(C=0.01, tol=1e-6, **options).fit(X, y))
        assert many.classes_.tolist() == ["one", "zero"]
        assert many.decision_function(D[0]).shape == (len(y),)
        assert many.predict_proba(D[0]).compute().shape == (len(y), 2)
        assert many.score(*D) == many.score(X, y)


def test_frames(client, digits):
    pandas, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    X, y, weight = digits
    frame = pandas.DataFrame(X).add_prefix("p")
    frame["digit"], frame["weight"] = np.array(list("abcdefghij"))[y], weight
    many = dd.concat([dd.from_pandas(frame[:100], npartitions=1), dd.from_pandas(frame[100:], npartitions=3)])
    many = dd.concat([many, dd.from_pandas(frame[:0], npartitions=1)])  # empty
    names = list(frame.columns[:64])
    clf = LogisticRegression(C=0.01, tol=1e-6, random_state=0)
    clf.fit(many[names], many["digit"], many["weight"])
    one = fastlr.LogisticRegression(C=0.01, tol=1e-6).fit(frame[names], frame["digit"], weight)
    assert_same_optimum(clf, one)
    assert clf.feature_names_in_.tolist() == names
    assert clf.classes_.tolist() == list("abcdefghij")
    lazy = clf.predict_proba(many[names])
    assert lazy.shape[1] == 10
    np.testing.assert_allclose(lazy.compute(), clf.predict_proba(frame[names]), rtol=1e-12)
    np.testing.assert_array_equal(clf.predict(many[names]).compute(), clf.predict(frame[names]))
    np.testing.assert_allclose(clf.score(many[names], many["digit"]), clf.score(frame[names], frame["digit"]))
    # Labels in other partitions, whose divisions are known.
    X, y = dd.from_pandas(frame[names], npartitions=4), dd.from_pandas(frame["digit"], npartitions=3)
    assert_same_optimum(clf.fit(X, y, 2.0), one.fit(frame[names], frame["digit"], 2.0 * np.ones(len(frame))))


def test_unknown_chunks_and_a_class_that_one_partition_has(client, digits):
    y = digits[1]
    order = np.argsort(y, kind="stable")
    D = [part[da.ones(len(y), chunks=(CUTS,)) > 0] for part in distributed(*(part[order] for part in digits))]
    assert np.isnan(D[0].shape[0])
    many = LogisticRegression(C=0.01, tol=1e-6, random_state=0).fit(*D)
    assert_same_optimum(many, fastlr.LogisticRegression(C=0.01, tol=1e-6).fit(*digits))
    assert many.predict(D[0]).compute().shape == y.shape


def test_labels_in_other_chunks_or_in_memory(client, digits):
    X, y, weight = digits
    D, one = distributed(X)[0], fastlr.LogisticRegression(C=0.01, tol=1e-6).fit(*digits)
    clf = LogisticRegression(C=0.01, tol=1e-6, random_state=0)
    assert_same_optimum(clf.fit(D, da.from_array(y, chunks=1000), weight), one)
    assert clf.score(D, y) == clf.score(X, y)


def test_classes(client, digits):
    X, y, _ = digits
    D, classes = distributed(X, y), range(11)
    clf = LogisticRegression(C=0.01, random_state=0).fit(*D, classes=classes)
    assert clf.classes_.tolist() == list(classes)
    assert clf.coef_.shape == (11, 64)
    with pytest.raises(ValueError, match="classes must hold every label of y; it lacks 8, 9"):
        clf.fit(*D, classes=range(8))
    assert clf.coef_.shape == (11, 64)
    assert clf.fit(X, y, classes=classes).coef_.shape == (11, 64)  # in memory
    assert clf.fit(X, y).coef_.shape == (10, 64)


def test_the_argument_that_is_wrong_is_named(client, digits):
    X, y, weight = distributed(*digits)
    clf = LogisticRegression(C=0.01).fit(X, y)
    before = clf.coef_.copy()
    unknown = [part[da.ones(1797, chunks=(CUTS,)) > 0] for part in (X, y)]
    short = da.from_array(digits[1][:1000], chunks=((*CUTS[:-2], 500),))
    shorter = da.from_array(digits[1][:-2], chunks=((*CUTS[:-1], 495),))
    shorter = shorter[da.ones(1795, chunks=shorter.chunks) > 0]
    refused = [
        ("y to be passed", lambda: clf.fit(X)),
        ("same number of rows; found 1797 in X and 1000 in y", lambda: clf.fit(X, short)),
        ("of a block must have the same number of rows; found 497", lambda: clf.fit(unknown[0], shorter)),
        ("y must have the partitions of X.*found 1 in y and 5", lambda: clf.fit(unknown[0], y.rechunk(-1))),
        ("y must be of Dask", lambda: clf.fit(unknown[0], digits[1])),
        ("y must have one dimension", lambda: clf.fit(X, X)),
        ("X must be a Dask array or dataframe", lambda: clf.fit(y, y)),
        ("NaN", lambda: clf.fit(X * np.nan, y)),
        ("only zeros", lambda: clf.fit(X, y, 0 * weight)),
        ("negative", lambda: clf.fit(X, y, -weight)),
        ("2 classes", lambda: clf.fit(X, 0 * y)),
        ("at least one row", lambda: clf.fit(X[:0], y[:0])),
        ("in blocks", lambda: clone(clf).set_params(solver="newton-cd").fit(X, y)),
        ("client must be", lambda: clone(clf).set_params(client="nobody").fit(X, y)),
    ]
    for message, work in refused:
        with pytest.raises(ValueError, match=message):
            work()
    np.testing.assert_array_equal(clf.coef_, before)
    with pytest.raises(NotFittedError):
        clone(clf).predict(X)


class At:
    """Does something before the nth result is fetched."""

    def __init__(self, monkeypatch, client, n, work):
        self.gather, self.left, self.work = client.gather, n, work
        monkeypatch.setattr(client, "gather", self)

    def __call__(self, *arguments, **options):
        self.left -= 1
        if self.left == 0:
            self.work()
        return self.gather(*arguments, **options)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
@pytest.mark.parametrize("is_persisted", [True, False])
def test_a_worker_that_is_killed(client, digits, monkeypatch, is_persisted):
    X, y = distributed(*digits[:2])
    if is_persisted:
        X, y = client.persist([X, y])
        wait([X, y])
    before = client.run(os.getpid)
    at = At(monkeypatch, client, 6, lambda: os.kill(min(before.values()), signal.SIGKILL))
    many = LogisticRegression(C=0.01, tol=1e-6, random_state=0).fit(X, y)
    assert at.left < 0
    client.wait_for_workers(2, timeout=30)
    assert min(before.values()) not in client.run(os.getpid).values()
    assert_same_optimum(many, fastlr.LogisticRegression(C=0.01, tol=1e-6).fit(*digits[:2]))


def test_partitions_that_cannot_be_made_again(client, digits, monkeypatch):
    """Scattered rows have no recipe: where they are lost, one error tells of it."""
    rows = client.scatter(digits[0], hash=False)
    X = da.from_delayed(dask.delayed(lambda part: part)(rows), digits[0].shape, dtype=np.float64)
    clf = LogisticRegression(C=0.01).fit(digits[0], digits[1])
    before = clf.coef_
    At(monkeypatch, client, 4, lambda: client.cancel([*held[0].bundles]))
    held, init = [], room._Futures.__init__

    def watched(self, client, bundles):
        init(self, client, bundles)
        held[:] = [self]

    monkeypatch.setattr(room._Futures, "__init__", watched)
    with pytest.raises(RuntimeError, match="workers must stay alive and keep their partitions"):
        clf.fit(X, digits[1])
    assert clf.coef_ is before


def test_a_client_that_is_closed(cluster, digits, monkeypatch):
    X, y = distributed(*digits[:2])
    for n in (1, 3, 6):  # while it looks, while it sums up, and while it iterates
        with Client(cluster, set_as_default=False) as other:
            clf = LogisticRegression(C=0.01, client=other).fit(X, y)
            before = clf.coef_
            At(monkeypatch, other, n, other.close)
            with pytest.raises(RuntimeError, match="client must stay open until the fit ends"):
                clf.fit(X, y)
        with pytest.raises(ValueError, match="client must be an open"):
            clf.fit(X, y)
        assert clf.coef_ is before
        assert "_classes_of_fit" not in vars(clf)


@pytest.mark.parametrize("inline", [1, 1e6])
def test_large_arguments(client, monkeypatch, inline):
    """Larger ones go by themselves, to the same end."""
    monkeypatch.setattr(room, "_INLINE_BYTES", inline)
    X, y = make_classification(300, 2000, n_informative=40, n_classes=8, random_state=0)
    options = {"C": 1e-4, "tol": 1e-6}
    many = LogisticRegression(random_state=0, **options).fit(*distributed(X, y, cuts=(100, 100, 100)))
    assert many.coef_.nbytes > 1e5  # where map of distributed makes a task of an option
    assert_same_optimum(many, fastlr.LogisticRegression(**options).fit(X, y))


def test_a_tree_of_sums(client, digits, monkeypatch):
    """More bundles than the client adds up itself."""
    monkeypatch.setattr(room, "_BUNDLE_SHARE", 1e-12)
    monkeypatch.setattr(room, "_FAN_IN", 3)
    X, y, weight = distributed(*digits, cuts=(100,) * 17 + (97,))
    training = room._training(LogisticRegression(), X, y, weight, None)
    assert len(training.data.parts.bundles) == 18
    many = LogisticRegression(C=0.01, tol=1e-6, random_state=0).fit(X, y, weight)
    assert_same_optimum(many, fastlr.LogisticRegression(C=0.01, tol=1e-6).fit(*digits))


def sent(client):
    """Bytes that workers have sent so far, to each other and to where results are fetched."""
    totals = client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
    return sum(totals.values())


def test_traffic_of_a_pass_does_not_grow_with_rows(client, monkeypatch):
    d, K, rng = 200, 5, np.random.default_rng(0)
    pickled = []
    submit = client.map

    def measured(function, *iterables, **options):
        pickled.append(len(pickle.dumps(function)))
        return submit(function, *iterables, **options)

    monkeypatch.setattr(client, "map", measured)
    bytes_of_pass = []
    for n in (1000, 5000):
        X, y = distributed(rng.random((n, d)), rng.integers(K, size=n), cuts=(n // 4,) * 4)
        clf = LogisticRegression(C=0.01)
        problem = clf._problems(room._training(clf, X, y, None, None), 1.0, 0.0, 1.0)[0]
        W, b = problem.start(np.float64)
        problem.loss_gradient(W, b)
        before = sent(client)
        pickled.clear()
        problem.loss_gradient(W, b)
        bytes_of_pass.append((sent(client) - before, sum(pickled)))
    weights = 8 * K * d
    for results, arguments in bytes_of_pass:
        assert weights <= results <= 3 * weights + 10_000  # two workers, each sends one gradient
        assert weights <= arguments <= weights + 10_000
    assert abs(bytes_of_pass[0][0] - bytes_of_pass[1][0]) < 1000
    assert abs(bytes_of_pass[0][1] - bytes_of_pass[1][1]) < 1000


def test_predictions_wait_until_they_are_computed(digits):
    def fail():
        raise OSError("not now")

    X = da.from_delayed(dask.delayed(fail)(), (100, 64), dtype=np.float64)
    clf = LogisticRegression(C=0.01).fit(*digits)  # in memory
    lazy = clf.predict(X), clf.predict_proba(X), clf.decision_function(X)
    assert [part.shape for part in lazy] == [(100,), (100, 10), (100, 10)]
    with pytest.raises(OSError, match="not now"):
        lazy[0].compute(scheduler="synchronous")


def test_copies_and_files(client, digits, tmp_path):
    X, y, _ = digits
    clf = LogisticRegression(C=0.01, client=client, random_state=0).fit(*distributed(X, y))
    assert clf.score(*distributed(X, y)) == clf.score(X, y)
    assert clone(clf).client is client
    assert clone(clf).get_params() == clf.get_params()
    again = pickle.loads(pickle.dumps(clf))
    assert again.client is None and type(again) is LogisticRegression
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    fastlr.save(clf, tmp_path / "model.npz")
    loaded = fastlr.load(tmp_path / "model.npz")
    assert type(loaded) is fastlr.LogisticRegression
    assert loaded.dual_gap_ == clf.dual_gap_ and loaded.explain() == clf.explain()
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_allclose(fastlr.to_sklearn(clf).predict_proba(X), clf.predict_proba(X), rtol=1e-6)


def test_blocks_survive_a_move(client, digits):
    """To another worker, or to the disk and back."""
    X, y, _ = digits
    for rows in (X, sp.csr_array(X), X.astype(np.uint8)):
        probe = fastlr.LogisticRegression().fit(X, y)
        block = room._blocks([[(rows, y, None)]], [0], probe, np.arange(10), 1)[0]
        again = pickle.loads(pickle.dumps(block))
        loss = fastlr.losses.SoftmaxOfBlocks(np.ones(10), np.bincount(y).astype(float))
        W, b = block.data.weights(10, np.float64), np.arange(10.0)
        for one, two in zip(
            *(fastlr.blocks.loss_gradient(each, loss, W, b) for each in (block, again)), strict=True
        ):
            np.testing.assert_array_equal(one, two)
        assert dask.sizeof.sizeof(block) > X.size * (rows.dtype.itemsize if rows is not X else 1) // 4


def test_max_time_and_warm_start(client, digits):
    D = distributed(*digits[:2])
    clf = LogisticRegression(C=0.01, tol=1e-6, random_state=0, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clf.fit(*D, max_time=1e-9)
    assert clf.status_ == "max_time" and np.isfinite(clf.dual_gap_)
    clf.fit(*D)
    assert clf.converged_
    clf.fit(*D)
    assert clf.n_iter_[0] <= 1


def test_no_client():
    code = """
import dask.array as da, fastlr.dask
fastlr.dask.LogisticRegression().fit(da.ones((9, 2)), da.arange(9) % 2)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: client must be given, or a distributed.Client be open; found none." in found.stderr


def test_an_interrupt(client, digits, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    At(monkeypatch, client, 6, interrupt)
    clf = LogisticRegression(C=0.01, tol=1e-6, random_state=0)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        clf.fit(*distributed(*digits))
    assert clf.status_ == "interrupted" and np.isfinite(clf.dual_gap_)


def test_bundles():
    """As many as threads, of about one size; more where they would take too much of the memory."""
    sizes = np.array([5.0, 1, 1, 1, 1, 1, 3, 3])
    mine = [0, 1, 2, 3, 4, 5, 7]
    for threads, most in ((1, np.inf), (2, np.inf), (2, 7.0), (16, np.inf)):
        bundles = room._shares(mine, sizes, threads, most)
        assert sorted(i for bundle in bundles for i in bundle) == mine
        filled = [sizes[bundle].sum() for bundle in bundles]
        assert len(bundles) == (7 if threads == 16 else threads * (2 if most == 7 else 1))
        assert max(filled) - min(filled) <= sizes[mine].max()


def test_the_example_runs():
    """Where Dask is not there, it is skipped."""
    text = LogisticRegression.__doc__.replace("  # doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "LogisticRegression", None, 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
