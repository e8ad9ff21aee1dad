"""The elastic net: value, gradient, conjugate, feasibility."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from fastlr.penalties import ElasticNet

K, D = 3, 4
UNITS = np.array([1.0, 0.01, 30.0, 2.0])
STRENGTHS = [(0.0, 0.0), (0.7, 0.0), (0.0, 1.3), (0.7, 1.3)]
every_penalty = pytest.mark.parametrize(
    "penalty", [ElasticNet(l1, l2, UNITS) for l1, l2 in STRENGTHS], ids=map(str, STRENGTHS)
)


def draw(seed, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((K, D))


@every_penalty
def test_value(penalty):
    W = draw(0)
    expected = sum(
        penalty.l1 * abs(u * w) + penalty.l2 / 2 * (u * w) ** 2
        for row in W
        for u, w in zip(UNITS, row, strict=True)
    )
    assert penalty.value(W) == pytest.approx(expected)
    assert penalty.value(np.zeros((K, D))) == 0


@every_penalty
def test_thresholds_and_curvatures_are_those_of_the_value(penalty):
    """Along one weight w > 0 the value is threshold w + curvature/2 w^2."""
    for j in range(D):
        W = np.zeros((K, D))
        W[1, j] = 0.3
        expected = penalty.thresholds[j] * 0.3 + penalty.curvatures[j] / 2 * 0.3**2
        assert penalty.value(W) == pytest.approx(expected)


@every_penalty
def test_smooth_gradient(penalty):
    smooth = ElasticNet(0.0, penalty.l2, UNITS)
    W, direction, h = draw(1), draw(2), 1e-4
    slope = (smooth.value(W + h * direction) - smooth.value(W - h * direction)) / (2 * h)
    assert np.sum(penalty.smooth_gradient(W) * direction) == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("l1", [0.0, 0.7])
def test_conjugate_is_the_supremum(l1):
    penalty, V = ElasticNet(l1, 1.3, UNITS), draw(3, scale=2.0)
    supremum = 0.0
    for v, u in zip(V.ravel(), np.tile(UNITS, K), strict=True):
        size = (abs(v) / u + 1) / u  # the maximiser is within
        found = minimize_scalar(
            lambda w, v=v, u=u: l1 * abs(u * w) + 1.3 / 2 * (u * w) ** 2 - v * w,
            bounds=(-size, size),
            method="bounded",
            options={"xatol": 1e-10 * size},
        )
        supremum -= min(found.fun, 0.0)
    assert penalty.conjugate(V) == pytest.approx(supremum, rel=1e-8)


@pytest.mark.parametrize("l1", [0.0, 0.7])
def test_conjugate_without_l2_is_an_indicator(l1):
    penalty = ElasticNet(l1, 0.0, UNITS)
    assert penalty.conjugate(np.tile(l1 * UNITS, (K, 1))) == 0
    assert penalty.conjugate(np.tile(l1 * UNITS + 1e-6, (K, 1))) == np.inf


@every_penalty
@pytest.mark.parametrize("intercept_unit", [0.0, 0.4])
@pytest.mark.parametrize("scale", [0.1, 5.0])
@pytest.mark.parametrize("order", ["C", "F"])
def test_conjugate_along_a_line(penalty, intercept_unit, scale, order):
    penalty = replace(penalty, intercept_unit=intercept_unit)
    V, V_b = np.asarray(draw(5, scale), order=order), draw(6, scale)[:, 0] * (intercept_unit > 0)
    along = penalty.conjugate_along(V, V_b)
    for c in (0.0, 1e-3, 0.3, 1.0):
        assert along(c) == pytest.approx(penalty.conjugate(c * V, c * V_b), rel=1e-13)


@every_penalty
@pytest.mark.parametrize("seed", range(5))
def test_fenchel_young(penalty, seed):
    """g(W) + g*(V) >= <V, W>, with equality for V in the subdifferential at W."""
    W = draw(seed) * (draw(seed + 50) > 0)
    V = penalty.smooth_gradient(W) + penalty.thresholds * np.sign(W)
    both = penalty.value(W) + penalty.conjugate(V)
    assert both == pytest.approx(np.sum(V * W), rel=1e-12, abs=1e-12)
    V = draw(seed + 100)
    assert penalty.value(W) + penalty.conjugate(V) >= np.sum(V * W)


@every_penalty
def test_largest_feasible(penalty):
    V = draw(4, scale=5.0)
    mix = penalty.largest_feasible(V)
    assert 0 <= mix <= 1
    assert np.isfinite(penalty.conjugate(mix * V))
    if mix < 1:
        assert penalty.conjugate(mix * (1 + 1e-9) * V + 1e-12 * np.sign(V)) == np.inf
    assert penalty.largest_feasible(np.zeros((K, D))) == 1


with_intercept = pytest.mark.parametrize("l1, l2", STRENGTHS)


def as_feature(l1, l2, t=2.5):
    """The penalty with that of the intercept, and the one where it is the weight of a feature of value t."""
    return ElasticNet(l1, l2, UNITS, 1 / t), ElasticNet(l1, l2, np.append(UNITS, 1 / t))


@with_intercept
def test_a_penalised_intercept_is_one_more_feature(l1, l2):
    penalty, wide = as_feature(l1, l2)
    W, b = draw(0), np.random.default_rng(1).standard_normal(K)
    both = np.column_stack([W, b])
    assert penalty.value(W, b) == pytest.approx(wide.value(both))
    assert penalty.intercept_threshold == pytest.approx(wide.thresholds[-1])
    assert penalty.intercept_curvature == pytest.approx(wide.curvatures[-1])
    for scale in (0.01, 1.0):
        assert penalty.conjugate(scale * W, scale * b) == pytest.approx(wide.conjugate(scale * both))
    assert penalty.largest_feasible(W, 100 * b) == pytest.approx(
        wide.largest_feasible(np.column_stack([W, 100 * b]))
    )
    plain = ElasticNet(l1, l2, UNITS)
    assert plain.value(W, b) == plain.value(W)
    assert plain.intercept_threshold == plain.intercept_curvature == 0


@with_intercept
@pytest.mark.parametrize("seed", range(5))
def test_best_scale(l1, l2, seed):
    """The derivative of what is maximised, from finite differences of a concave function of c."""
    penalty, _ = as_feature(l1, l2)
    V, V_b = draw(seed), np.random.default_rng(seed).standard_normal(K)
    slope, square = np.random.default_rng(seed + 9).uniform([0.1, 0.1], [300.0, 3.0])

    def value(c):
        return c * slope - c**2 * square - penalty.conjugate(c * V, c * V_b)

    best = penalty.best_scale(slope, square, V, V_b)
    assert best >= 0 and np.isfinite(value(best))
    for c in np.r_[0, np.geomspace(1e-6, 1e3, 200), best * (1 + np.array([-1e-3, -1e-6, 1e-6, 1e-3]))]:
        assert value(c) <= value(best) + 1e-9 * abs(value(best))


@with_intercept
def test_best_scale_of_nothing(l1, l2):
    penalty = ElasticNet(l1, l2, UNITS)
    assert penalty.best_scale(3.0, 0.5, np.zeros((K, D))) == pytest.approx(3.0)
    assert penalty.best_scale(0.0, 0.5, draw(0)) == 0
