"""Minibatch SGD on dense rows: minimises mean_i s_i loss_i + l1 |W|_1 + l2/2 |W|^2 by proximal steps.

n rows, d features, K score columns, B rows of a minibatch. The model is z = W (x - shift) + b.
"""

import numpy as np

from libc.stdint cimport int32_t

from .simd cimport floating, prox_step, softmax
from .source cimport Block, Rows, Source, add_residuals, block_gradient, block_scores, fetch, free_block, new_block


cdef void take_step(floating* W, floating* velocity, const floating* G, floating scale, floating mean_residual,
                    floating momentum, const floating* shift, const floating* step, const floating* cut,
                    const floating* keep, Py_ssize_t d) noexcept nogil:
    """The weights of one class: g = scale G - mean_residual shift, with momentum v = momentum v + g."""
    cdef Py_ssize_t j
    if momentum == 0:
        prox_step(W, <floating*> NULL, G, scale, mean_residual, shift, step, cut, keep, d)
        return
    for j in range(d):
        velocity[j] = momentum * velocity[j] + scale * G[j] - mean_residual * shift[j]
    prox_step(W, <floating*> NULL, velocity, 1, 0, shift, step, cut, keep, d)


cdef void set_step(floating rate, const floating* metric, const floating* l1, const floating* l2,
                   floating* step, floating* cut, floating* keep, Py_ssize_t d) noexcept nogil:
    """What prox_step needs for a step of size `rate`."""
    cdef Py_ssize_t j
    for j in range(d):
        step[j] = rate * metric[j]
        cut[j] = step[j] * l1[j]
        keep[j] = 1 / (1 + step[j] * l2[j])


def sgd_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
              Py_ssize_t batch_size, const double[::1] eta, double momentum, bint fit_intercept,
              floating[:, ::1] W, floating[::1] b, floating[:, ::1] velocity, floating[::1] velocity_b,
              const floating[::1] shift, const floating[::1] metric, const floating[::1] l1,
              const floating[::1] l2, floating[:, ::1] work):
    """One step for each successive `batch_size` of `order`, the t-th of size eta[t].

    # R = s (softmax(Z) - Y); G = R.T @ (X[batch] - shift) / B
    # W = soft(W - eta metric G, eta metric l1) / (1 + eta metric l2); b -= eta R.mean(axis=0)

    Parameters
    ----------
    order : (m,)                                # IN, row numbers
    eta : (ceil(m / batch_size),)               # IN
    W, b : (K, d), (K,)                         # IN and OUT
    velocity, velocity_b : like W, b            # IN and OUT, used when momentum > 0
    shift, metric, l1, l2 : (d,)                # IN
    work : (3 + K, d)                           # scratch
    """
    cdef const Source* source = &X.source
    cdef Py_ssize_t d = source.d, K = b.shape[0], m = order.shape[0]
    cdef Py_ssize_t t, start, stop, first, last, k
    # A minibatch goes through in even pieces of at most 128 rows.
    cdef Py_ssize_t pieces = (batch_size + 127) // 128
    cdef Py_ssize_t piece = (batch_size + pieces - 1) // pieces
    cdef Block* block = new_block(source, min(piece, m), K, sizeof(floating))
    cdef floating* step = &work[0, 0]
    cdef floating* cut = &work[1, 0]
    cdef floating* keep = &work[2, 0]
    cdef floating* G = &work[3, 0]
    cdef floating scale, residual
    cdef double[::1] residuals = np.empty(K)
    if block == NULL:
        raise MemoryError
    block.count = m
    with nogil:
        for t in range(eta.shape[0]):
            start, stop = t * batch_size, min((t + 1) * batch_size, m)
            if t == 0 or eta[t] != eta[t - 1]:
                set_step(<floating> eta[t], &metric[0], &l1[0], &l2[0], step, cut, keep, d)
            residuals[:] = 0
            first = start
            while first < stop:
                last = min(first + piece, stop)
                fetch(source, block, &order[0], first, last, last if last < m else -1, &y[0], &s[0],
                      <floating*> NULL)
                block_scores(source, block, &W[0, 0], &b[0], &shift[0], K)
                softmax(<floating*> block.Z, block.size, block.y, <floating*> block.s, block.B, K, NULL)
                add_residuals(block, K, &residuals[0], <floating*> NULL)
                block_gradient(source, block, K, first > start, G)
                first = last
            scale = <floating> 1 / (stop - start)
            for k in range(K):
                residual = <floating> residuals[k] * scale
                take_step(&W[k, 0], &velocity[k, 0], G + k * d, scale, residual, <floating> momentum, &shift[0], step, cut,
                          keep, d)
                if fit_intercept:
                    velocity_b[k] = <floating> momentum * velocity_b[k] + residual
                    b[k] -= <floating> eta[t] * velocity_b[k]
    free_block(block)
