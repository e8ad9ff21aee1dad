"""What follows from scores alone: the loss, for searches along a line, and probabilities.

Of the loss scores are K x n, columns contiguous; arrays over samples are padded by zeros to a multiple of
PADDING; `loss` is the kind of losses.py: 0 softmax, 1 squared hinge.
"""

import numpy as np

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .simd cimport PAD, floating, simd_double, simd_float, softmax, squared_hinge
from .team cimport team_counter, team_next, team_run

PADDING = PAD

cdef enum:
    BLOCK = 64                  # rows of a softmax
    CHUNK = 1024                # rows that a thread takes

ctypedef fused stored:
    float
    double

cdef struct Job:
    const void* Z               # n x K scores; K = 1 for two classes
    void* P                     # n x max(K, 2)
    Py_ssize_t n, K
    int types                   # 0 float to float, 1 float to double, 2 double to double, 3 double to float
    bint failed                 # memory was short
    team_counter counter


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


cdef void turn_block(const stored* z, floating* p, Py_ssize_t B, Py_ssize_t K, floating* room) noexcept nogil:
    """B rows of scores to probabilities; room is (classes + 1) x BLOCK: a softmax takes away the label's row, and
    the label is the row after the classes."""
    cdef Py_ssize_t i, k, first = 1 if K == 1 else 0, n_classes = K + first
    cdef floating[BLOCK] ones
    cdef int32_t[BLOCK] y
    for i in range(BLOCK):
        ones[i], y[i] = 1, <int32_t> n_classes
    if first:  # the scores 0 and z have the probabilities of two classes
        memset(room, 0, BLOCK * sizeof(floating))
    for i in range(B):
        for k in range(K):
            room[(k + first) * BLOCK + i] = <floating> z[i * K + k]
    if floating is float:
        simd_float.softmax(room, BLOCK, y, ones, B, n_classes, NULL)
    else:
        simd_double.softmax(room, BLOCK, y, ones, B, n_classes, NULL)
    for i in range(B):
        for k in range(n_classes):
            p[i * n_classes + k] = room[k * BLOCK + i]


cdef void turn_chunks(Job* job, const stored* Z, floating* P) noexcept nogil:
    """Takes chunks until none is left."""
    cdef Py_ssize_t K = job.K, n_classes = max(K, 2), chunk, start, stop
    cdef floating* room = <floating*> calloc((n_classes + 1) * BLOCK, sizeof(floating))
    if room == NULL:
        job.failed = True
        return
    while True:
        chunk = team_next(&job.counter)
        if chunk * CHUNK >= job.n:
            break
        start, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, job.n)
        while start < stop:
            turn_block(Z + start * K, P + start * n_classes, min(BLOCK, stop - start), K, room)
            start += BLOCK
    free(room)


cdef void turn(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.types == 0:
        turn_chunks(job, <const float*> job.Z, <float*> job.P)
    elif job.types == 1:
        turn_chunks(job, <const float*> job.Z, <double*> job.P)
    elif job.types == 2:
        turn_chunks(job, <const double*> job.Z, <double*> job.P)
    else:
        turn_chunks(job, <const double*> job.Z, <float*> job.P)


def probabilities(const stored[:, ::1] Z, floating[:, ::1] P, int n_threads):
    """P = softmax of the rows of Z, worked out in the type of P; of one score z the softmax of 0 and z.

    # P = softmax(Z, axis=1), or softmax(hstack([0 * Z, Z]), axis=1)

    Parameters
    ----------
    Z : (n, K)                  # IN, finite in the type of P
    P : (n, max(K, 2))          # OUT
    """
    cdef Job job
    memset(&job, 0, sizeof(Job))
    job.n, job.K = Z.shape[0], Z.shape[1]
    if job.n == 0:
        return
    if stored is float:
        job.types = 0 if floating is float else 1
    else:
        job.types = 3 if floating is float else 2
    job.Z, job.P = &Z[0, 0], &P[0, 0]
    with nogil:
        team_run(min(n_threads, 1 + (job.n - 1) // CHUNK), turn, &job)
    if job.failed:
        raise MemoryError
