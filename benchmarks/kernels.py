"""The main kernels, each on made-up images, with what it needs at least."""

from dataclasses import dataclass

import numpy as np

from fastlr._kernels import descent, mlp, saga, sdca, sgd
from fastlr.data import Data, Pairs
from fastlr.losses import Softmax

d = 784
BATCH = 100  # rows of a minibatch
HIDDEN = 25  # units of the network
ACTIVE = 600  # pairs of the Hessian and of coordinate descent
SWEEPS = 5


@dataclass(frozen=True)
class Cost:
    """Operations in a type, and bytes that come from memory where X does not fit into caches."""

    flops: float
    bytes: float
    dtype: str

    def least(self, read, flops):
        """Seconds at rates of bytes and of operations, and which of them binds."""
        times = {"bytes": self.bytes / read, "FMAs": self.flops / flops}
        binding = max(times, key=times.get)
        return times[binding], binding


class Images:
    """Rows of bytes as X of some type, labels, and weights of K classes in the type of the arithmetic."""

    def __init__(self, pixels, dtype, K):
        rng = np.random.default_rng(0)
        self.X, self.K, self.n = pixels.astype(dtype), K, len(pixels)
        self.real = "float64" if dtype == "float64" else "float32"
        self.columns = K if K > 2 else 1
        self.y = rng.integers(K, size=self.n).astype(np.int32)
        self.s, self.b = np.ones(self.n), self.zeros(self.columns)
        self.order = rng.permutation(self.n)
        self.loss = Softmax(self.y, self.s, K)
        self.W = Data(self.X).weights(self.columns, self.real)
        self.W[:] = rng.normal(scale=1e-4, size=self.W.shape)

    def zeros(self, *shape):
        return np.zeros(shape, self.real)

    def full(self, value, *shape):
        return np.full(shape, value, self.real)

    def cost(self, products):
        """That of so many products of X with weights."""
        return Cost(2.0 * products * self.X.size * self.columns, self.X.nbytes, self.real)


def fused_pass(images):
    data = {n_threads: Data(images.X, n_threads) for n_threads in (1, 2)}
    return lambda n_threads=1: data[n_threads].loss_gradient(images.W, images.b, images.loss), images.cost(2)


def scores(images):
    data = {n_threads: Data(images.X, n_threads) for n_threads in (1, 2)}
    return lambda n_threads=1: data[n_threads].scores(images.W, images.b), images.cost(1)


def sgd_epoch(images):
    K, rows = images.columns, Data(images.X).rows
    eta, ones = np.full(-(-images.n // BATCH), 1e-9), images.full(1, d)

    def run(n_threads=1):
        W, b, none = images.W.copy(), images.b.copy(), images.zeros(d)
        sgd.sgd_steps(
            rows, images.y, images.s, images.order, BATCH, eta, 0.0, True, W, b, np.zeros_like(W),
            np.zeros_like(b), none, ones, none, none, images.zeros(3 + K, d), n_threads,
        )  # fmt: skip

    return run, images.cost(2)


def saga_epoch(images):
    K, rows = images.columns, Data(images.X).rows
    draws = np.random.default_rng(1).permutation(-(-images.n // BATCH))
    stored = images.zeros(K * images.n)

    def run(n_threads=1):
        W, b, none = images.W.copy(), images.b.copy(), images.zeros(d)
        saga.saga_steps(
            rows, images.y, images.s, images.order, BATCH, draws, 0.0, True, W, b, np.zeros_like(W),
            np.zeros(K), stored, none, images.full(1e-12, d), none, images.full(1, d), np.zeros_like(W),
            n_threads,
        )  # fmt: skip

    return run, images.cost(2)


def sdca_epoch(images):
    """By one thread."""
    K, data = images.columns, Data(images.X)
    P = images.full(-np.log(images.K), images.n, images.K)

    def run(n_threads=1):
        sdca.ascend(
            data.rows, images.s, images.order, images.zeros(d), images.full(1e-9, d), 1e-9, P.copy(),
            data.flat(images.W).copy(), images.b.copy(), np.zeros(K), images.zeros(images.n),
        )  # fmt: skip

    return run, images.cost(2)


def mlp_epoch(images):
    rows, K = Data(images.X).rows, images.K
    rng, eta = np.random.default_rng(2), np.full(-(-images.n // BATCH), 1e-9)
    W1, W2 = (rng.normal(scale=1e-3, size=shape).astype(images.real) for shape in ((HIDDEN, d), (K, HIDDEN)))

    def run(n_threads=1):
        weights = W1.copy(), images.zeros(HIDDEN), W2.copy(), images.zeros(K)
        mlp.mlp_steps(
            rows, images.y, images.s, images.order, BATCH, eta, 0, 0.0, 0.9, True, *weights,
            *(np.zeros_like(w) for w in weights), images.zeros(d), images.full(1, d), np.zeros_like(W1),
            n_threads,
        )  # fmt: skip

    # Forward and back through both layers; no gradient of the images is needed.
    flops = images.n * HIDDEN * (4.0 * d + 6.0 * K)
    return run, Cost(flops, images.X.nbytes, images.real)


def active_hessian(images):
    rng = np.random.default_rng(3)
    data = {n_threads: Data(images.X, n_threads) for n_threads in (1, 2)}
    mask = np.zeros((images.columns, d), dtype=bool)
    mask.flat[rng.choice(mask.size, ACTIVE - images.columns, replace=False)] = True
    pairs = Pairs.of(mask, with_intercept=True)
    s, P = images.s.astype(images.real), images.full(1 / images.K, images.columns, images.n)

    def run(n_threads=1):
        data[n_threads].hessian(s, P, pairs, np.zeros(d))

    # Half of a symmetric matrix.
    return run, Cost(float(images.n) * ACTIVE**2, images.X.nbytes, images.real)


def coordinate_descent(images):
    """On a Hessian, by one thread; no coordinate comes to rest."""
    A = np.random.default_rng(4).normal(scale=0.01, size=(ACTIVE, ACTIVE))
    H = images.zeros(ACTIVE, -(-ACTIVE // 16) * 16)
    H[:, :ACTIVE] = A + A.T + np.eye(ACTIVE)
    q = np.linspace(-1, 1, ACTIVE)

    def run(n_threads=1):
        descent.gram(H, q.copy(), np.ones(ACTIVE), np.zeros(ACTIVE), 0.0, SWEEPS)

    # The gradient is kept in double, and H comes from a cache.
    return run, Cost(2.0 * SWEEPS * ACTIVE**2, 0, "float64")


KERNELS = {
    "loss and gradient": fused_pass,
    "scores": scores,
    "SGD epoch": sgd_epoch,
    "SAGA epoch": saga_epoch,
    "SDCA epoch": sdca_epoch,
    "MLP epoch": mlp_epoch,
    "Hessian": active_hessian,
    "coordinate descent": coordinate_descent,
}
# These know one thread.
ALONE = ("SDCA epoch", "coordinate descent")


def pixels(n, seed=0):
    """Made-up bytes, (n, d): the time of a kernel does not depend on them."""
    return np.random.default_rng(seed).integers(256, size=(n, d), dtype=np.uint8)
