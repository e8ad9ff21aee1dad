"""Fits that cannot fit in memory are refused before they begin, and no others; so is X whose file was cut."""

import mmap
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import fastlr
from fastlr import memory
from fastlr._kernels import passes

KINDS = ("LogisticRegression", "LogisticRegressionCV", "LinearSVC", "LinearSVCCV", "SGDClassifier")


def run(code, *arguments):
    """What a process of its own prints."""
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


HUGE = """
import resource, sys
import numpy as np
import scipy.sparse as sp
import fastlr

resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, resource.RLIM_INFINITY))
X = sp.csr_array((np.ones(20_000), np.arange(20_000) * 100, np.arange(20_001)), shape=(20_000, 2_000_000))
y = np.arange(20_000) // 2
for name in sys.argv[1:]:
    clf = getattr(fastlr, name)().fit([[0.0], [1.0]] * 5, [0, 1] * 5)
    before = clf.coef_
    try:
        clf.fit(X, y)
    except MemoryError as error:
        print(error)
    assert clf.coef_ is before
    clf.fit([[0.0], [1.0]] * 5, [0, 1] * 5)
try:
    fastlr.MLPClassifier(10_000).fit(np.zeros((2, 200_000), dtype=np.uint8), [0, 1])
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux only")
def test_what_cannot_fit_is_refused_and_the_model_kept():
    told = run(HUGE, *KINDS).splitlines()
    assert len(told) == len(KINDS) + 1
    for line, kind in zip(told, (*KINDS, "MLPClassifier"), strict=True):
        sizes = "10,000 hidden units on 2 x 200,000" if kind == "MLPClassifier" else "10,000 x 2,000,000"
        assert sizes in line and "GB of memory; available are" in line and "Use fewer features or" in line


PEAK = """
import sys
import numpy as np
import scipy.sparse as sp
import fastlr
from fastlr import data, memory

asked = []
memory.require = data.require = lambda need, *texts: asked.append(need)
name, n, d, K, kind = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
rng = np.random.default_rng(0)
X = sp.random_array((n, d), density=20 / d, format="csr", random_state=rng) if kind == "csr" else (
    rng.random((n, d), dtype=np.float32).astype(kind))
options = {"max_iter": 1} | ({"hidden_layer_sizes": 500} if "MLP" in name else {})
clf = getattr(fastlr, name)(**options).fit(rng.random((30, 3)), np.arange(30) % 3)
asked.clear()


def kilobytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


before = kilobytes("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # from here on counts the peak
clf.fit(X, np.arange(n) % K)
print(max(asked), 1024 * (kilobytes("VmHWM") - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("LogisticRegression", (300, 20_000, 40, "csr")),
        ("LogisticRegression", (5_000, 1_000, 100, "float32")),
        ("LinearSVC", (600, 20_000, 40, "csr")),
        ("LinearSVC", (2_000, 5_000, 30, "float64")),
        ("SGDClassifier", (600, 20_000, 100, "csr")),
        ("MLPClassifier", (600, 20_000, 10, "float64")),
    ],
)
def test_estimates_are_low_but_not_much(name, shape):
    """What is refused would not have fitted; of what a fit really takes a fifth at least is foreseen."""
    need, peak = map(float, run(PEAK, name, *shape).split())
    assert 0.2 * peak < need < peak + 2e6


@pytest.fixture
def files(tmp_path, monkeypatch):
    """/proc and /sys/fs/cgroup, to be written by the test."""

    def write(path, text):
        path = tmp_path / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(memory, "_ROOT", tmp_path)
    write("/proc/meminfo", "MemTotal: 4000 kB\nMemAvailable: 3000 kB\nSwapFree: 500 kB\nHugePages_Total: 0\n")
    write("/proc/self/cgroup", "0::/app/own\n")
    return write


def test_the_machine(files):
    assert memory.available() == 3500 * 1024


def test_limits_of_control_groups(files):
    files("/sys/fs/cgroup/app/own/memory.max", "max\n")
    assert memory.available() == 3500 * 1024
    files("/sys/fs/cgroup/app/memory.max", "2000000\n")
    assert memory.available() == 2000000
    files("/sys/fs/cgroup/memory.max", "1000000\n")
    assert memory.available() == 1000000
    page = memory.resource.getpagesize()
    files("/proc/self/statm", "100 50 20 1 0 30 0\n")  # 30 pages of its own are taken already
    assert memory.available() == 1000000 - 30 * page


def test_limits_of_old_control_groups_in_a_container(files):
    files("/proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n0::/\n")
    files("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n")
    assert memory.available() == 700000


def test_without_files(files, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_ROOT", tmp_path / "nowhere")
    assert memory.available() > 1e8


def test_what_fits_is_not_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1e9)
    memory.require(1e9, "A fit", "Use less.")
    with pytest.raises(
        MemoryError, match=r"A fit needs at least 1\.1 GB of memory; available are 1\.0 GB\. U"
    ):
        memory.require(1.1e9, "A fit", "Use less.")


def test_folds_count(monkeypatch):
    """All models of a cross-validation are kept."""
    monkeypatch.setattr(memory, "available", lambda: 1e9)
    X, y = sp.random_array((40, 400_000), density=1e-4, format="csr", random_state=0), np.arange(40) % 4
    clf = fastlr.LogisticRegressionCV(Cs=30, cv=4)
    with pytest.raises(MemoryError, match=r"120 models of 1,600,000 weights.* Use fewer values in the grid"):
        clf.fit(X, y)


# ---- files that become shorter ----------------------------------------------------------------------

ROWS, FEATURES = 40_000, 100


def mapped(path, how):
    """Rows in a file, with a view of it."""
    X = np.random.default_rng(0).normal(size=(ROWS, FEATURES))
    if how == "npy":
        with open(path, "wb") as file:
            np.save(file, X)
        return np.load(path, mmap_mode="r")
    offset = mmap.ALLOCATIONGRANULARITY + 8
    path.write_bytes(bytes(offset) + X.tobytes())
    if how == "view":
        return np.memmap(path, "f8", "r", offset, X.shape)[10:, ::2]
    if how == "plain":
        return np.asarray(np.memmap(path, "f8", "r", offset, X.shape))
    with open(path, "rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), offset=offset).reshape(
            X.shape
        )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps files that are mapped")
@pytest.mark.parametrize("how", ["npy", "view", "plain", "buffer"])
@pytest.mark.parametrize("left", [0, 0.5, 0.999])
def test_a_file_cut_before_the_fit_is_refused(tmp_path, how, left):
    X = mapped(tmp_path / "X", how)
    y = np.arange(len(X)) % 2
    clf = fastlr.LogisticRegression(max_iter=1, tol=1).fit(X, y)
    coef, expected = clf.coef_, clf.predict(X)
    os.truncate(tmp_path / "X", int(left * os.path.getsize(tmp_path / "X")))
    for call in (lambda: clf.fit(X, y), lambda: clf.predict(X)):
        with pytest.raises(OSError, match=r"X is mapped from a file that has become shorter: [0-9,]+ bytes"):
            call()
    assert clf.coef_ is coef and len(expected) == len(y)


def test_other_maps_are_left_alone(tmp_path):
    room = np.frombuffer(mmap.mmap(-1, 80)).reshape(5, 2)
    memory.Mapping(room).check()
    memory.Mapping("X").check()
    X = mapped(tmp_path / "X", "npy")
    memory.Mapping(X.copy()).check()
    with open(tmp_path / "X", "ab") as file:
        file.write(b"more")
    memory.Mapping(X).check()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps files that are mapped")
def test_a_file_cut_under_the_fit_ends_it_between_kernels(tmp_path, monkeypatch):
    """Rows go through in several calls; before each the file is looked at."""
    monkeypatch.setattr("fastlr.data.CALL_WORK", 1e5)
    X, y, calls, real = mapped(tmp_path / "X", "npy"), np.arange(ROWS) % 2, [], passes.loss_gradient

    def cut(*arguments):
        calls.append(os.truncate(tmp_path / "X", os.path.getsize(tmp_path / "X") // 2) if not calls else None)
        return real(*arguments)

    clf = fastlr.LogisticRegression(solver="lbfgs").fit(X[:50], y[:50])
    coef = clf.coef_
    monkeypatch.setattr("fastlr.data.passes.loss_gradient", cut)
    with pytest.raises(OSError, match="has become shorter"):
        clf.fit(X, y)
    assert len(calls) == 1 and clf.coef_ is coef
