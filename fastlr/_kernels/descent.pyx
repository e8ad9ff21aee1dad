"""Coordinate descent on a quadratic model of the loss plus an L1 penalty.

min over w of q'(w - w0) + 1/2 (w - w0)'H(w - w0) + sum_c cut_c |w_c|, over a active pairs (class, feature), w0 what
w is at the call. A sweep visits all pairs, then only those that are not zero until these are at rest, then all
again. At rest is what a sweep lowers the model by no more than `rest` times what all sweeps have.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from .simd cimport add_scaled, floating


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


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
    at_rest : bool
    """
    cdef Py_ssize_t a = w.shape[0], c, _
    cdef double lowered, total = 0, new, h, step
    cdef bint whole = True
    for _ in range(max_sweeps):
        lowered = 0
        with nogil:
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
        PyErr_CheckSignals()
        total += lowered
        if whole and lowered <= rest * total:
            return True
        whole = lowered <= rest * total
    return False


cdef class ColumnModel:
    """The model by its scores: H is never built. With u = root times the change of the scores since w0, and
    m_i = <p_i, u_i>, the gradient of pair c = (k, j) is

        q_c + extra_c (w_c - w0_c) + sum_i x_ij p_ik (u_ik - m_i),      x times root, too.

    Parameters
    ----------
    indptr, indices, values     # CSC columns, times root
    root : (n,)                 # square roots of the rows' weights
    P : (K, n)                  # probabilities; no rows: one score column, weights in `root` alone
    column : (a,)               # pairs sorted by score column; -1 is the intercept
    first : (K + 1,)
    q, extra, cut : (a,)        # gradient at w0, what is added to H's diagonal, L1 thresholds
    w0 : (a,)
    """

    cdef const int64_t[::1] indptr
    cdef const int32_t[::1] indices, column
    cdef const float[::1] values, root
    cdef const float[:, ::1] P
    cdef const Py_ssize_t[::1] first
    cdef const double[::1] q, extra, cut, w0
    cdef double[::1] h
    cdef double[:, ::1] U
    cdef double[::1] M
    cdef Py_ssize_t K, n

    def __init__(self, indptr, indices, values, root, P, column, first, q, extra, cut, w0):
        cdef Py_ssize_t k, c
        self.indptr, self.indices, self.values, self.root, self.P = indptr, indices, values, root, P
        self.column, self.first, self.q, self.extra, self.cut = column, first, q, extra, cut
        self.w0 = w0
        self.K, self.n = len(first) - 1, len(root)
        self.U, self.M, self.h = np.zeros((self.K, self.n)), np.zeros(self.n), np.array(extra)
        for k in range(self.K):
            for c in range(first[k], first[k + 1]):
                self.h[c] += self.curvature_along(self.column[c], k)
            PyErr_CheckSignals()

    cdef double curvature_along(self, Py_ssize_t j, Py_ssize_t k) noexcept nogil:
        """sum_i x_ij^2 p_i (1 - p_i), or without p."""
        cdef double total = 0, x
        cdef Py_ssize_t e, i
        cdef bint plain = self.P.shape[0] == 0
        for e in range(self.n if j < 0 else self.indptr[j + 1] - self.indptr[j]):
            i = e if j < 0 else self.indices[self.indptr[j] + e]
            x = self.root[i] if j < 0 else self.values[self.indptr[j] + e]
            total += x * x if plain else x * x * self.P[k, i] * (1 - self.P[k, i])
        return total

    cdef double slope_along(self, Py_ssize_t j, Py_ssize_t k) noexcept nogil:
        """sum_i x_ij p_i (u_i - m_i), or sum_i x_ij u_i."""
        cdef double total = 0
        cdef int64_t e
        cdef Py_ssize_t i
        cdef const double* u = &self.U[k, 0]
        cdef const double* m = &self.M[0]
        cdef const float* p = &self.P[k, 0] if self.P.shape[0] else NULL
        if j < 0:
            for i in range(self.n):
                total += self.root[i] * (p[i] * (u[i] - m[i]) if p != NULL else u[i])
        elif p != NULL:
            for e in range(self.indptr[j], self.indptr[j + 1]):
                i = self.indices[e]
                total += self.values[e] * (p[i] * (u[i] - m[i]))  # in double
        else:
            for e in range(self.indptr[j], self.indptr[j + 1]):
                total += self.values[e] * u[self.indices[e]]
        return total

    cdef void move_along(self, Py_ssize_t j, Py_ssize_t k, double step) noexcept nogil:
        """u += step x_j, m += step p x_j."""
        cdef int64_t e
        cdef Py_ssize_t i
        cdef double change
        cdef double* u = &self.U[k, 0]
        cdef double* m = &self.M[0]
        cdef const float* p = &self.P[k, 0] if self.P.shape[0] else NULL
        if j < 0:
            for i in range(self.n):
                u[i] += step * self.root[i]
                if p != NULL:
                    m[i] += step * self.root[i] * p[i]
        else:
            for e in range(self.indptr[j], self.indptr[j + 1]):
                i = self.indices[e]
                change = step * self.values[e]
                u[i] += change
                if p != NULL:
                    m[i] += change * p[i]

    cdef double sweep(self, double[::1] w, bint whole, Py_ssize_t k) noexcept nogil:
        """Visits all pairs of score column k, or those that are not zero; returns a measure of what that lowers
        the model by."""
        cdef double lowered = 0, step, slope, new
        cdef Py_ssize_t c
        for c in range(self.first[k], self.first[k + 1]):
            if self.h[c] <= 0 or (not whole and w[c] == 0):
                continue
            slope = self.q[c] + self.extra[c] * (w[c] - self.w0[c]) + self.slope_along(self.column[c], k)
            new = minimiser(w[c], slope, self.h[c], self.cut[c])
            step = new - w[c]
            if step != 0:
                lowered += self.h[c] * step * step
                w[c] = new
                self.move_along(self.column[c], k, step)
        return lowered

    def descend(self, double[::1] w, double rest, Py_ssize_t max_sweeps):
        """Sweeps until the model is at rest; w (a,) starts at w0 and changes in place. Returns whether it is."""
        cdef double lowered, total = 0
        cdef Py_ssize_t k, _
        cdef bint whole = True
        for _ in range(max_sweeps):
            lowered = 0
            for k in range(self.K):
                with nogil:
                    lowered += self.sweep(w, whole, k)
                PyErr_CheckSignals()
            total += lowered
            if whole and lowered <= rest * total:
                return True
            whole = lowered <= rest * total
        return False
