"""Steps of a network with one hidden layer against their twin in reference.py; test_kernels.py runs them
at every instruction set.

n samples, d features, h hidden units, K score columns (one stands for two classes).
"""

import numpy as np
import pytest

from fastlr._kernels import mlp, source

from . import reference

KINDS = {"relu": 0, "logistic": 1, "tanh": 2}
STORED = {"u1": np.uint8, "f4": np.float32, "f8": np.float64}
# n, d, h, K, batch_size: around the rows of a part (32) and of a piece (256), vectors and tiles.
SHAPES = [
    (60, 9, 5, 3, 20), (50, 33, 25, 10, 50), (70, 17, 8, 1, 33), (7, 1, 1, 2, 3), (300, 20, 7, 4, 300),
    (560, 40, 12, 3, 270), (100, 16, 33, 2, 64), (40, 130, 3, 17, 13), (90, 12, 130, 2, 32),
]  # fmt: skip


class Case:
    """A random network and its data; `X` and `weights` are what the kernel reads, in float64."""

    def __init__(self, shape, stored="f8", real="f8", F_order=False):
        self.n, self.d, self.h, self.K, self.batch_size = shape
        self.real = STORED[real]
        rng = np.random.default_rng(sum(shape))
        X = (
            rng.integers(0, 256, (self.n, self.d))
            if stored == "u1"
            else rng.standard_normal((self.n, self.d))
        )
        X = X.astype(STORED[stored])
        self.stored_X = np.asfortranarray(X) if F_order else X
        self.X = X.astype(np.float64)
        size = np.abs(self.X).max() * np.sqrt(self.d)
        self.y = rng.integers(0, max(self.K, 2), self.n).astype(np.int32)
        self.s = rng.uniform(0, 2, self.n) * (rng.random(self.n) < 0.8)
        self.order = rng.permutation(self.n)
        self.eta = rng.uniform(0.01, 0.2, -(-self.n // self.batch_size))

        def draw(*shape):
            return rng.standard_normal(shape).astype(self.real)

        h, d, K = self.h, self.d, self.K
        self.weights = [(2 / size * draw(h, d)).astype(self.real), draw(h), draw(K, h) / 2, draw(K)]
        self.velocities = [(w / 10).astype(self.real)[..., ::-1].copy() for w in self.weights]
        self.shift = (self.X.mean(axis=0) + rng.standard_normal(d)).astype(self.real)
        self.metric = (rng.uniform(0.5, 1, d) / max(1, np.abs(self.X).max())).astype(self.real)

    def run(self, kind=0, alpha=0.3, momentum=0.9, nesterov=True, n_threads=1):
        """(loss, correct, weights, velocities) by the kernel."""
        weights, velocities = [w.copy() for w in self.weights], [v.copy() for v in self.velocities]
        sums = mlp.mlp_steps(
            source.Rows(self.stored_X), self.y, self.s, self.order, self.batch_size, self.eta, kind, alpha,
            momentum, nesterov, *weights, *velocities, self.shift, self.metric,
            np.empty_like(weights[0]), n_threads,
        )  # fmt: skip
        return *sums, weights, velocities

    def expected(self, kind=0, alpha=0.3, momentum=0.9, nesterov=True):
        wide = [[array.astype(np.float64) for array in arrays] for arrays in (self.weights, self.velocities)]
        return reference.mlp_steps(
            self.X, self.y, self.s, self.order, self.batch_size, self.eta, kind, alpha, momentum, nesterov,
            *wide, self.shift.astype(np.float64), self.metric.astype(np.float64),
        )  # fmt: skip

    def check(self, **options):
        loss, correct, weights, velocities = self.run(**options)
        options.pop("n_threads", None)
        right_loss, right_correct, right_weights, right_velocities = self.expected(**options)
        tolerance = 1e-9 if self.real == np.float64 else 2e-3
        assert loss == pytest.approx(right_loss, rel=tolerance)
        # In float32 a row or two may lie on the border of two classes.
        assert correct == pytest.approx(right_correct, abs=1e-9 * self.n if self.real == np.float64 else 4)
        for found, right in zip([*weights, *velocities], [*right_weights, *right_velocities], strict=True):
            np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance * np.abs(right).max())


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("real", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_steps(shape, real, kind):
    Case(shape, real=real).check(kind=kind)


@pytest.mark.parametrize("options", [{"nesterov": False}, {"momentum": 0.0}, {"alpha": 0.0}], ids=str)
def test_options(options):
    Case(SHAPES[0]).check(**options)


@pytest.mark.parametrize("real", ["f4", "f8"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("F_order", [False, True])
def test_storage(stored, real, F_order):
    Case(SHAPES[5], stored, real, F_order).check()


@pytest.mark.parametrize("n_threads", [2, 3, 7])
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[5], SHAPES[3]], ids=str)
@pytest.mark.parametrize("real", ["f4", "f8"])
def test_threads_do_not_change_a_bit(shape, n_threads, real):
    case = Case(shape, real=real)
    one, several = case.run(), case.run(n_threads=n_threads)
    assert one[:2] == several[:2]
    for a, b in zip([*one[2], *one[3]], [*several[2], *several[3]], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_the_twins_gradient_is_that_of_its_loss(shape, kind):
    """Finite differences, along a random direction of all weights."""
    case = Case(shape)
    data = case.X, case.y, case.s, kind
    rng = np.random.default_rng(0)
    along = [rng.standard_normal(w.shape) * np.abs(w).mean() for w in case.weights]

    def loss(t):
        moved = [w + t * a for w, a in zip(case.weights, along, strict=True)]
        return reference.mlp_gradient(*data, moved, case.shift)[0]

    gradients = reference.mlp_gradient(*data, case.weights, case.shift)[2]
    slope = sum((g * a).sum() for g, a in zip(gradients, along, strict=True))
    assert (loss(1e-6) - loss(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_scores_that_are_not_numbers_stay_so(kind):
    case = Case(SHAPES[0])
    case.weights[0][:] = np.nan
    loss, _, weights, _ = case.run(kind=kind)
    assert np.isnan(loss) and np.isnan(weights[2]).all()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("real", ["f4", "f8"])
def test_huge_scores_give_finite_losses(kind, real):
    case = Case(SHAPES[0], real=real)
    case.weights[0][:] *= 1e4
    loss, _, weights, _ = case.run(kind=kind, alpha=0.0)
    assert np.isfinite(loss) and all(np.isfinite(w).all() for w in weights)
