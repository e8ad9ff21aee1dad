"""The loss as a function of all scores at once, for searches along a line. Scores are K x n, columns contiguous."""

import numpy as np

from libc.stdint cimport int32_t

from .simd cimport PAD, floating, softmax

# Arrays over samples are padded by zeros to a multiple of this.
PADDING = PAD


def residuals(floating[:, ::1] Z, const int32_t[::1] y, const floating[::1] s, Py_ssize_t n):
    """Turns scores into residuals s_i (p_i - y_i); returns sum_i s_i loss_i.

    # loss = s @ (logsumexp(Z, axis=0) - Z[y, range(n)]); Z = s * (softmax(Z, axis=0) - onehot(y))

    Parameters
    ----------
    Z : (K, n padded)           # IN and OUT
    y, s : (n padded,)          # IN
    """
    cdef double loss
    cdef double[::1] mass = np.zeros(Z.shape[0])
    with nogil:
        loss = softmax(&Z[0, 0], Z.shape[1], &y[0], <floating*> &s[0], n, Z.shape[0], &mass[0])
    return loss
