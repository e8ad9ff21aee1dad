"""The losses: null model, curvature, slopes at constant scores; the two-class form of the softmax."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from fastlr.losses import Softmax, SquaredHinge

from . import reference

CLASSES = [2, 3, 7]


def softmax_loss(n_classes, n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n).astype(np.int32)
    y[:n_classes] = np.arange(n_classes)
    return Softmax(y, rng.uniform(0, 2, n) * (rng.random(n) < 0.8), n_classes)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_class_masses(n_classes):
    loss = softmax_loss(n_classes)
    expected = [loss.s[loss.y == k].sum() for k in range(n_classes)]
    np.testing.assert_allclose(loss.class_mass, expected)
    columns = expected[1:] if n_classes == 2 else expected
    np.testing.assert_allclose(loss.column_mass, columns)
    assert loss.n_columns == len(columns)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_null_model_is_the_best_intercept(n_classes):
    loss = softmax_loss(n_classes)

    def value(b):
        return reference.loss(np.tile(b, (len(loss.y), 1)), loss.y, loss.s)

    found = minimize(value, np.zeros(loss.n_columns), method="BFGS", options={"gtol": 1e-7})
    assert loss.null_loss(fit_intercept=True) == pytest.approx(found.fun, rel=1e-10)
    assert value(loss.null_intercept()) == pytest.approx(found.fun, rel=1e-10)
    assert loss.null_loss(fit_intercept=False) == pytest.approx(value(np.zeros(loss.n_columns)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_null_model_with_a_class_without_mass(n_classes):
    loss = softmax_loss(n_classes)
    loss = Softmax(loss.y, np.where(loss.y == 1, 0.0, loss.s), n_classes)
    b = loss.null_intercept()
    assert np.all(np.isfinite(b))
    attained = reference.loss(np.tile(b, (len(loss.y), 1)), loss.y, loss.s)
    infimum = loss.null_loss(fit_intercept=True)
    assert infimum <= attained <= infimum + 1e-6 * loss.s.sum()


@pytest.mark.parametrize("n_classes", CLASSES)
def test_curvature_bounds_the_hessian_and_is_attained(n_classes):
    """The Hessian in the scores is diag(p) - pp' without p's first entry for two classes; the bound is
    met at p = (1/2, 1/2, 0, ...)."""
    bound = softmax_loss(n_classes).curvature
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.full(n_classes, 0.3), 200)
    P[0] = np.r_[0.5, 0.5, np.zeros(n_classes - 2)]
    hessians = np.einsum("ik,kl->ikl", P, np.eye(n_classes)) - np.einsum("ik,il->ikl", P, P)
    if n_classes == 2:
        hessians = hessians[:, 1:, 1:]
    largest = np.linalg.eigvalsh(hessians)[:, -1]
    assert largest.max() <= bound + 1e-15
    assert largest[0] == pytest.approx(bound)


def hinge(loss):
    return SquaredHinge(loss.y, loss.s)


@pytest.mark.parametrize("penalty", [(), (3.0, 0.0), (0.0, 5.0), (3.0, 5.0), (1e3, 0.0)])
@pytest.mark.parametrize("seed", range(3))
def test_null_model_of_the_squared_hinge(penalty, seed):
    loss = hinge(softmax_loss(2, seed=seed))
    threshold, curvature = penalty or (0.0, 0.0)

    def value(b):
        Z = np.full((len(loss.y), 1), b)
        return reference.hinge_loss(Z, loss.y, loss.s) + threshold * abs(b) + curvature / 2 * b**2

    found = minimize_scalar(value, bounds=(-2, 2), method="bounded", options={"xatol": 1e-10})
    b = loss.null_intercept(*penalty)
    assert b.shape == (1,)
    assert b[0] == pytest.approx(found.x, abs=1e-6)
    assert loss.null_loss(True, *penalty) == pytest.approx(value(b[0]), rel=1e-12)
    assert value(b[0]) <= found.fun * (1 + 1e-12)
    assert loss.null_loss(False, *penalty) == pytest.approx(value(0.0), rel=1e-12)
    if threshold == 1e3:
        assert b[0] == 0


@pytest.mark.parametrize("absent", [0, 1])
def test_null_model_of_the_squared_hinge_with_one_class(absent):
    loss = softmax_loss(2)
    loss = SquaredHinge(loss.y, np.where(loss.y == absent, 0.0, loss.s))
    np.testing.assert_array_equal(loss.null_intercept(), [1.0 if absent == 0 else -1.0])
    assert loss.null_loss(fit_intercept=True) == 0


def test_curvature_of_the_squared_hinge():
    """The second derivative is 2 within the margin, 0 beyond."""
    z, h = np.linspace(-3, 3, 61)[:, None] + 0.01, 1e-3
    y, s = np.ones(61, np.int32), np.ones(61)
    ahead, behind = (reference.hinge_residuals(z + e, y, s) for e in (h, -h))
    bound = SquaredHinge(y, s).curvature
    second = (ahead - behind) / (2 * h)
    assert second.max() == pytest.approx(bound) and second.min() == 0
    # The residuals are the derivative of the loss.
    for i in range(61):
        slope = (
            reference.hinge_loss(z[[i]] + h, y[:1], s[:1]) - reference.hinge_loss(z[[i]] - h, y[:1], s[:1])
        ) / (2 * h)
        found = reference.hinge_residuals(z[[i]], y[:1], s[:1])[0, 0]
        assert found == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_constant_slopes(n_classes):
    loss = softmax_loss(n_classes)
    losses = [(loss, reference.residuals, 3.0)]
    if n_classes == 2:
        losses.append((hinge(loss), reference.hinge_residuals, 1.0))
    for loss, residuals, size in losses:
        for seed in range(5):
            b = np.random.default_rng(seed).uniform(-size, size, loss.n_columns)
            common, own = loss.constant_slopes(b)
            expected = residuals(np.tile(b, (len(loss.y), 1)), loss.y, loss.s)
            labels = reference.onehot(loss.y, loss.n_columns)[:, -loss.n_columns :]
            np.testing.assert_allclose(loss.s[:, None] * (common - own * labels), expected, atol=1e-14)
