"""Stochastic dual coordinate ascent: rows one at a time, each to the maximum of the dual over its probabilities.

n rows, d features, K score columns, m classes: m = K, or 2 for one column. Row i has q_i in the simplex of m
classes, kept as its logarithm L_i. W is the image of all q, W = sum_i s_i (y_i - q_i) (h x_i)' with the metric
h_j = 1 / (l2 u_j^2), at any time, and b moves along: b = centre + h_b sum_i s_i (y_i - q_i) (docs/math.md).
"""

from libc.math cimport fabs, log, log1p
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

from .simd cimport accumulate, floating, pack, scores, simd_double, simd_float, sparse_gradient, sparse_scores
from .source cimport Rows, Source

# Where L ends: exp of it is still a normal float.
LOWEST = -80.0
cdef double lowest = LOWEST
# Newton's steps for a row: few more than ten were seen, for scores and curvatures of any size. They are enough
# when the probabilities have changed by less than `close`, as the next change would be of the size of its square.
cdef int most_steps = 20
cdef double close = 1e-3


cdef inline void exp(const floating* x, Py_ssize_t n, floating* out) noexcept nogil:
    if floating is float:
        simd_float.exp(x, n, out)
    else:
        simd_double.exp(x, n, out)


# One row on its way: x and h x in the type of the arithmetic, and room for numbers per class.
cdef struct Row:
    const int32_t* columns  # CSR, else NULL
    Py_ssize_t count
    void* x
    void* hx
    void* z                 # scores
    void* q                 # probabilities before
    void* p                 # and after
    void* logs              # logarithms of p
    void* r                 # what the equations lack
    void* step              # s (q - p)


cdef Row* new_row(const Source* X, Py_ssize_t m, Py_ssize_t itemsize) noexcept nogil:
    """NULL when memory is short."""
    cdef Row* row = <Row*> calloc(1, sizeof(Row))
    cdef Py_ssize_t i, longest = X.d
    if row == NULL:
        return NULL
    if X.indptr != NULL:
        longest = 0
        for i in range(X.n):
            longest = max(longest, X.indptr[i + 1] - X.indptr[i])
    # One block for all: the two rows, then six lines of m numbers.
    row.x = calloc(2 * longest + 6 * m + 1, itemsize)
    if row.x == NULL:
        free(row)
        return NULL
    row.hx = <char*> row.x + longest * itemsize
    row.z = <char*> row.hx + longest * itemsize
    row.q = <char*> row.z + m * itemsize
    row.p = <char*> row.q + m * itemsize
    row.logs = <char*> row.p + m * itemsize
    row.r = <char*> row.logs + m * itemsize
    row.step = <char*> row.r + m * itemsize
    return row


cdef void free_row(Row* row) noexcept nogil:
    if row != NULL:
        free(row.x)
        free(row)


cdef double bring(const Source* X, Py_ssize_t i, const floating* shift, const floating* h, Row* row) noexcept nogil:
    """Reads row i, less the shift where X is dense; returns sum_j h_j x_ij^2."""
    cdef floating* x = <floating*> row.x
    cdef floating* hx = <floating*> row.hx
    cdef Py_ssize_t e, count
    cdef const int32_t* columns = NULL
    cdef double square = 0
    if X.indptr != NULL:
        count = X.indptr[i + 1] - X.indptr[i]
        columns = X.indices + X.indptr[i]
        pack(X.base + X.indptr[i] * X.size, X.stored, 1, count, x)
        for e in range(count):
            hx[e] = h[columns[e]] * x[e]
    else:
        count = X.d
        pack(X.base + i * X.row_stride, X.stored, X.column_stride // X.size, count, x)
        for e in range(count):
            x[e] -= shift[e]
            hx[e] = h[e] * x[e]
    for e in range(count):
        square += <double> hx[e] * x[e]
    row.columns, row.count = columns, count
    return square


cdef void score(const Row* row, const floating* W, const floating* b, Py_ssize_t K, floating* z) noexcept nogil:
    """z = W x + b."""
    if row.columns == NULL:
        scores(<const floating**> &row.x, W, row.count, b, 1, K, row.count, z, 1)
    else:
        sparse_scores(<const char*> row.x, 1 if floating is float else 2, row.columns, row.count, W, K, b, z)


cdef void add_outer(const Row* row, const floating* step, Py_ssize_t K, floating* W) noexcept nogil:
    """W += step (h x)'."""
    if row.columns == NULL:
        accumulate(<const floating**> &row.hx, step, 1, 1, K, row.count, NULL, 0, True, W, row.count)
    else:
        sparse_gradient(<const char*> row.hx, 1 if floating is float else 2, row.columns, row.count, step, K, W)


cdef void normalise(floating* logs, Py_ssize_t m, floating* p) noexcept nogil:
    """p = exp(logs), and both such that sum_k p_k = 1."""
    cdef double total = 0
    cdef floating slack, floor = <floating> lowest
    cdef Py_ssize_t k
    for k in range(m):
        logs[k] = min(logs[k], 0)
    exp(logs, m, p)
    for k in range(m):
        total += p[k]
    slack = <floating> log(total)
    for k in range(m):
        p[k] /= <floating> total
        logs[k] = max(min(logs[k] - slack, 0), floor)


cdef void maximise(Row* row, const floating* L, double a, Py_ssize_t m, floating* type_only) noexcept nogil:
    """p, the solution of log p_k + a p_k = z_k + a q_k - lambda, sum_k p_k = 1, and its logarithms; z and q of
    the row are overwritten, q by exp(L).

    Newton's method for all log p_k and lambda at once, from max(softmax(z), q), which is right where these two
    agree. The equations are convex in log p_k: steps from above come down without overshooting, while steps from
    below may go too far, and are bounded.
    """
    cdef floating* z = <floating*> row.z
    cdef floating* q = <floating*> row.q
    cdef floating* p = <floating*> row.p
    cdef floating* logs = <floating*> row.logs
    cdef floating* r = <floating*> row.r
    cdef floating top = z[0], af = <floating> a, curved, slack, new, change, floor = <floating> lowest
    # Up to here the equations are all but linear in log p_k.
    cdef floating ceiling = <floating> -log1p(a)
    cdef double total, weight, lack
    cdef Py_ssize_t k, _step
    exp(L, m, q)
    for k in range(1, m):
        top = max(top, z[k])
    for k in range(m):
        logs[k] = max(z[k] - top, floor)
    exp(logs, m, p)
    total = 0
    for k in range(m):
        total += p[k]
    slack = <floating> log(total)
    for k in range(m):
        logs[k] = max(max(logs[k] - slack, L[k]), floor)
        z[k] += af * q[k]
    for _step in range(most_steps):
        exp(logs, m, p)
        total, weight, lack = 0, 0, 0
        for k in range(m):
            curved = p[k] / (1 + af * p[k])
            r[k] = z[k] - logs[k] - af * p[k]
            total += p[k]
            weight += curved
            lack += curved * r[k]
        slack = <floating> ((lack + total - 1) / weight)
        change = 0
        for k in range(m):
            new = max(logs[k] + (r[k] - slack) / (1 + af * p[k]), floor)
            change += p[k] * <floating> fabs(new - logs[k])
            logs[k] = min(new, max(logs[k] + 1, ceiling))
        if change < close:
            break
    normalise(logs, m, p)


def ascend(Rows X, const double[::1] s, const Py_ssize_t[::1] order, const floating[::1] shift, const floating[::1] h,
           double h_b, floating[:, ::1] L, floating[::1] W, floating[::1] b, double[::1] excess,
           floating[::1] moved):
    """Sets the probabilities of every row of `order`, one after the other, to the maximum of the dual.

    # q = exp(L[i]); a = s[i] * (h @ x**2 + h_b); p = the solution of log p + a p = z + a q - lambda, sum(p) = 1
    # L[i] = log(p); W += s[i] * outer(q - p, h * x); b += h_b * s[i] * (q - p); excess += s[i] * (q - p)

    Parameters
    ----------
    s : (n,)                # IN
    order : row numbers     # IN
    shift, h : (d,)         # IN
    h_b : metric of the intercept, 0 for none
    L : (n, m)              # IN and OUT, log q
    W : (K d,)              # IN and OUT, of the layout of `Data.flat`
    b : (K,)                # IN and OUT
    excess : (K,)           # IN and OUT, sum_i s_i (y_i - q_i)
    moved : (n,)            # OUT, s_i max_k |q_ik - p_ik|
    """
    cdef const Source* source = &X.source
    cdef Py_ssize_t t, i, k, m = L.shape[1], K = b.shape[0], first = m - K
    cdef double a
    cdef floating* z
    cdef floating* step
    cdef floating* q
    cdef floating* p
    cdef floating* logs
    cdef Row* row = new_row(source, m, sizeof(floating))
    if row == NULL:
        raise MemoryError
    z, step = <floating*> row.z, <floating*> row.step
    q, p, logs = <floating*> row.q, <floating*> row.p, <floating*> row.logs
    with nogil:
        for t in range(order.shape[0]):
            i = order[t]
            a = s[i] * (bring(source, i, &shift[0], &h[0], row) + h_b)
            score(row, &W[0], &b[0], K, z + first)
            if first:
                # Scores (0, z) and half the curvature: the same equation for the difference of the two classes.
                z[0], a = 0, a / 2
            maximise(row, &L[i, 0], a, m, <floating*> NULL)
            moved[i] = 0
            for k in range(m):
                step[k] = <floating> s[i] * (q[k] - p[k])
                moved[i] = max(moved[i], <floating> fabs(step[k]))
                L[i, k] = logs[k]
            add_outer(row, step + first, K, &W[0])
            for k in range(K):
                b[k] += <floating> (h_b * step[first + k])
                excess[k] += step[first + k]
    free_row(row)


def add_rows(Rows X, const Py_ssize_t[::1] order, const floating[:, ::1] A, const floating[::1] shift,
             const floating[::1] h, floating[::1] W):
    """W += sum_i a_i (h x_i)' over the rows of `order`; A is (n, K), W of the layout of `Data.flat`."""
    cdef const Source* source = &X.source
    cdef Py_ssize_t t
    cdef Row* row = new_row(source, A.shape[1], sizeof(floating))
    if row == NULL:
        raise MemoryError
    with nogil:
        for t in range(order.shape[0]):
            bring(source, order[t], &shift[0], &h[0], row)
            add_outer(row, &A[order[t], 0], A.shape[1], &W[0])
    free_row(row)
