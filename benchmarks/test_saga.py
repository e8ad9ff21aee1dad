"""The tutorial's fit: L1 multinomial regression of standardised images to tol 0.1, by SAGA."""

import pytest

from benchmarks import peers, workloads
from benchmarks.kernels import Cost
from fastlr import LogisticRegression
from fastlr.data import available_threads


@pytest.fixture(scope="module")
def work(images, full):
    """Standardised rows, their classes and C."""
    n = 5000 if full else 1500
    # The images are shuffled, as the tutorial's rows are.
    X, y = workloads.standardised(images[0][:n]), images[1][:n]
    return X, y, 50 / n


@pytest.fixture(scope="module")
def peer_objective(work):
    return objective(work, fit_sklearn(work))


def objective(work, fit):
    X, y, C = work
    return workloads.objective(X, y, C, fit.coef_, fit.intercept_)


def fit_threads():
    return min(2, available_threads())


def fit_sklearn(work):
    X, y, C = work
    return peers.sklearn_model(C, solver="saga", tol=0.1).fit(X, y)


def fit_fastlr(work):
    X, y, C = work
    return LogisticRegression(C=C, penalty="l1", solver="saga", tol=0.1, random_state=0).fit(X, y)


@pytest.mark.benchmark(group="L1 multinomial regression, tol 0.1")
def test_fastlr(benchmark, against_ceiling, work, peer_objective):
    fit = benchmark.pedantic(fit_fastlr, (work,), rounds=5, warmup_rounds=1)
    # The epochs alone: what certificates and scaling cost is not counted.
    epochs, X = int(fit.n_iter_[0]), work[0]
    against_ceiling(Cost(4.0 * X.size * 10 * epochs, float(X.nbytes * epochs), "float64"), fit_threads())
    benchmark.extra_info["objective"] = fit.objective_
    assert fit.objective_ == pytest.approx(objective(work, fit), rel=1e-6)
    assert fit.objective_ <= peer_objective


@pytest.mark.benchmark(group="L1 multinomial regression, tol 0.1")
def test_sklearn(benchmark, work):
    fit = benchmark.pedantic(fit_sklearn, (work,), rounds=3)
    benchmark.extra_info["objective"] = objective(work, fit)
