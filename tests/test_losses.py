"""The softmax loss: its null model, its curvature, its two-class form."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fastlr.losses import Softmax

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
