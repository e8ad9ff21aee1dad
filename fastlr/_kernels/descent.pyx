"""Coordinate descent on a quadratic model of the loss plus an L1 penalty.

min over w of q'(w - w0) + 1/2 (w - w0)'H(w - w0) + sum_c cut_c |w_c|, over a active pairs (class, feature), w0 what
w is at the call. A sweep visits all pairs, then only those that are not zero until these are at rest, then all
again. At rest is what a sweep lowers the model by no more than `rest` times what all sweeps have.
"""

import numpy as np

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t

from .simd cimport add_scaled, floating


cdef inline double minimiser(double w, double q, double h, double cut) noexcept nogil:
    """Of q (v - w) + h/2 (v - w)^2 + cut |v| over v."""
    cdef double v = w - q / h
    cut /= h
    return v - cut if v > cut else (v + cut if v < -cut else 0)


def gram(const floating[:, ::1] H, double[::1] q, double[::1] w, const double[::1] cut, double rest,
         Py_ssize_t max_sweeps):
    """H is at hand: a step along pair c changes the gradient by its row of H.

    # for c in order: new = minimiser(w[c], q[c], H[c, c], cut[c]); q += (new - w[c]) * H[c]; w[c] = new

    Parameters
    ----------
    H : (a, lda)            # IN, lda >= a
    q : (a,)                # IN and OUT, gradient of the quadratic at w
    w : (a,)                # IN and OUT
    cut : (a,)              # IN

    Returns
    -------
    sweeps, at_rest
    """
    cdef Py_ssize_t a = w.shape[0], sweep = 0, c
    cdef double lowered, total = 0, new, h, step
    cdef bint whole = True, at_rest = False
    with nogil:
        while sweep < max_sweeps and not at_rest:
            lowered = 0
            for c in range(a):
                h = H[c, c]
                if h <= 0 or (not whole and w[c] == 0):
                    continue
                new = minimiser(w[c], q[c], h, cut[c])
                step = new - w[c]
                if step != 0:
                    lowered += h * step * step
                    w[c] = new
                    add_scaled(step, &H[c, 0], a, &q[0])
            sweep += 1
            total += lowered
            at_rest = whole and lowered <= rest * total
            whole = lowered <= rest * total
    return sweep, at_rest


cdef struct Columns:
    const int64_t* indptr
    const int32_t* indices
    Py_ssize_t n


cdef double curvature_along(const Columns* X, const floating* values, Py_ssize_t j, const floating* root,
                            const floating* p) noexcept nogil:
    """sum_i x_ij^2 p_i (1 - p_i), or without p where it is NULL; x of the intercept (j = -1) is `root`."""
    cdef double total = 0, x
    cdef int64_t e
    cdef Py_ssize_t i
    if j < 0:
        for i in range(X.n):
            total += root[i] * root[i] * (p[i] * (1 - p[i]) if p != NULL else 1)
    else:
        for e in range(X.indptr[j], X.indptr[j + 1]):
            x = values[e]
            i = X.indices[e]
            total += x * x * (p[i] * (1 - p[i]) if p != NULL else 1)
    return total


cdef double slope_along(const Columns* X, const floating* values, Py_ssize_t j, const floating* root,
                        const floating* p, const double* z, const double* m) noexcept nogil:
    """sum_i x_ij p_i (z_i - m_i), or sum_i x_ij z_i."""
    cdef double total = 0
    cdef int64_t e
    cdef Py_ssize_t i
    if j < 0:
        for i in range(X.n):
            total += root[i] * (p[i] * (z[i] - m[i]) if p != NULL else z[i])
    elif p != NULL:
        for e in range(X.indptr[j], X.indptr[j + 1]):
            i = X.indices[e]
            total += values[e] * p[i] * (z[i] - m[i])
    else:
        for e in range(X.indptr[j], X.indptr[j + 1]):
            total += values[e] * z[X.indices[e]]
    return total


cdef void move_along(const Columns* X, const floating* values, Py_ssize_t j, const floating* root,
                     const floating* p, double step, double* z, double* m) noexcept nogil:
    """z += step x_j, m += step p x_j."""
    cdef int64_t e
    cdef Py_ssize_t i
    cdef double change
    if j < 0:
        for i in range(X.n):
            z[i] += step * root[i]
            if p != NULL:
                m[i] += step * root[i] * p[i]
    else:
        for e in range(X.indptr[j], X.indptr[j + 1]):
            i = X.indices[e]
            change = step * values[e]
            z[i] += change
            if p != NULL:
                m[i] += change * p[i]


def columns(const int64_t[::1] indptr, const int32_t[::1] indices, const floating[::1] values,
            const floating[::1] root, const floating[:, ::1] P, const int32_t[::1] column,
            const Py_ssize_t[::1] first, const double[::1] q, const double[::1] curvature, double[::1] w,
            const double[::1] cut, double rest, Py_ssize_t max_sweeps):
    """The model by its scores: H is never built. With u = the change of the scores times root, and m_i = <p_i, u_i>,
    the gradient of pair (k, j) is q + sum_i x_ij p_ik (u_ik - m_i) + curvature (w - w0).

    Parameters
    ----------
    indptr, indices, values         # IN, CSC columns, times root
    root : (n,)                     # IN, square roots of the rows' weights
    P : (K, n)                      # IN, probabilities; no rows: one score column, weights in `root` alone
    column : (a,)                   # IN, pairs sorted by class; -1 is the intercept
    first : (K + 1,)                # IN
    q, curvature, cut : (a,)        # IN, gradient at w0, and what a smooth penalty adds to H's diagonal
    w : (a,)                        # IN and OUT

    Returns
    -------
    sweeps, at_rest
    """
    cdef Py_ssize_t a = w.shape[0], K = first.shape[0] - 1, n = root.shape[0], sweep = 0, c, k
    cdef double lowered, total = 0, new, step, slope
    cdef bint whole = True, at_rest = False
    cdef Columns X
    cdef double[:, ::1] U = np.zeros((K, n))
    cdef double[::1] M = np.zeros(n)
    cdef double[::1] h = np.zeros(a)
    cdef double[::1] start = np.array(w)
    cdef const floating* x = &values[0] if values.shape[0] else NULL
    cdef const floating* p
    X.indptr, X.indices, X.n = &indptr[0], &indices[0] if indices.shape[0] else NULL, n
    with nogil:
        for k in range(K):
            p = &P[k, 0] if P.shape[0] else NULL
            for c in range(first[k], first[k + 1]):
                h[c] = curvature_along(&X, x, column[c], &root[0], p) + curvature[c]
        while sweep < max_sweeps and not at_rest:
            lowered = 0
            for k in range(K):
                p = &P[k, 0] if P.shape[0] else NULL
                for c in range(first[k], first[k + 1]):
                    if h[c] <= 0 or (not whole and w[c] == 0):
                        continue
                    slope = q[c] + curvature[c] * (w[c] - start[c])
                    slope += slope_along(&X, x, column[c], &root[0], p, &U[k, 0], &M[0])
                    new = minimiser(w[c], slope, h[c], cut[c])
                    step = new - w[c]
                    if step != 0:
                        lowered += h[c] * step * step
                        w[c] = new
                        move_along(&X, x, column[c], &root[0], p, step, &U[k, 0], &M[0])
            sweep += 1
            total += lowered
            at_rest = whole and lowered <= rest * total
            whole = lowered <= rest * total
    return sweep, at_rest
