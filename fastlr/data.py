"""X as problems see it: a few operations on its rows, whatever its storage.

Shapes: n samples, d features, K score columns; W is (K, d), b is (K,). Nothing here copies X.
"""

import math
import numbers
import os
from dataclasses import dataclass
from functools import cache, cached_property

import joblib
import numpy as np
import scipy.sparse as sp

from fastlr._kernels import curvature, hessian, passes
from fastlr._kernels.source import Rows
from fastlr.blas import openmp_limits
from fastlr.memory import Mapping, require
from fastlr.validate import LARGEST, check_number

# Multiply-adds of one kernel call: about 0.1 s on one core without vector instructions, so that an interrupt
# or a line of progress is never later than that.
CALL_WORK = 1e9
_CACHE_LINE = 64  # bytes
# Below this many multiply-adds a second thread costs more than it brings (some 30 us to start).
_THREAD_WORK = 2e6
_COPIED_ROWS = 8192  # at a time
_MOST_THREADS = 64  # of a team of the kernels
_SAMPLE_ROWS = 300  # of each class, at least, or all


def aligned_zeros(shape, dtype, order="C"):
    """Zeros that begin with a cache line: a wide vector that lies across two of them costs two reads."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    room = np.zeros(size + _CACHE_LINE, dtype=np.uint8)
    start = -room.ctypes.data % _CACHE_LINE
    return room[start : start + size].view(dtype).reshape(shape, order=order)


@cache
def _processors(allowed):
    """Those of so many that control groups and LOKY_MAX_CPU_COUNT leave; joblib reads files for it."""
    return min(allowed, joblib.cpu_count())


def available_threads():
    """Threads that this process may have at work: one for each of its processors, but no more than OpenMP.

    Limits of OpenMP are those that people set (OMP_NUM_THREADS, threadpoolctl), and that joblib sets in its
    workers, so that all of them together have as many threads as there are processors.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(_processors(allowed), *openmp_limits(), allowed))


def sampling_rates(count, m):
    """With what probability to draw the rows of each class, of so many rows, for a sample of about m."""
    return np.minimum(np.maximum(m / max(count.sum(), 1), _SAMPLE_ROWS / np.maximum(count, 1)), 1.0)


def drawn(y, s, rates, rng):
    """Rows of a sample, in order: those of class k that have a weight at the rate k."""
    return np.flatnonzero((rng.random(len(y)) < rates[y]) & (s > 0))


def thread_count(n_threads):
    """The number that the parameter `n_threads` stands for."""
    if n_threads is None:
        return min(available_threads(), _MOST_THREADS)
    check_number("n_threads", n_threads, numbers.Integral, 1, what="None or an integer of at least 1")
    return min(int(n_threads), _MOST_THREADS)


@dataclass(frozen=True)
class Moments:
    """Weighted column statistics of the rows that have a weight: sum_i s_i y_ik x_ij, shape (K, d), and, of
    shape (d,), sum_i s_i x_ij, mean, variance and extremes."""

    label_sums: np.ndarray
    total: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Some of the weights, as pairs of score column and feature, sorted by column: column k has the pairs
    first[k]:first[k + 1]; feature -1 is the intercept."""

    column: np.ndarray
    feature: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, mask, with_intercept):
        """The pairs where `mask`, shape (K, d), is true, and the intercepts."""
        K = len(mask)
        if with_intercept:
            mask = np.hstack([np.ones((K, 1), dtype=bool), mask])
        column, feature = np.nonzero(mask)
        feature = feature.astype(np.int32) - with_intercept
        return cls(column, feature, np.searchsorted(column, np.arange(K + 1)))

    def take(self, W, b):
        """The weights and intercepts of the pairs, as one vector."""
        return np.where(self.feature >= 0, W[self.column, self.feature], b[self.column])

    def put(self, w, W, b):
        """Writes the vector back."""
        free = self.feature < 0
        b[self.column[free]] = w[free]
        W[self.column[~free], self.feature[~free]] = w[~free]


class SomeRows:
    """Some rows of an X that is not to be copied; they are, some at a time, when they are evaluated.

    Parameters
    ----------
    X : array of shape (n, d)
    index : array of row numbers
    n_threads : int
    """

    def __init__(self, X, index, n_threads):
        self.X, self.index, self.n_threads = X, index, n_threads

    def evaluate(self, W, b, loss):
        """As `Data.evaluate`, with y and s of the loss those of the rows."""
        total = np.zeros(2)
        for start in range(0, len(self.index), _COPIED_ROWS):
            part = slice(start, start + _COPIED_ROWS)
            total += Data(self.X[self.index[part]], self.n_threads).evaluate(W, b, loss.rows(part))
        return total


def row_bytes(X):
    """Bytes of a row of X, of CSR on average."""
    if sp.issparse(X):
        return (X.dtype.itemsize + 4) * max(1.0, X.nnz / max(X.shape[0], 1))
    return X.dtype.itemsize * X.shape[1]


class View:
    """What rows have in common wherever they lie: `n`, `d`, `dtype` and `is_sparse`; `is_whole` tells of one
    array."""

    is_whole = True

    @property
    def exact_dtype(self):
        """float64 for float64 data, else float32: what loses nothing that X holds."""
        return np.dtype(np.float64 if self.dtype == np.float64 else np.float32)

    def weights(self, n_columns, dtype):
        """Zeros of shape (K, d), laid out as the kernels read them."""
        return aligned_zeros((n_columns, self.d), dtype, "F" if self.is_sparse else "C")

    def flat(self, W):
        """W as one contiguous line; a view of W if W came from `weights`."""
        return np.ravel(W, order="F" if self.is_sparse else "C")


class Data(View):
    """The rows of X: a dense array (uint8, float32 or float64, any strides) or CSR (float32, float64).

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d), as `validate` returns it
    n_threads : int
        Threads of one pass; results do not depend on it.
    """

    def __init__(self, X, n_threads=1):
        self.X = X
        (self.n, self.d), self.dtype = X.shape, X.dtype
        self.n_threads = n_threads
        self.is_sparse = sp.issparse(X)
        self.mapping = Mapping(X.data if self.is_sparse else X)
        if self.is_sparse:
            indptr = X.indptr.astype(np.int64, copy=False)
            self.rows = Rows(X.data, indptr, X.indices.astype(np.int32, copy=False), self.d)
        else:
            self.rows = Rows(X)

    def __reduce__(self):
        # Rows are pointers, which mean nothing elsewhere.
        return Data, (self.X, self.n_threads)

    @cached_property
    def columns(self):
        """The columns of a CSR matrix, as Rows, where they are the better way to a gradient; else None.

        Chunks of rows have a gradient each, of d K numbers, to be cleared and added up. Where these are more
        than the entries of X, as in text, one sum for each column of X is faster, at the price of a copy.
        """
        if not self._has_columns:
            return None
        by_column = self._by_column
        indptr = by_column.indptr.astype(np.int64, copy=False)
        return Rows(by_column.data, indptr, by_column.indices.astype(np.int32, copy=False), self.n)

    @property
    def _has_columns(self):
        return self.is_sparse and 4 * self._chunks * self.d > self.X.nnz

    @property
    def _chunks(self):
        """Most gradients that a pass over rows adds up, as in passes.pyx."""
        return max(1, min(16, self.n // 256))

    def require_memory(self, n_columns, *, apart=False):
        """Raises MemoryError if a certified fit of so many score columns does not fit in memory; `apart` says
        that each of them is a problem of its own."""
        like_W, scores = 8 * n_columns * self.d, 8 * n_columns * self.n  # bytes of arrays in float64
        if self._has_columns:
            at_work = self.X.nnz * (self.X.dtype.itemsize + 4) + (0 if apart else scores)  # see `columns`
        else:
            at_work = 0 if apart and self.is_sparse else self._chunks * like_W
        if apart:  # sums by label, of all and of each problem, which has labels and weights of its own
            need = max(2 * like_W + 1.5 * scores, like_W + at_work)
        else:  # at the end of a certificate, and during its pass
            need = max(8 * like_W, 5 * like_W + at_work)
        require(
            need,
            f"A certified fit of {n_columns:,} x {self.d:,} weights to {self.n:,} rows",
            "Use fewer features or classes, or SGDClassifier, which keeps less beside the weights.",
        )

    @property
    def row_bytes(self):
        """Bytes of a row of X, on average."""
        return row_bytes(self.X)

    def sample(self, m, loss, rng):
        """Some m rows, and at least some hundreds of each class: their Data, in memory, and their loss, the
        weights of each class scaled up to what they are on all rows."""
        rates = sampling_rates(np.bincount(loss.y, loss.s > 0, loss.n_classes), m)
        kept = drawn(loss.y, loss.s, rates, rng)
        return Data(self.X[kept], self.n_threads), loss.rows(kept).of_mass(loss.class_mass)

    def row_work(self, n_columns):
        """Multiply-adds of scores and gradient, for one row."""
        return max(1.0, 2 * n_columns * (self.X.nnz / max(self.n, 1) if self.is_sparse else self.d))

    def _calls(self, n_columns, n_rows=None):
        """(start, stop, threads) of successive kernel calls, each of about 0.1 s at most."""
        row_work, n_rows = self.row_work(n_columns), self.n if n_rows is None else n_rows
        rows = max(4096, int(CALL_WORK / row_work))
        for start in range(0, n_rows, rows):
            stop = min(start + rows, n_rows)
            self.mapping.check()
            threads = self.n_threads if (stop - start) * row_work > _THREAD_WORK else 1
            yield start, stop, threads

    def loss_gradient(self, W, b, loss):
        """The fused pass: loss, X' S (P - Y) of shape (K, d) and masses sum_i s_i p_i, sums in float64. For
        the squared hinge: loss, X' r and sum_i r_i with its residuals r."""
        G = self.weights(len(b), np.float64)
        mass = np.zeros(len(b))
        flat, line, value = self.flat(W), self.flat(G), 0.0
        if self.columns is not None:
            R = np.empty((self.n, len(b)), dtype=W.dtype)
            for start, stop, threads in self._calls(len(b)):
                value += passes.residuals(
                    self.rows, loss.y, loss.s, flat, b, R[start:stop], mass, start, stop, threads, loss.kind
                )
            self._add_column_sums(R, line)
            return value, G, mass
        for start, stop, threads in self._calls(len(b)):
            value += passes.loss_gradient(
                self.rows, loss.y, loss.s, flat, b, line, mass, start, stop, threads, loss.kind
            )
        return value, G, mass

    def _add_column_sums(self, R, line):
        """line += X' R, (d, K) in one line; R is (n, K)."""
        K, flat, zeros = R.shape[1], np.ravel(R), np.zeros(R.shape[1], dtype=R.dtype)
        # As many calls as a pass over the rows takes.
        columns = max(4096, int(self.d * CALL_WORK / (self.row_work(K) * max(self.n, 1))))
        threads = self.n_threads if self.n * self.row_work(K) > _THREAD_WORK else 1
        for start in range(0, self.d, columns):
            stop = min(start + columns, self.d)
            passes.column_sums(self.columns, flat, zeros, line, start, stop, threads)

    def scores(self, W, b):
        """X W' + b, shape (n, K), in the type of W."""
        if W.shape != (len(b), self.d):  # of a model that was changed by hand; kernels do not look
            raise ValueError(f"The weights must have shape {(len(b), self.d)}; found {W.shape}.")
        out = np.empty((self.n, len(b)), dtype=W.dtype)
        flat = self.flat(W)
        for start, stop, threads in self._calls(len(b)):
            passes.decision(self.rows, flat, b, out[start:stop], start, stop, threads)
        return out

    def evaluate(self, W, b, loss):
        """Loss, and weight of the rows whose class is found."""
        flat, value, correct = self.flat(W), 0.0, 0.0
        for start, stop, threads in self._calls(len(b)):
            part = passes.evaluate(self.rows, loss.y, loss.s, flat, b, start, stop, threads, loss.kind)
            value, correct = value + part[0], correct + part[1]
        return value, correct

    def probabilities(self, W, b, order=None):
        """Probabilities of the classes that have a score column, shape (K, m), in the type of W, for the
        m rows that `order` names, or all."""
        m = self.n if order is None else len(order)
        P, flat = np.empty((len(b), m), dtype=W.dtype), self.flat(W)
        for start, stop, threads in self._calls(len(b), m):
            curvature.probabilities(self.rows, order, flat, b, P, start, stop, threads)
        return P

    def add_curvature_product(self, V, b, s, P, G, mass, order=None):
        """G += sum_i t_i x_i' and mass += sum_i t_i, t_i = s_i (diag(p_i) - p_i p_i') (V x_i + b), P being
        what `probabilities` gives for the same rows. G (K, d) is laid out as `weights`."""
        flat, line = self.flat(V), self.flat(G)
        if order is None and self.columns is not None:
            T = np.empty((self.n, len(b)), dtype=V.dtype)
            for start, stop, threads in self._calls(len(b)):
                curvature.curved_scores(self.rows, s, P, flat, b, T, start, stop, threads)
            mass += T.sum(axis=0, dtype=np.float64)
            self._add_column_sums(T, line)
            return
        for start, stop, threads in self._calls(len(b), P.shape[1]):
            curvature.product(self.rows, order, s, P, flat, b, line, mass, start, stop, threads)

    def dual_entropy(self, W, b, loss, shrink, receive, mix):
        """sum_i s_i H((1 - mix) e_y + mix q_i) for the q of `certificate.feasible_masses`."""
        flat, value = self.flat(W), 0.0
        for start, stop, threads in self._calls(len(b)):
            value += passes.dual_entropy(
                self.rows, loss.y, loss.s, flat, b, shrink, receive, mix, start, stop, threads
            )
        return value

    def hessian(self, s, P, pairs, shift):
        """Hessian of the loss on the weights and intercepts of `pairs`, shape (a, lda), lda >= a; dense X.

        Parameters
        ----------
        s : array of shape (n,)
            Weights; for one score column the curvatures of the losses.
        P : array of shape (K, n or more)
            Probabilities; of no rows for one score column.
        pairs : Pairs
        shift : array of shape (d,)
            What is taken from the features.
        """
        a = len(pairs.feature)
        H = np.zeros((a, -(-a // 16) * 16), dtype=s.dtype)
        at = np.where(pairs.feature >= 0, shift[pairs.feature], 0).astype(s.dtype)
        order = np.flatnonzero(s[: self.n])
        rows = max(256, int(CALL_WORK / (a * a / 2 + 1)))
        for start in range(0, len(order), rows):
            hessian.active_hessian(
                self.rows, order, s, P, pairs.feature, pairs.first, at, H, start,
                min(start + rows, len(order)), self.n_threads,
            )  # fmt: skip
        hessian.mirror(H)
        return H

    def take_columns(self, features, shift):
        """Some columns of X as a CSC matrix; those of dense X less their shift."""
        if self.is_sparse:
            return self._by_column[:, features]
        dense = self.X[:, features] - shift[features]
        n = np.arange(len(features) + 1) * self.n
        return sp.csc_array(
            (dense.ravel(order="F"), np.tile(np.arange(self.n), len(features)), n), shape=dense.shape
        )

    @cached_property
    def _by_column(self):
        return self.X.tocsc()

    def moments(self, loss):
        """Column statistics, in one pass over the rows."""
        mass = max(loss.s.sum(), np.finfo(np.float64).tiny)
        if self.is_sparse:
            origin = np.zeros(self.d)
            label_sums, total, square, low, high = self._sparse_sums(loss)
        else:
            # Seen from one of the rows, columns far from zero lose no digits of their variance.
            origin = np.array(self.X[np.argmax(loss.s > 0)], dtype=np.float64)
            label_sums, total, square, low, high = self._dense_sums(loss, origin)
        largest = max(high.max(), -low.min())
        if largest > LARGEST:
            raise ValueError(
                f"X must hold numbers up to {LARGEST:.0e}, as their squares are added up; found "
                f"{largest:.1e}. Bring X to another unit."
            )
        away = total / mass
        # Cancellation may leave a trace of variance, or less than none, in a constant column.
        variance = np.where(low == high, 0.0, np.maximum(square / mass - away**2, 0.0))
        total, mean = total + loss.s.sum() * origin, origin + away
        return Moments(label_sums, total, mean, variance, low, high)

    def _dense_sums(self, loss, origin):
        """Sums by label; sums and sums of squares as seen from the origin; extremes."""
        label_sums = np.zeros((loss.n_columns, self.d))
        total, square = np.zeros(self.d), np.zeros(self.d)
        low, high = np.full(self.d, np.inf), np.full(self.d, -np.inf)
        sums = label_sums, total, square, low, high
        for start, stop, threads in self._calls(loss.n_columns):
            passes.column_moments(self.rows, loss.y, loss.s, origin, *sums, start, stop, threads)
        return sums

    def _sparse_sums(self, loss):
        """The same of CSR, as seen from zero."""
        label_sums = self.weights(loss.n_columns, np.float64)
        columns = np.tile([0.0, 0.0, np.inf, -np.inf, 0.0], (self.d, 1))
        for start, stop, _ in self._calls(loss.n_columns):
            passes.sparse_moments(self.rows, loss.y, loss.s, label_sums.T, columns, start, stop)
        total, square, low, high, count = columns.T
        has_zeros = count < np.count_nonzero(loss.s)
        low[has_zeros], high[has_zeros] = np.minimum(low[has_zeros], 0), np.maximum(high[has_zeros], 0)
        return label_sums, total, square, low.copy(), high.copy()
