"""SAGA and SGD on CSR rows: a feature is brought up to date only when a row holds it.

n rows, d features, K score columns; W and its like are d x K, each feature contiguous. Between two visits the
steps of a weight follow a recursion with constant coefficients, solved in closed form (docs/math.md).
"""

import numpy as np

from libc.math cimport expm1, fabs, floor, log1p
from libc.stdint cimport int32_t, int64_t

from .simd cimport add_sums, floating, softmax
from .source cimport Block, Rows, Source, block_gradient, block_scores, fetch, free_block, new_block
from .source cimport change_residuals


# k steps w <- ratio (w - c), ratio = 1 / (1 + step l2), lead to decay w - c total.
cdef struct Lag:
    Py_ssize_t steps
    double decay    # ratio^k
    double total    # ratio + ... + ratio^k


cdef inline Lag lag_of(double ratio, Py_ssize_t steps) noexcept nogil:
    """expm1 and log1p keep the sum exact where the ratio is all but one."""
    cdef Lag lag
    cdef double change
    lag.steps, lag.decay, lag.total = steps, 1, steps
    if ratio != 1:
        change = expm1(steps * log1p(ratio - 1))
        lag.decay, lag.total = 1 + change, ratio * change / (ratio - 1)
    return lag


cdef inline double after(double w, double c, Lag lag) noexcept nogil:
    return lag.decay * w - c * lag.total


cdef inline double soft(double v, double cut) noexcept nogil:
    return v - cut if v > cut else (v + cut if v < -cut else 0)


cdef double catch_up(double w, double a, double cut, double ratio, Lag lag) noexcept nogil:
    """w after lag.steps steps w <- ratio soft(w - a, cut)."""
    cdef double c, crossing, end, sign = 1
    cdef Py_ssize_t k, steps = lag.steps
    if steps == 0 or (w == 0 and fabs(a) <= cut):
        return w
    if w < 0 or (w == 0 and a < 0):
        sign, w, a = -1, -w, -a
    c = a + cut
    if w > 0:
        end = after(w, c, lag)
        if c <= 0 or end > 0:
            return sign * end
        # Steps that surely keep w positive; the next one is taken as it stands.
        crossing = w / c if ratio == 1 else log1p(w * (1 - ratio) / (c * ratio)) / -log1p(ratio - 1)
        k = steps - 1 if crossing >= steps - 1 else <Py_ssize_t> floor(crossing)
        w = max(after(w, c, lag_of(ratio, k)), 0)
        steps -= k
        # Rounding may have left a trace of the old sign: a few explicit steps end it.
        while steps > 0:
            w = ratio * soft(w - a, cut)
            steps -= 1
            if w <= 0:
                break
    if steps == 0:
        return sign * w
    if a <= cut:
        return 0
    return sign * after(w, a - cut, lag_of(ratio, steps))


def catch_up_weight(double w, double a, double cut, double ratio, Py_ssize_t steps):
    """For the tests: w after `steps` steps w <- ratio soft(w - a, cut)."""
    return catch_up(w, a, cut, ratio, lag_of(ratio, steps))


cdef Py_ssize_t list_features(const Source* X, const Block* block, int64_t stamp, int64_t[::1] seen,
                              int32_t[::1] touched) noexcept nogil:
    """The distinct features of the block, in `touched`; returns their number."""
    cdef Py_ssize_t i, count = 0
    cdef int64_t e
    cdef int32_t j
    for i in range(block.B):
        for e in range(X.indptr[block.index[i]], X.indptr[block.index[i] + 1]):
            j = X.indices[e]
            if seen[j] != stamp:
                seen[j] = stamp
                touched[count] = j
                count += 1
    return count


def saga_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
               Py_ssize_t block_size, const Py_ssize_t[::1] draws, double step_b, bint fit_intercept,
               floating[:, ::1] W, floating[::1] b, floating[:, ::1] average, double[::1] average_b,
               floating[::1] stored, const double[::1] step, const double[::1] cut, const double[::1] keep,
               floating[:, ::1] G):
    """As saga.saga_steps, with W, average and G (d, K), and no shift."""
    cdef const Source* source = &X.source
    cdef Py_ssize_t d = source.d, K = b.shape[0], n = order.shape[0], T = draws.shape[0]
    cdef Py_ssize_t t, f, j, k, start, stop, n_touched, m = (n + block_size - 1) // block_size
    cdef floating* Z
    cdef Block* block = new_block(source, min(block_size, n), K, sizeof(floating), False)
    cdef Lag lag
    cdef double[::1] change = np.empty(K)
    cdef int64_t[::1] seen = np.full(d, -1)
    cdef int64_t[::1] current = np.zeros(d, dtype=np.int64)  # steps that the feature has taken
    cdef int32_t[::1] touched = np.empty(d, dtype=np.int32)
    if block == NULL:
        raise MemoryError
    Z = <floating*> block.Z
    block.count = n
    with nogil:
        for t in range(T):
            start = draws[t] * block_size
            stop = min(start + block_size, n)
            fetch(source, block, &order[0], start, stop, -1, &y[0], &s[0], <floating*> NULL)
            n_touched = list_features(source, block, t, seen, touched)
            for f in range(n_touched):
                j = touched[f]
                lag = lag_of(keep[j], t - current[j])
                for k in range(K):
                    W[j, k] = <floating> catch_up(W[j, k], step[j] * average[j, k], cut[j], keep[j], lag)
                    G[j, k] = 0
            block_scores(source, block, &W[0, 0], &b[0], <floating*> NULL, K, Z)
            softmax(Z, block.size, block.y, <floating*> block.s, block.B, K, NULL)
            change_residuals(block, Z, K, &stored[start * K], &stored[start * K])
            change[:] = 0
            add_sums(Z, block.size, block.B, K, &change[0])
            block_gradient(source, block, Z, K, True, &G[0, 0])
            for f in range(n_touched):
                j = touched[f]
                for k in range(K):
                    W[j, k] = <floating> (keep[j] * soft(W[j, k] - step[j] * (m * G[j, k] + average[j, k]), cut[j]))
                    average[j, k] += G[j, k]
                current[j] = t + 1
            for k in range(K):
                if fit_intercept:
                    b[k] -= <floating> (step_b * (m * change[k] + average_b[k]))
                average_b[k] += change[k]
        for j in range(d):
            lag = lag_of(keep[j], T - current[j])
            for k in range(K):
                W[j, k] = <floating> catch_up(W[j, k], step[j] * average[j, k], cut[j], keep[j], lag)
    free_block(block)


cdef inline double shrink(double w, double decay, double cut, double grown, double passed) noexcept nogil:
    """|w| after steps |w| <- max(|w| - eta cut, 0) / (1 + eta l2): (decay |w| - cut passed) / grown, where decay
    and grown are the products of 1 + eta l2 up to the first and past the last step, and passed the sum of
    eta times that product."""
    cdef double size = max((decay * fabs(w) - cut * passed) / grown, 0)
    return size if w >= 0 else -size


def sgd_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
              Py_ssize_t batch_size, const double[::1] eta, double l2, bint fit_intercept,
              floating[:, ::1] W, floating[::1] b, const double[::1] metric, const double[::1] cut,
              floating[:, ::1] G):
    """As sgd.sgd_steps, with W and G (d, K), without shift and momentum; a step of size eta[t] moves feature j
    by eta[t] metric[j], cuts it by eta[t] cut[j] and shrinks it by 1 / (1 + eta[t] l2)."""
    cdef const Source* source = &X.source
    cdef Py_ssize_t d = source.d, K = b.shape[0], m = order.shape[0], T = eta.shape[0]
    cdef Py_ssize_t t, f, j, k, start, stop, n_touched
    cdef floating* Z
    cdef Block* block = new_block(source, min(batch_size, m), K, sizeof(floating), False)
    cdef double[::1] residuals = np.empty(K)
    cdef int64_t[::1] seen = np.full(d, -1)
    cdef int64_t[::1] current = np.zeros(d, dtype=np.int64)
    cdef int32_t[::1] touched = np.empty(d, dtype=np.int32)
    # grown[t] = prod_{u<t} (1 + eta[u] l2), passed[t] = sum_{u<t} eta[u] grown[u].
    cdef double[::1] grown = np.concatenate([[1.0], np.cumprod(1 + np.asarray(eta) * l2)])
    cdef double[::1] passed = np.concatenate([[0.0], np.cumsum(np.asarray(eta) * np.asarray(grown)[:T])])
    cdef double scale, rate
    if block == NULL:
        raise MemoryError
    Z = <floating*> block.Z
    block.count = m
    with nogil:
        for t in range(T):
            start, stop = t * batch_size, min((t + 1) * batch_size, m)
            rate, scale = eta[t], 1.0 / (stop - start)
            fetch(source, block, &order[0], start, stop, -1, &y[0], &s[0], <floating*> NULL)
            n_touched = list_features(source, block, t, seen, touched)
            for f in range(n_touched):
                j = touched[f]
                for k in range(K):
                    W[j, k] = <floating> shrink(W[j, k], grown[current[j]], cut[j], grown[t],
                                                passed[t] - passed[current[j]])
                    G[j, k] = 0
            block_scores(source, block, &W[0, 0], &b[0], <floating*> NULL, K, Z)
            softmax(Z, block.size, block.y, <floating*> block.s, block.B, K, NULL)
            residuals[:] = 0
            add_sums(Z, block.size, block.B, K, &residuals[0])
            block_gradient(source, block, Z, K, True, &G[0, 0])
            for f in range(n_touched):
                j = touched[f]
                for k in range(K):
                    W[j, k] = <floating> (soft(W[j, k] - rate * metric[j] * scale * G[j, k], rate * cut[j])
                                          / (1 + rate * l2))
                current[j] = t + 1
            if fit_intercept:
                for k in range(K):
                    b[k] -= <floating> (rate * scale * residuals[k])
        for j in range(d):
            for k in range(K):
                W[j, k] = <floating> shrink(W[j, k], grown[current[j]], cut[j], grown[T],
                                            passed[T] - passed[current[j]])
    free_block(block)
