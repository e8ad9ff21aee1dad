"""SAGA on dense rows, a block of B rows at a time.

n rows cut into m blocks, d features, K score columns. The problem is min_W,b sum_i s_i loss_i + the penalty,
and the model z = W (x - shift) + b. Each block keeps its last residuals R_B (K x B); `average` is the sum of
all blocks' stored gradients R_B' X_B, `average_b` that of the residuals. A step draws a block, and moves along
the unbiased estimate m (new - stored gradient of the block) + average, whose variance vanishes at the optimum
(Defazio, Bach and Lacoste-Julien 2014).
"""

import numpy as np

from libc.stdint cimport int32_t

from .simd cimport floating, prox_step, softmax
from .source cimport Block, Rows, Source, add_residuals, block_gradient, block_scores, fetch, free_block, new_block
from .source cimport swap_residuals


def saga_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
               Py_ssize_t block_size, const Py_ssize_t[::1] draws, double step_b, bint fit_intercept,
               floating[:, ::1] W, floating[::1] b, floating[:, ::1] average, double[::1] average_b,
               floating[::1] stored, const floating[::1] shift, const floating[::1] step,
               const floating[::1] cut, const floating[::1] keep, floating[:, ::1] G):
    """One step for each entry of `draws`, the number of a block.

    # D = R.T @ (X[block] - shift) - stored; W = keep soft(W - step (m D + average), cut); average += D

    Parameters
    ----------
    order : (n,)                                # IN, block t is order[t * block_size:(t + 1) * block_size]
    W, b : (K, d), (K,)                         # IN and OUT
    average, average_b : like W, b              # IN and OUT
    stored : (K n,)                             # IN and OUT, residuals, block after block
    shift, step, cut, keep : (d,)               # IN
    G : (K, d)                                  # scratch
    """
    cdef const Source* source = &X.source
    cdef Py_ssize_t d = source.d, K = b.shape[0], n = order.shape[0]
    cdef Py_ssize_t t, k, start, stop, following, m = (n + block_size - 1) // block_size
    cdef Block* block = new_block(source, min(block_size, n), K, sizeof(floating))
    cdef double[::1] change = np.empty(K)
    if block == NULL:
        raise MemoryError
    block.count = n
    with nogil:
        for t in range(draws.shape[0]):
            start = draws[t] * block_size
            stop = min(start + block_size, n)
            following = draws[t + 1] * block_size if t + 1 < draws.shape[0] else -1
            fetch(source, block, &order[0], start, stop, following, &y[0], &s[0], <floating*> NULL)
            block_scores(source, block, &W[0, 0], &b[0], &shift[0], K)
            softmax(<floating*> block.Z, block.size, block.y, <floating*> block.s, block.B, K, NULL)
            swap_residuals(block, K, &stored[start * K])
            change[:] = 0
            add_residuals(block, K, &change[0], <floating*> NULL)
            block_gradient(source, block, K, False, &G[0, 0])
            for k in range(K):
                prox_step(&W[k, 0], &average[k, 0], &G[k, 0], <floating> m,
                          <floating> (m * change[k] + average_b[k]), &shift[0], &step[0], &cut[0], &keep[0], d)
                if fit_intercept:
                    b[k] -= <floating> (step_b * (m * change[k] + average_b[k]))
                average_b[k] += change[k]
    free_block(block)


def constant_residuals(const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
                       Py_ssize_t block_size, const double[::1] p, floating[::1] stored):
    """Residuals s_i (p - y_i) of a model that gives every row the probabilities p (K,), block after block."""
    cdef Py_ssize_t K = p.shape[0], n = order.shape[0], start = 0, B, i, k, row
    while start < n:
        B = min(block_size, n - start)
        for i in range(B):
            row = order[start + i]
            for k in range(K):
                stored[start * K + k * B + i] = <floating> (s[row] * (p[k] - (y[row] == (k if K > 1 else 1))))
        start += B
