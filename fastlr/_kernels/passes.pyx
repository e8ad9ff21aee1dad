"""Passes over all rows: the fused loss and gradient, scores, evaluation, and the dual's entropy.

n rows, d features, K score columns (one for two classes). Rows are cut into chunks that depend on n alone;
threads take whole chunks, and chunks are added up in order: the same bits for any number of threads.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .simd cimport correct, floating, simd_double, softmax, squared_hinge
from .source cimport Block, Rows, Source, block_gradient, block_rows, block_scores, fetch, free_block, new_block
from .source cimport reads_bytes
from .team cimport team_counter, team_next, team_run

cdef enum Mode:
    GRADIENT, SCORES, EVALUATE, ENTROPY, MOMENTS, RESIDUALS, SUMS

cdef enum Loss:                 # the `kind` of a loss in losses.py
    SOFTMAX, SQUARED_HINGE

cdef struct Job:
    Mode mode
    Loss loss                   # GRADIENT, EVALUATE
    const Source* X
    const int32_t* y
    const double* s
    const void* W
    const void* bias
    Py_ssize_t K, start, stop, n_chunks, itemsize
    team_counter counter
    bint failed                 # memory was short
    Py_ssize_t width            # numbers of a chunk's part of G
    void* G                     # n_chunks x width: K d (GRADIENT), or (K + 4) d (MOMENTS)
    const double* origin        # MOMENTS: d
    double* mass                # GRADIENT: n_chunks x K
    double* total               # n_chunks: loss, or entropy
    double* correct             # EVALUATE: n_chunks
    void* out                   # SCORES, RESIDUALS: n x K
    double* sums                # SUMS: n x K
    const double* shrink        # ENTROPY: K + 1 factors a_k
    const double* receive       # ENTROPY: K + 1 shares b_k
    double mix                  # ENTROPY: c


cdef Py_ssize_t count_chunks(Py_ssize_t n) noexcept nogil:
    """At most 16, of at least 256 rows."""
    return max(1, min(16, n // 256))


cdef double to_residuals(Job* job, Block* block, floating* Z, Py_ssize_t chunk) noexcept nogil:
    """Scores to residuals in place; returns the loss."""
    cdef double* mass = job.mass + chunk * job.K
    cdef floating* s = <floating*> block.s
    if job.loss == SQUARED_HINGE:
        return squared_hinge(Z, block.size, block.y, s, block.B, mass)
    return softmax(Z, block.size, block.y, s, block.B, job.K, mass)


cdef void add_moments(Job* job, Block* block, double* part, bint first) noexcept nogil:
    """part, (K + 4) d: sums by label, sums and squares from the origin, extremes. Rows with a score column of
    their own count by label: all classes, or the second of two."""
    cdef Py_ssize_t i, j, d = job.X.d, K = job.K
    cdef double* R = <double*> block.Z
    cdef double* total = part + K * d
    if first:
        for j in range(d):
            total[2 * d + j], total[3 * d + j] = INFINITY, -INFINITY
    memset(R, 0, K * block.size * sizeof(double))
    for i in range(block.B):
        if K > 1 or block.y[i] == 1:
            R[(block.y[i] if K > 1 else 0) * block.size + i] = (<double*> block.s)[i]
    simd_double.moments(<const double* const*> block.rows, <double*> block.s, job.origin, block.B, d, total,
                        total + d, total + 2 * d, total + 3 * d)
    block_gradient(job.X, block, R, K, True, part)


cdef void run_block(Job* job, Block* block, Py_ssize_t chunk, Py_ssize_t start, bint first,
                    floating* type_only) noexcept nogil:
    cdef Py_ssize_t i, k, K = job.K
    cdef floating* Z = <floating*> block.Z
    cdef floating* out = <floating*> job.out
    if job.mode == MOMENTS:
        add_moments(job, block, <double*> job.G + chunk * job.width, first)
        return
    block_scores(job.X, block, <const floating*> job.W, <const floating*> job.bias, <const floating*> NULL, K, Z)
    if job.mode == GRADIENT:
        job.total[chunk] += to_residuals(job, block, Z, chunk)
        block_gradient(job.X, block, Z, K, not first, <floating*> job.G + chunk * job.width)
    elif job.mode == SUMS:
        for i in range(block.B):
            for k in range(K):
                job.sums[(start + i) * K + k] += Z[k * block.size + i]
    elif job.mode == SCORES or job.mode == RESIDUALS:
        if job.mode == RESIDUALS:
            job.total[chunk] += to_residuals(job, block, Z, chunk)
        for i in range(block.B):
            for k in range(K):
                out[(start - job.start + i) * K + k] = Z[k * block.size + i]
    elif job.mode == EVALUATE:
        job.correct[chunk] += correct(Z, block.size, block.y, <floating*> block.s, block.B, K)
        job.total[chunk] += to_residuals(job, block, Z, chunk)
    else:
        job.total[chunk] += simd_double.entropy(<double*> block.Z, block.size, block.y, <double*> block.s, block.B,
                                                K, job.shrink, job.receive, job.mix)


cdef void run_chunks(Job* job, floating* type_only) noexcept nogil:
    """Takes chunks until none is left."""
    cdef bint as_bytes = job.mode != MOMENTS and reads_bytes(job.X, job.K)
    cdef Py_ssize_t size = block_rows(job.X, job.K, sizeof(floating), as_bytes), n = job.stop - job.start
    cdef Py_ssize_t chunk, start, stop, first, last
    cdef Block* block = new_block(job.X, size, job.K, sizeof(floating), as_bytes)
    if block == NULL:
        job.failed = True
        return
    while True:
        chunk = team_next(&job.counter)
        if chunk >= job.n_chunks:
            break
        first = job.start + chunk * n // job.n_chunks
        last = job.start + (chunk + 1) * n // job.n_chunks
        start = first
        while start < last:
            stop = min(start + size, last)
            fetch(job.X, block, NULL, start, stop, stop if stop < last else -1, job.y, job.s, type_only)
            run_block(job, block, chunk, start, start == first, type_only)
            start = stop
    free_block(block)


cdef void run(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.itemsize == sizeof(float):
        run_chunks(job, <float*> NULL)
    else:
        run_chunks(job, <double*> NULL)


cdef class _Pass:
    """A Job and the memory it writes to."""

    cdef Job job

    def __cinit__(self):
        memset(&self.job, 0, sizeof(Job))

    def __dealloc__(self):
        free(self.job.G)
        free(self.job.mass)
        free(self.job.total)
        free(self.job.correct)

    cdef int prepare(self, Mode mode, Rows X, const void* W, const void* bias, Py_ssize_t K,
                     Py_ssize_t itemsize, Py_ssize_t start, Py_ssize_t stop) except -1:
        cdef Job* job = &self.job
        if not 0 <= start <= stop <= X.source.n:
            raise ValueError(f"rows {start}:{stop} are not within the {X.source.n} rows of X")
        job.mode, job.X, job.W, job.bias, job.K, job.itemsize = mode, &X.source, W, bias, K, itemsize
        job.start, job.stop = start, stop
        job.n_chunks = count_chunks(stop - start)
        job.total = <double*> calloc(job.n_chunks, sizeof(double))
        job.correct = <double*> calloc(job.n_chunks, sizeof(double))
        job.mass = <double*> calloc(job.n_chunks * K, sizeof(double))
        job.width = K * X.source.d if mode == GRADIENT else (K + 4) * X.source.d if mode == MOMENTS else 1
        job.G = calloc(job.n_chunks * max(1, job.width), itemsize)
        if job.total == NULL or job.correct == NULL or job.mass == NULL or job.G == NULL:
            raise MemoryError
        return 0

    cdef int run(self, int n_threads) except -1:
        with nogil:
            team_run(min(n_threads, self.job.n_chunks), run, &self.job)
        if self.job.failed:
            raise MemoryError
        return 0

    cdef double sum(self, const double* values):
        cdef Py_ssize_t chunk
        cdef double total = 0
        for chunk in range(self.job.n_chunks):
            total += values[chunk]
        return total


def loss_gradient(Rows X, const int32_t[::1] y, const double[::1] s, const floating[::1] W, const floating[::1] bias,
                  double[::1] G, double[::1] mass, Py_ssize_t start, Py_ssize_t stop, int n_threads, int loss=0):
    """The fused pass over rows start to stop: returns sum_i s_i loss_i and adds up sum_i r_i x_i' in G and
    sum_i s_i p_i in mass, r_i = s_i (p_i - y_i). For the squared hinge, r_i = -2 s_i t_i (1 - t_i z_i)_+ and mass
    takes sum_i r_i.

    Parameters
    ----------
    loss : 0 softmax, 1 squared hinge (K = 1)
    W : (K d,)                  # IN, as X is read: K x d (dense) or d x K (CSR)
    bias : (K,)                 # IN
    y, s : (n,)                 # IN
    G, mass : (K d,), (K,)      # IN and OUT: added to
    """
    cdef _Pass work = _Pass()
    cdef Py_ssize_t chunk, e, k
    cdef floating* part
    work.prepare(GRADIENT, X, &W[0], &bias[0], bias.shape[0], sizeof(floating), start, stop)
    work.job.y, work.job.s, work.job.loss = &y[0], &s[0], <Loss> loss
    work.run(n_threads)
    with nogil:
        for chunk in range(work.job.n_chunks):
            part = <floating*> work.job.G + chunk * G.shape[0]
            for e in range(G.shape[0]):
                G[e] += part[e]
            for k in range(work.job.K):
                mass[k] += work.job.mass[chunk * work.job.K + k]
    return work.sum(work.job.total)


def residuals(Rows X, const int32_t[::1] y, const double[::1] s, const floating[::1] W, const floating[::1] bias,
              floating[:, ::1] R, double[::1] mass, Py_ssize_t start, Py_ssize_t stop, int n_threads, int loss=0):
    """The first half of `loss_gradient`: returns sum_i s_i loss_i, adds up sum_i s_i p_i in mass, and writes
    the residuals r_i to R, (stop - start) x K; `column_sums` is the second."""
    cdef _Pass work = _Pass()
    cdef Py_ssize_t chunk, k
    if start == stop:
        return 0.0
    work.prepare(RESIDUALS, X, &W[0], &bias[0], bias.shape[0], sizeof(floating), start, stop)
    work.job.y, work.job.s, work.job.out, work.job.loss = &y[0], &s[0], &R[0, 0], <Loss> loss
    work.run(n_threads)
    for chunk in range(work.job.n_chunks):
        for k in range(work.job.K):
            mass[k] += work.job.mass[chunk * work.job.K + k]
    return work.sum(work.job.total)


def column_sums(Rows columns, const floating[::1] R, const floating[::1] zeros, double[::1] G, Py_ssize_t start,
                Py_ssize_t stop, int n_threads):
    """Adds sum_i x_ij r_i to rows start to stop of G.

    Parameters
    ----------
    columns : the columns of X, CSR, d x n        # IN
    R, zeros : (n K,), (K,)                       # IN
    G : (d K,)                                    # IN and OUT: added to
    """
    cdef _Pass work = _Pass()
    work.prepare(SUMS, columns, &R[0], &zeros[0], zeros.shape[0], sizeof(floating), start, stop)
    work.job.sums = &G[0]
    work.run(n_threads)


def decision(Rows X, const floating[::1] W, const floating[::1] bias, floating[:, ::1] out, Py_ssize_t start,
             Py_ssize_t stop, int n_threads):
    """out = scores of rows start to stop, (stop - start) x K."""
    cdef _Pass work = _Pass()
    if start == stop:
        return
    work.prepare(SCORES, X, &W[0], &bias[0], bias.shape[0], sizeof(floating), start, stop)
    work.job.out = &out[0, 0]
    work.run(n_threads)


def evaluate(Rows X, const int32_t[::1] y, const double[::1] s, const floating[::1] W, const floating[::1] bias,
             Py_ssize_t start, Py_ssize_t stop, int n_threads, int loss=0):
    """Returns sum_i s_i loss_i (loss: 0 softmax, 1 squared hinge) and the weight of the correctly classified
    rows."""
    cdef _Pass work = _Pass()
    work.prepare(EVALUATE, X, &W[0], &bias[0], bias.shape[0], sizeof(floating), start, stop)
    work.job.y, work.job.s, work.job.loss = &y[0], &s[0], <Loss> loss
    work.run(n_threads)
    return work.sum(work.job.total), work.sum(work.job.correct)


def dual_entropy(Rows X, const int32_t[::1] y, const double[::1] s, const double[::1] W, const double[::1] bias,
                 const double[::1] shrink, const double[::1] receive, double mix, Py_ssize_t start,
                 Py_ssize_t stop, int n_threads):
    """sum_i s_i H((1 - mix) e_y + mix q_i) for the feasible q of certificate.py."""
    cdef _Pass work = _Pass()
    work.prepare(ENTROPY, X, &W[0], &bias[0], bias.shape[0], sizeof(double), start, stop)
    work.job.y, work.job.s = &y[0], &s[0]
    work.job.shrink, work.job.receive, work.job.mix = &shrink[0], &receive[0], mix
    work.run(n_threads)
    return work.sum(work.job.total)


def column_moments(Rows X, const int32_t[::1] y, const double[::1] s, const double[::1] origin,
                   double[:, ::1] label_sums, double[::1] total, double[::1] square, double[::1] low,
                   double[::1] high, Py_ssize_t start, Py_ssize_t stop, int n_threads):
    """Dense rows start to stop: adds sum_i s_i y_ik x_ij to label_sums (K, d), sum_i s_i (x_ij - origin_j) to
    total and its like with squares to square, and widens low and high by the rows that have a weight."""
    cdef _Pass work = _Pass()
    cdef Py_ssize_t chunk, j, k, d = X.source.d, K = label_sums.shape[0]
    cdef double* part
    if start == stop:
        return
    work.prepare(MOMENTS, X, NULL, NULL, K, sizeof(double), start, stop)
    work.job.y, work.job.s, work.job.origin = &y[0], &s[0], &origin[0]
    work.run(n_threads)
    with nogil:
        for chunk in range(work.job.n_chunks):
            part = <double*> work.job.G + chunk * work.job.width
            for k in range(K):
                for j in range(d):
                    label_sums[k, j] += part[k * d + j]
            for j in range(d):
                total[j] += part[K * d + j]
                square[j] += part[(K + 1) * d + j]
                low[j] = min(low[j], part[(K + 2) * d + j])
                high[j] = max(high[j], part[(K + 3) * d + j])


cdef inline double stored_value(const Source* X, Py_ssize_t e) noexcept nogil:
    return (<const float*> X.base)[e] if X.stored == 1 else (<const double*> X.base)[e]


def sparse_moments(Rows X, const int32_t[::1] y, const double[::1] s, double[:, ::1] label_sums,
                   double[:, ::1] columns, Py_ssize_t start, Py_ssize_t stop):
    """CSR rows start to stop: adds sum_i s_i y_ik x_ij to label_sums (d, K); columns (d, 5) has, side by side as
    they change together, sum_i s_i x_ij, its like with squares, the extremes of the entries in rows that have a
    weight, and their number."""
    cdef const Source* source = &X.source
    cdef Py_ssize_t i, e, j, K = label_sums.shape[1]
    cdef int k
    cdef double x
    with nogil:
        for i in range(start, stop):
            if s[i] == 0:
                continue
            k = y[i] if K > 1 else y[i] - 1  # two classes have a column for the second
            for e in range(source.indptr[i], source.indptr[i + 1]):
                j, x = source.indices[e], stored_value(source, e)
                columns[j, 0] += s[i] * x
                columns[j, 1] += s[i] * x * x
                columns[j, 2] = min(columns[j, 2], x)
                columns[j, 3] = max(columns[j, 3], x)
                columns[j, 4] += 1
                if k >= 0:
                    label_sums[j, k] += s[i] * x
