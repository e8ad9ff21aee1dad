"""All main kernels; the fused pass, loss and gradient in one reading of X, against NumPy's two products."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks import kernels, numpy_softmax
from fastlr.data import Data
from fastlr.losses import Softmax

# uint8 is read as it is; what BLAS can do for it is float32.
TYPES = {"float32": np.float32, "float64": np.float64, "uint8": np.float32}


@pytest.fixture(scope="module")
def work(images):
    """X, y and weights W (10, 784) for pixels up to 255."""
    X, y = images[0][:60_000], images[1][:60_000]
    W = np.random.default_rng(0).normal(scale=1e-4, size=(10, X.shape[1]))
    return X, y, W


@pytest.fixture(scope="module")
def expected(work):
    """Loss and gradient in float64."""
    X, y, W = work
    loss, G, g = numpy_softmax.loss_gradient(X.astype(np.float64), y, W.T, np.zeros(10))
    return loss, G.T, g


def describe(benchmark, X, n_threads):
    benchmark.group = f"loss and gradient, {len(X):,} x 784 x 10, threads: {n_threads}"
    return kernels.Cost(4.0 * X.size * 10, X.nbytes, "float64" if X.dtype == np.float64 else "float32")


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", TYPES)
def test_fastlr(benchmark, against_ceiling, work, expected, dtype, n_threads):
    X, y, W = work
    X, W = X.astype(dtype), W.astype(TYPES[dtype])
    data, loss = Data(X, n_threads), Softmax(y.astype(np.int32), np.ones(len(y)), 10)
    cost = describe(benchmark, X, n_threads)
    value, G, mass = benchmark(data.loss_gradient, W, np.zeros(10, W.dtype), loss)
    against_ceiling(cost, n_threads)
    check((value, G, mass - np.bincount(y, minlength=10)), expected, W.dtype, len(y))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy(benchmark, against_ceiling, work, expected, dtype, n_threads):
    X, y, W = work
    X, V = X.astype(dtype), np.ascontiguousarray(W.T, dtype)
    cost = describe(benchmark, X, n_threads)
    with threadpool_limits(n_threads):
        value, G, g = benchmark(numpy_softmax.loss_gradient, X, y, V, np.zeros(10, V.dtype))
    against_ceiling(cost, n_threads)
    check((value, G.T, g), expected, V.dtype, len(y))


def check(found, expected, dtype, n):
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found[0], expected[0], rtol=rtol)
    np.testing.assert_allclose(found[1], expected[1], atol=10 * rtol * np.abs(expected[1]).max())
    np.testing.assert_allclose(found[2], expected[2], atol=10 * rtol * n)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kernel", kernels.KERNELS)
def test_kernel(benchmark, against_ceiling, images, kernel, dtype, n_threads):
    """What a kernel computes is tested in tests/; here it is only measured."""
    if n_threads > 1 and kernel in kernels.ALONE:
        pytest.skip("by one thread")
    run, cost = kernels.KERNELS[kernel](kernels.Images(images[0][:12_000], dtype, 10))
    benchmark.group = f"{kernel}, threads: {n_threads}"
    benchmark.pedantic(run, (n_threads,), rounds=7, warmup_rounds=1)
    against_ceiling(cost, n_threads)
