"""The judge of `benchmarks.certified` agrees with every fit, and its rows tell what happened."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import peers, workloads
from benchmarks.contest import Peer, Work, rows_of
from fastlr import LinearSVC, LogisticRegression


@pytest.fixture(scope="module")
def two():
    """Two classes of small images."""
    X, y = workloads.mnist_like(1500)
    rows = y < 2
    return X[rows] / 255, y[rows]


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("classes", [2, 10])
def test_objective(penalty, classes):
    X, y = workloads.mnist_like(800)
    X, y = X / 255, y % classes
    fit = LogisticRegression(penalty, C=0.1, tol=1e-2).fit(X, y)
    l1_ratio = float(penalty == "l1")
    found = workloads.objective(X, y, 0.1, fit.coef_, fit.intercept_, l1_ratio=l1_ratio)
    assert found == pytest.approx(fit.objective_, rel=1e-9)


def test_objective_of_squared_hinge(two):
    X, y = two
    fit = LinearSVC("l1", C=0.1, tol=1e-2).fit(X, y)
    found = workloads.objective(
        X, y, 0.1, fit.coef_, fit.intercept_, losses=workloads.squared_hinge_losses, intercept_penalty=1
    )
    assert found == pytest.approx(fit.objective_, rel=1e-9)


@pytest.mark.parametrize("name", ["adelie", "glum", "skglm"])
def test_peers_minimise_the_same(two, name):
    X, y = two
    C = 1.0
    try:
        rival = getattr(peers, name)(X, y, C)()
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    fit = LogisticRegression("l1", C=C, tol=1e-4).fit(X, y)
    found = workloads.objective(X, y, C, rival.coef_, rival.intercept_)
    assert fit.objective_ - fit.dual_gap_ <= found <= fit.objective_ * 1.001


def test_rows(two):
    X, y = two
    C = 1.0
    objective = partial(workloads.objective, X, y, C)
    work = Work(
        "work",
        lambda tol: LogisticRegression("l1", C=C, tol=tol, random_state=0).fit(X, y),
        objective,
        [
            Peer("SAGA", lambda: peers.sklearn(X, y, C, solver="saga", tol=1e-2)),
            Peer("nobody", _absent),
        ],
    )
    first, second = rows_of(work, SimpleNamespace(quick=False, repeats=1))
    assert "against SAGA" in first[0]
    assert "DOES NOT" not in first[4] and "BELOW" not in first[4] and "SAYS" not in first[4]
    assert second[4] == "not installed: fastlr_peer_that_is_absent"


def test_impossible_objectives_are_told(two):
    X, y = two
    nothing = SimpleNamespace(coef_=np.zeros((1, 784)), intercept_=np.zeros(1))
    work = Work(
        "work",
        lambda tol: LogisticRegression("l1", tol=max(tol, 1e-3), random_state=0).fit(X, y),
        lambda coef, intercept: workloads.objective(X, y, 1.0, coef, intercept) if np.any(coef) else 0.0,
        [Peer("cheat", lambda: lambda: nothing)],
    )
    (row,) = rows_of(work, SimpleNamespace(quick=False, repeats=1))
    assert "DOES NOT REACH 0" in row[4] and "PEER IS BELOW THE CERTIFIED BOUND" in row[4]


def _absent():
    import fastlr_peer_that_is_absent  # noqa: F401
