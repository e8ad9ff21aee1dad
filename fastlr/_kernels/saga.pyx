"""SAGA on dense rows, a block of B rows at a time.

n rows cut into m blocks, d features, K score columns. The problem is min_W,b sum_i s_i loss_i + the penalty,
and the model z = W (x - shift) + b. Each block keeps its last residuals R_B (K x B); `average` is the sum of
all blocks' stored gradients R_B' X_B, `average_b` that of the residuals. A step draws a block, and moves along
the unbiased estimate m (new - stored gradient of the block) + average, whose variance vanishes at the optimum
(Defazio, Bach and Lacoste-Julien 2014).
"""

import numpy as np

from libc.math cimport sqrt
from libc.stdint cimport int32_t

from .simd cimport floating, padded, prox_step, scores, softmax
from .source cimport Block, Rows, Source, add_residuals, block_gradient, block_scores, fetch, free_block, new_block


cdef void swap_residuals(Block* block, Py_ssize_t K, floating* stored) noexcept nogil:
    """The block's residuals become their change since the last visit, and are stored."""
    cdef floating* R = <floating*> block.Z
    cdef floating r
    cdef Py_ssize_t i, k
    for k in range(K):
        for i in range(block.B):
            r = R[k * block.size + i]
            R[k * block.size + i] = r - stored[k * block.B + i]
            stored[k * block.B + i] = r


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


cdef double spectral_bound(const floating** rows, floating* A, floating* spare, const floating* zeros,
                           Py_ssize_t B, Py_ssize_t ld) noexcept nogil:
    """A bound on the largest eigenvalue of the symmetric B x B matrix A (leading dimension ld; overwritten):
    (trace A^16)^(1/16), between lambda and B^(1/16) lambda."""
    cdef Py_ssize_t i, j, power
    cdef double norm, bound = 1, root = 1
    cdef floating* swap
    for power in range(4):
        norm = 0
        for i in range(B):
            for j in range(B):
                norm += <double> A[i * ld + j] * A[i * ld + j]
        norm = sqrt(norm)
        if norm == 0:
            return 0
        # lambda(A) = norm lambda(A / norm); the next round has its square.
        bound *= norm ** root
        root /= 2
        if power == 3:
            return bound
        for i in range(B):
            for j in range(B):
                A[i * ld + j] /= <floating> norm
            rows[i] = A + i * ld
        scores(rows, A, ld, zeros, B, B, B, spare, ld)
        swap = A
        A = spare
        spare = swap
    return bound


def block_curvature(Rows X, const double[::1] s, const Py_ssize_t[::1] order, Py_ssize_t block_size,
                    const floating[::1] shift, const floating[::1] metric, double intercept, double[::1] out):
    """out[t] bounds the largest eigenvalue of sum_i s_i x_i x_i' over the rows of block t, where x_i is
    (x_i - shift) * sqrt(metric), with a last feature sqrt(intercept).

    # A = sqrt(S) (Xt Xt' + intercept) sqrt(S); out[t] = trace(A^16) ** (1 / 16)
    """
    cdef const Source* source = &X.source
    cdef Py_ssize_t d = source.d, n = order.shape[0], B, i, j, t, size = min(block_size, n), ld = padded(size)
    cdef Block* block = new_block(source, size, 1, sizeof(floating))
    kind = np.float32 if floating is float else np.float64
    cdef floating[:, ::1] scaled = np.empty((size, d), dtype=kind)
    cdef floating[:, ::1] A = np.zeros((size, ld), dtype=kind)
    cdef floating[:, ::1] spare = np.zeros((size, ld), dtype=kind)
    cdef floating[::1] offset = np.zeros(size, dtype=kind)
    cdef floating[::1] zeros = np.zeros(size, dtype=kind)
    cdef const floating* x
    cdef const floating* origin = &shift[0]
    if block == NULL:
        raise MemoryError
    block.count = n
    with nogil:
        for t in range(out.shape[0]):
            fetch(source, block, &order[0], t * block_size, min((t + 1) * block_size, n), -1, NULL, &s[0],
                  <floating*> NULL)
            B = block.B
            for i in range(B):
                x = (<const floating**> block.rows)[i]
                for j in range(d):
                    scaled[i, j] = (x[j] - shift[j]) * metric[j]
            # (x_i - shift)' M (x_l - shift), with the shift in the bias
            scores(&origin, &scaled[0, 0], d, &zeros[0], 1, B, d, &offset[0], 1)
            for i in range(B):
                offset[i] = <floating> intercept - offset[i]
            scores(<const floating**> block.rows, &scaled[0, 0], d, &offset[0], B, B, d, &A[0, 0], ld)
            for i in range(B):
                for j in range(B):
                    A[i, j] *= <floating> sqrt((<floating*> block.s)[i] * (<floating*> block.s)[j])
            out[t] = spectral_bound(<const floating**> block.rows, &A[0, 0], &spare[0, 0], &zeros[0], B, ld)
    free_block(block)
