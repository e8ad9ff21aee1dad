"""The loss as a function of all scores at once, for searches along a line. Scores are K x n, columns contiguous;
arrays over samples are padded by zeros to a multiple of PADDING.

`loss` is the kind of losses.py: 0 softmax, 1 squared hinge.
"""

import numpy as np

from libc.stdint cimport int32_t

from .simd cimport PAD, softmax, squared_hinge

PADDING = PAD


cdef double to_residuals(double[:, ::1] Z, const int32_t[::1] y, const double[::1] s, Py_ssize_t n, int loss):
    cdef Py_ssize_t K = Z.shape[0]
    cdef double[::1] mass = np.zeros(K)
    with nogil:
        if loss == 1:
            return squared_hinge(&Z[0, 0], Z.shape[1], &y[0], <double*> &s[0], n, &mass[0])
        return softmax(&Z[0, 0], Z.shape[1], &y[0], <double*> &s[0], n, K, &mass[0])


def residuals(double[:, ::1] Z, const int32_t[::1] y, const double[::1] s, Py_ssize_t n, int loss=0):
    """Turns scores into residuals s_i (p_i - y_i), or those of the squared hinge; returns sum_i s_i loss_i.

    # loss = s @ (logsumexp(Z, axis=0) - Z[y, range(n)]); Z = s * (softmax(Z, axis=0) - onehot(y))

    Parameters
    ----------
    Z : (K, n padded)           # IN and OUT
    y, s : (n padded,)          # IN
    """
    return to_residuals(Z, y, s, n, loss)


def curvatures(double[:, ::1] Z, const int32_t[::1] y, const double[::1] s, Py_ssize_t n, int loss=0):
    """Turns scores into what their Hessian takes: probabilities, or for one column s_i times the second
    derivative.

    # Z = softmax(Z, axis=0), or s * p * (1 - p), or 2 * s * (1 > t * z)
    """
    cdef Py_ssize_t i
    cdef double p
    cdef double[::1] ones = np.zeros(Z.shape[1])
    ones[:n] = 1
    to_residuals(Z, y, ones, n, loss)
    with nogil:
        for i in range(n):
            if loss == 1:
                Z[0, i] = 2 * s[i] if Z[0, i] != 0 else 0
            elif Z.shape[0] == 1:
                p = Z[0, i] + y[i]
                Z[0, i] = s[i] * p * (1 - p)
            else:
                Z[y[i], i] += 1
