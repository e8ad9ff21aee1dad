"""A fit that is killed goes on from its checkpoint, to the same optimum."""

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fastlr import Blocks, LinearSVC, LogisticRegression
from fastlr.checkpoint import Checkpoint


@pytest.fixture
def data():
    return load_digits(return_X_y=True)


def test_a_killed_fit_goes_on(data, tmp_path):
    """The process dies by SIGKILL after the first block of the pass that follows a checkpoint."""
    path = tmp_path / "fit.npz"
    code = f"""
        import os, signal
        from sklearn.datasets import load_digits
        from fastlr import Blocks, LogisticRegression

        X, y = load_digits(return_X_y=True)

        def source():
            if os.path.exists({str(path)!r}):
                os.kill(os.getpid(), signal.SIGKILL)
            yield X[:1000], y[:1000]
            yield X[1000:], y[1000:]

        LogisticRegression(C=0.01, tol=1e-7, random_state=0).fit(Blocks(source), checkpoint={str(path)!r})
        """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=100)
    assert killed.returncode == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir()] == ["fit.npz"]
    X, y = data
    blocks = Blocks([(X[:1000], y[:1000]), (X[1000:], y[1000:])])
    clf = LogisticRegression(C=0.01, tol=1e-7, random_state=0)
    again = clf.fit(blocks, checkpoint=path)
    history = again.history_["objective"]
    whole = LogisticRegression(C=0.01, tol=1e-7, random_state=0).fit(blocks)
    assert again.converged_
    assert history[0] < whole.null_objective_ / 2  # it did not begin at the beginning
    assert abs(again.objective_ - whole.objective_) <= again.dual_gap_ + whole.dual_gap_


def test_a_fit_that_goes_on_keeps_what_it_has_not_come_to(data, tmp_path, monkeypatch):
    """Of a problem for each class, the later ones are kept as they were in the file."""
    path, files = tmp_path / "fit.npz", []
    svc = LinearSVC(C=0.01).fit(*data, checkpoint=path)
    keep = Checkpoint.keep
    monkeypatch.setattr(
        Checkpoint, "keep", lambda self, *args, **kind: (files.append(args), keep(self, *args))
    )
    svc.fit(*data, checkpoint=path)
    assert len(files) > 10  # one for each class at least
    for coef, intercept in files:
        np.testing.assert_allclose(coef, svc.coef_, atol=1e-4)
        np.testing.assert_allclose(intercept, svc.intercept_, atol=1e-4)


def test_what_is_no_checkpoint_is_refused(data, tmp_path):
    clf, path = LogisticRegression(C=0.01), tmp_path / "other.npz"
    for value in (True, 3):
        with pytest.raises(TypeError, match="checkpoint must be None or a path"):
            clf.fit(*data, checkpoint=value)
    with pytest.raises(FileNotFoundError, match="needs a folder"):
        clf.fit(*data, checkpoint=tmp_path / "none" / "fit.npz")
    with pytest.raises(IsADirectoryError):
        clf.fit(*data, checkpoint=tmp_path)
    good = {"coef": np.zeros((10, 64)), "intercept": np.zeros(10)}
    about = np.frombuffer(b'{"classes": []}', dtype=np.uint8)
    for others in ({"about": np.arange(3)}, {"about": about, "coef": np.full((10, 64), "a")}):
        np.savez(path, **good | others)
        with pytest.raises(ValueError, match="not a file that a fit has written"):
            clf.fit(*data, checkpoint=path)
    assert not hasattr(clf, "coef_")


@pytest.mark.parametrize("model", [LogisticRegression(C=0.01, solver="lbfgs"), LinearSVC(C=0.01)])
def test_a_fit_that_ended_begins_at_its_end(data, tmp_path, model):
    first = model.fit(*data, checkpoint=tmp_path / "fit.npz")
    coef, n_iter = first.coef_.copy(), np.sum(first.n_iter_)
    again = model.fit(*data, checkpoint=str(tmp_path / "fit.npz"))
    np.testing.assert_allclose(again.coef_, coef, atol=1e-4)
    assert np.sum(again.n_iter_) < n_iter


def test_what_does_not_fit_is_refused(data, tmp_path):
    X, y = data
    path = tmp_path / "fit.npz"
    clf = LogisticRegression(C=0.01).fit(X, y, checkpoint=path)
    before = clf.coef_.copy()
    with pytest.raises(ValueError, match=r"holds weights of shape \(10, 64\)"):
        clf.fit(X[:, :5], y, checkpoint=path)
    with pytest.raises(ValueError, match="for the classes 0, 1"):
        clf.fit(X, y + 1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="not an intact npz file"):
        clf.fit(X, y, checkpoint=path)
    np.testing.assert_array_equal(clf.coef_, before)
    Checkpoint(path, clf.classes_).keep(before * np.nan, clf.intercept_)
    with pytest.raises(ValueError, match="not finite"):
        clf.fit(X, y, checkpoint=path)
    with pytest.raises(OSError, match="nowhere"):
        clf.fit(X, y, checkpoint=tmp_path / "nowhere" / "fit.npz")
    np.testing.assert_array_equal(clf.coef_, before)


def test_checkpoints_take_little_of_the_time(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("fastlr.checkpoint.time.monotonic", lambda: clock[0])
    keeper, path = Checkpoint(tmp_path / "fit.npz", np.arange(2)), tmp_path / "fit.npz"

    def keep(value, **options):
        keeper.keep(np.full((1, 3), value), np.zeros(1), **options)
        return keeper.load((1, 3))[0][0, 0]

    assert keep(1.0) == 1
    clock[0] = 0.5
    assert keep(2.0) == 1
    assert keep(3.0, is_last=True) == 3
    clock[0] = 2.0
    assert keep(4.0) == 4
    assert path.exists()


def test_blocks_and_arrays_share_checkpoints(data, tmp_path):
    X, y = data
    path = tmp_path / "fit.npz"
    one = LogisticRegression(C=0.01, tol=1e-5).fit(X, y, checkpoint=path)
    many = LogisticRegression(C=0.01, tol=1e-5).fit(Blocks([(X, y)]), checkpoint=path)
    assert many.history_["objective"][0] == pytest.approx(one.objective_, rel=1e-12)
