"""Screening: what is left out is zero at the optimum, and near it most of the zeros are left out."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from fastlr.certificate import certify
from fastlr.data import Data
from fastlr.losses import Softmax, SquaredHinge
from fastlr.penalties import ElasticNet
from fastlr.problem import LinearProblem
from fastlr.screening import gap_safe, strong_rule
from fastlr.solvers import SOLVERS

from .test_certificate import PENALTIES
from .test_solvers import run

KINDS = {
    "2 classes": (2, "free"),
    "2 classes without intercept": (2, "none"),
    "3 classes": (3, "free"),
    "5 classes without intercept": (5, "none"),
    "5 classes": (5, "free"),
    "hinge": ("hinge", "free"),
    "hinge without intercept": ("hinge", "none"),
    "hinge with a penalised intercept": ("hinge", "penalised"),
}


def make(kind, seed=0, storage="dense", penalty="l1", strength=0.3, d=30):
    """More features than matter, in several units; l1 is a part of what keeps all weights out."""
    n_classes, intercept = KINDS[kind]
    rng = np.random.default_rng(seed)
    n, K = 50, 2 if n_classes == "hinge" else n_classes
    X = rng.standard_normal((n, d)) * rng.uniform(0.5, 2, d)
    y = np.argmax(X @ rng.standard_normal((d, K)) + rng.gumbel(size=(n, K)), axis=1).astype(np.int32)
    X = X + (1.0 if storage == "dense" else 0.0)
    X = sp.csr_matrix(X * (rng.random((n, d)) < 0.5)) if storage == "csr" else X
    s = rng.uniform(0, 3, n) * (rng.random(n) < 0.9)
    loss = SquaredHinge(y, s) if n_classes == "hinge" else Softmax(y, s, K)
    data, units = Data(X), rng.uniform(0.5, 2, d)
    moments = data.moments(loss)
    free = intercept == "free" and storage == "dense"
    shift = moments.mean if free else np.linspace(-0.2, 0.3, d) * (storage == "dense")
    unit = 0.4 if intercept == "penalised" else 0.0
    none = ElasticNet(1.0, 0.0, units, unit)
    problem = LinearProblem(data, loss, none, moments, shift, intercept != "none")
    l1, l2 = PENALTIES[penalty]
    strength *= np.max(np.abs(problem.null_gradient) / units)
    return replace(problem, penalty=ElasticNet(l1 * strength, 0.1 * l2 * strength, units, unit))


def solve(problem):
    result = run(problem, "newton-cd", tol=1e-10, max_iter=200, pace=np.inf)
    assert result.converged
    return result.W, result.b


def points(problem, W, b, rng):
    """On the way to the optimum, beside the way, and far from it."""
    W0, b0 = problem.start(np.float64)
    for t in (1.0, 0.5, 0.1, 1e-2, 1e-3, 1e-4):
        yield W + t * (W0 - W), b + t * (b0 - b)
        noise = t * rng.standard_normal(W.shape) * (rng.random(W.shape) < 0.2)
        yield W + noise / problem.penalty.units, b + t * problem.fit_intercept
    yield 100 * W, b


def iterates(problem, seed):
    """What saga goes through."""
    W, b = problem.start(np.float64)
    steps = SOLVERS["saga"].steps(problem, W, b, np.random.default_rng(seed), np.dtype(np.float64))
    next(steps)
    for _ in range(30):
        iterate = steps.send(None)
        if iterate is not None:
            yield tuple(part.copy() for part in iterate)


def spreads(problem):
    """sqrt(sum_i s_i (x_ij - c_j)^2), c the mean for a free intercept, else the shift."""
    X, s = problem.data.X, problem.loss.s
    X = X.toarray() if sp.issparse(X) else X
    centre = np.average(X, axis=0, weights=s) if problem.intercept_is_free else problem.shift
    return np.sqrt(s @ (X - centre) ** 2)


def distance(problem, certificate, V):
    """|V - V*| as a part of what the gap allows."""
    factor = 2.0 if isinstance(problem.loss, SquaredHinge) else np.sqrt(0.5)
    size = factor * np.sqrt(certificate.gap) * spreads(problem)
    return np.max(np.abs(certificate.V - V) / size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("seed", range(3))
def test_no_weight_of_the_optimum_is_left_out(kind, storage, penalty, seed):
    problem = make(kind, seed, storage, penalty, strength=(0.1, 0.3, 0.7)[seed])
    W, b = solve(problem)
    # The optimal dual point is minus the gradient; known to the root of a gap of 1e-10, and no better.
    V = -certify(problem, W, b).G
    support = np.abs(W * problem.penalty.units) > 1e-6
    assert 0 < np.count_nonzero(support) < support.size
    for point in (*points(problem, W, b, np.random.default_rng(seed)), *iterates(problem, seed)):
        certificate = certify(problem, *point)
        assert np.all(gap_safe(problem, certificate)[support])
        if certificate.gap > 1e-6 * problem.null_objective:
            assert distance(problem, certificate, V) <= 1.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_zeros_are_left_out_near_the_optimum(kind, penalty):
    problem = make(kind, penalty=penalty)
    W, b = solve(problem)
    support, shares = W != 0, []
    for shrink in (0.3, 1e-3, 1e-6):
        possible = gap_safe(problem, certify(problem, (1 - shrink) * W, b))
        shares.append(np.mean(~possible[~support]))
    assert shares == sorted(shares) and shares[-1] > 0.9
    possible = gap_safe(problem, certify(problem, W, b))
    np.testing.assert_array_equal(possible, support)


@pytest.mark.parametrize("kind, curvature", [("2 classes", 10.0), ("hinge", 80.0)])
def test_the_ball_is_no_larger_than_it_must_be(kind, curvature):
    """One feature that explains all residuals, under an L2 penalty as curved as the loss: a quarter of the
    gap is the loss's part of D* - D, all of it along the feature, so that half the radius is needed. (The
    squared hinge scales its dual point, which brings it a little nearer.)"""
    problem = make(kind, d=1)
    X = np.repeat([[-1.0], [1.0]], 20, axis=0)
    y = np.r_[np.tile([0, 0, 0, 1], 5), np.tile([1, 1, 1, 0], 5)].astype(np.int32)
    data, loss = Data(X), replace(problem.loss, y=y, s=np.ones(40))
    moments = data.moments(loss)
    problem = replace(problem, data=data, loss=loss, moments=moments, shift=moments.mean)
    problem = replace(problem, penalty=ElasticNet(0.0, curvature, np.ones(1)))
    W, b = run(problem, "lbfgs", tol=1e-12).W, np.zeros(1)
    V = -certify(problem, W, b).G
    for t in (0.8, 1.2):
        assert 0.4 < distance(problem, certify(problem, t * W, b), V) < 0.55


@pytest.mark.parametrize("kind", ["3 classes", "hinge"])
def test_without_an_l1_part_nothing_is_left_out(kind):
    problem = make(kind, penalty="l2")
    W, b = run(problem, "lbfgs", tol=1e-9).W, np.zeros(len(problem.null_intercept))
    assert np.all(gap_safe(problem, certify(problem, W, b)))


@pytest.mark.parametrize("kind", ["3 classes", "hinge"])
def test_the_trivial_bound_has_the_trivial_dual_point(kind):
    problem = make(kind)
    rng = np.random.default_rng(0)
    W, b = problem.start(np.float64)
    certificate = certify(problem, W + 1e3 * rng.standard_normal(W.shape), b)
    if certificate.gap == certificate.objective:
        assert not certificate.V.any()
    assert np.all(gap_safe(problem, certificate))


# ---- the strong rule ------------------------------------------------------------------------------


def part(problem, keep):
    """The problem on some features."""
    data = Data(problem.data.X[:, keep])
    penalty = replace(problem.penalty, units=problem.penalty.units[keep])
    moments = data.moments(problem.loss)
    return replace(problem, data=data, penalty=penalty, moments=moments, shift=problem.shift[keep])


def solve_screened(problem, W, b, C_ratio):
    """The optimum from that of another C, on the features that the rule and the old support name, and those
    that violate optimality then; the number of these, and of the features left out."""
    keep = strong_rule(problem, problem.loss_gradient(W, b)[1], C_ratio).any(axis=0) | W.any(axis=0)
    n_added = 0
    while True:
        W = np.zeros(W.shape)
        W[:, keep], b = solve(part(problem, keep))
        G = problem.loss_gradient(W, b)[1] + problem.penalty.smooth_gradient(W)
        violators = np.any(np.abs(G) > problem.penalty.thresholds * (1 + 1e-4), axis=0) & ~keep
        if not violators.any():
            return W, b, n_added, np.mean(~keep)
        n_added += np.count_nonzero(violators)
        keep |= violators


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_strong_rule_along_a_path(kind, penalty, storage):
    first = make(kind, storage=storage, penalty=penalty, strength=0.9)
    W, b = solve(first)
    left_out, C = [], 1.0
    for ratio in (1.2, 1.5, 1.2, 1.2, 0.8):
        C *= ratio
        problem = first.scaled(C)
        W, b, n_added, share = solve_screened(problem, W, b, ratio)
        left_out.append(share)
        assert n_added <= 2  # it fails now and then, by a little
        whole = solve(problem)
        np.testing.assert_allclose(W, whole[0], atol=1e-3 * np.abs(whole[0]).max())
        assert np.all((W != 0)[np.abs(whole[0]) > 1e-3 * np.abs(whole[0]).max()])
    assert max(left_out) > 0.3


@pytest.mark.parametrize("C_ratio", [0.5, 0.9, 1.0, 1.3, 1.9])
def test_strong_rule_keeps_what_the_old_solution_holds(C_ratio):
    old = make("3 classes")
    W, b = solve(old)
    problem = old.scaled(C_ratio)
    mask = strong_rule(problem, problem.loss_gradient(W, b)[1], C_ratio)
    assert np.all(mask[W != 0])
    if C_ratio <= 1:
        np.testing.assert_array_equal(mask, W != 0)


def test_strong_rule_of_large_steps_keeps_everything():
    problem = make("3 classes")
    assert np.all(strong_rule(problem, np.zeros((3, 30)), 2.0))
