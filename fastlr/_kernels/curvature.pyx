"""Products with the Hessian of the loss: one fused pass over rows, as passes.loss_gradient.

n rows of X, m rows in use (order names them; None is all of X), d features, K score columns. The curvature of
row i in its scores is A_i = s_i (diag(p_i) - p_i p_i'), for one column s_i p_i (1 - p_i). Chunks and threads
as in passes.pyx: the same bits for any number of threads.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .simd cimport add_sums, floating, softmax
from .source cimport Block, Rows, Source, block_gradient, block_rows, block_scores
from .source cimport fetch, free_block, new_block, reads_bytes
from .team cimport team_counter, team_next, team_run

cdef struct Job:
    const Source* X
    const Py_ssize_t* order
    const double* s
    const void* V
    const void* bias
    void* P                     # K x m probabilities
    Py_ssize_t K, m, start, stop, n_chunks, itemsize
    bint only_P                 # compute P; otherwise use it
    void* T                     # m x K curved scores, or NULL: go on to G and mass
    team_counter counter
    bint failed                 # memory was short
    void* G                     # n_chunks x K d
    double* mass                # n_chunks x K


cdef void curve(floating* U, const Block* block, const floating* P, Py_ssize_t m, Py_ssize_t K) noexcept nogil:
    """U = A_i u_i for every row of the block."""
    cdef floating[128] mean     # a block has at most 128 rows
    cdef const floating* s = <floating*> block.s
    cdef const floating* p
    cdef floating* u
    cdef Py_ssize_t i, k
    if K == 1:
        for i in range(block.B):
            U[i] = s[i] * P[i] * (1 - P[i]) * U[i]
        return
    for i in range(block.B):
        mean[i] = 0
    for k in range(K):
        p, u = P + k * m, U + k * block.size
        for i in range(block.B):
            mean[i] += p[i] * u[i]
    for k in range(K):
        p, u = P + k * m, U + k * block.size
        for i in range(block.B):
            u[i] = s[i] * p[i] * (u[i] - mean[i])


cdef void store_probabilities(floating* Z, const Block* block, Py_ssize_t m, Py_ssize_t K,
                              floating* P) noexcept nogil:
    """Labels were read as 0 and weights as 1, so that softmax left p - e_0, or p where K = 1."""
    cdef Py_ssize_t i, k
    softmax(Z, block.size, block.y, <floating*> block.s, block.B, K, NULL)
    for k in range(K):
        for i in range(block.B):
            P[k * m + i] = Z[k * block.size + i] + (1 if k == 0 and K > 1 else 0)


cdef void store_rows(const floating* U, const Block* block, Py_ssize_t K, floating* T) noexcept nogil:
    cdef Py_ssize_t i, k
    for i in range(block.B):
        for k in range(K):
            T[i * K + k] = U[k * block.size + i]


cdef void run_chunks(Job* job, floating* type_only) noexcept nogil:
    """Takes chunks until none is left."""
    cdef bint as_bytes = reads_bytes(job.X, job.K)
    cdef Py_ssize_t size = block_rows(job.X, job.K, sizeof(floating), as_bytes)
    cdef Py_ssize_t n = job.stop - job.start, K = job.K
    cdef Py_ssize_t chunk, start, stop, first, last
    cdef floating* P
    cdef floating* U
    cdef Block* block = new_block(job.X, size, K, sizeof(floating), as_bytes)
    if block == NULL:
        job.failed = True
        return
    U, block.count = <floating*> block.Z, job.m
    while True:
        chunk = team_next(&job.counter)
        if chunk >= job.n_chunks:
            break
        first = job.start + chunk * n // job.n_chunks
        last = job.start + (chunk + 1) * n // job.n_chunks
        start = first
        while start < last:
            stop = min(start + size, last)
            fetch(job.X, block, job.order, start, stop, stop if stop < last else -1, NULL, job.s, type_only)
            block_scores(job.X, block, <const floating*> job.V, <const floating*> job.bias, <const floating*> NULL,
                         K, U)
            P = <floating*> job.P + start
            if job.only_P:
                store_probabilities(U, block, job.m, K, P)
            else:
                curve(U, block, P, job.m, K)
            if job.T != NULL:
                store_rows(U, block, K, <floating*> job.T + start * K)
            elif not job.only_P:
                add_sums(U, block.size, block.B, K, job.mass + chunk * K)
                block_gradient(job.X, block, U, K, start > first, <floating*> job.G + chunk * K * job.X.d)
            start = stop
    free_block(block)


cdef void run(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.itemsize == sizeof(float):
        run_chunks(job, <float*> NULL)
    else:
        run_chunks(job, <double*> NULL)


cdef int run_job(Job* job, Rows X, const Py_ssize_t[::1] order, int n_threads) except -1:
    job.X, job.order = &X.source, &order[0] if order is not None else NULL
    if not 0 <= job.start <= job.stop <= job.m:
        raise ValueError(f"rows {job.start}:{job.stop} are not within the {job.m} rows in use")
    job.n_chunks = max(1, min(16, (job.stop - job.start) // 256))
    if not job.only_P and job.T == NULL:
        job.G = calloc(job.n_chunks * job.K * X.source.d, job.itemsize)
        job.mass = <double*> calloc(job.n_chunks * job.K, sizeof(double))
        if job.G == NULL or job.mass == NULL:
            raise MemoryError
    with nogil:
        team_run(min(n_threads, <int> job.n_chunks), run, job)
    if job.failed:
        raise MemoryError
    return 0


def probabilities(Rows X, const Py_ssize_t[::1] order, const floating[::1] W, const floating[::1] bias,
                  floating[:, ::1] P, Py_ssize_t start, Py_ssize_t stop, int n_threads):
    """P = softmax of the scores, or their sigmoid, for rows start to stop of those in use.

    Parameters
    ----------
    order : (m,), or None       # IN
    W : (K d,)                  # IN, as X is read: K x d (dense) or d x K (CSR)
    bias : (K,)                 # IN
    P : (K, m)                  # OUT
    """
    cdef Job job
    memset(&job, 0, sizeof(Job))
    job.V, job.bias, job.P = &W[0], &bias[0], &P[0, 0]
    job.K, job.m, job.start, job.stop = bias.shape[0], P.shape[1], start, stop
    job.itemsize, job.only_P = sizeof(floating), True
    run_job(&job, X, order, n_threads)


def curved_scores(Rows X, const double[::1] s, const floating[:, ::1] P, const floating[::1] V,
                  const floating[::1] bias, floating[:, ::1] T, Py_ssize_t start, Py_ssize_t stop, int n_threads):
    """T = A_i u_i, u_i = V x_i + bias, for rows start to stop of X: the first half of `product`, of which
    passes.column_sums is the second. P is (K, n), T is (n, K)."""
    cdef Job job
    memset(&job, 0, sizeof(Job))
    job.s, job.V, job.bias, job.P, job.T = &s[0], &V[0], &bias[0], <void*> &P[0, 0], &T[0, 0]
    job.K, job.m, job.start, job.stop = bias.shape[0], P.shape[1], start, stop
    job.itemsize = sizeof(floating)
    run_job(&job, X, None, n_threads)


def product(Rows X, const Py_ssize_t[::1] order, const double[::1] s, const floating[:, ::1] P,
            const floating[::1] V, const floating[::1] bias, double[::1] G, double[::1] mass, Py_ssize_t start,
            Py_ssize_t stop, int n_threads):
    """Adds sum_i t_i x_i' to G and sum_i t_i to mass, t_i = A_i u_i, u_i = V x_i + bias, over rows start to stop
    of those in use.

    Parameters
    ----------
    order : (m,), or None       # IN
    s : (n,)                    # IN
    P : (K, m)                  # IN
    V, bias : (K d,), (K,)      # IN
    G, mass : (K d,), (K,)      # IN and OUT: added to
    """
    cdef Job job
    cdef Py_ssize_t chunk, e, k
    cdef floating* part
    memset(&job, 0, sizeof(Job))
    job.s, job.V, job.bias, job.P = &s[0], &V[0], &bias[0], <void*> &P[0, 0]
    job.K, job.m, job.start, job.stop = bias.shape[0], P.shape[1], start, stop
    job.itemsize = sizeof(floating)
    try:
        run_job(&job, X, order, n_threads)
        with nogil:
            for chunk in range(job.n_chunks):
                part = <floating*> job.G + chunk * G.shape[0]
                for e in range(G.shape[0]):
                    G[e] += part[e]
                for k in range(job.K):
                    mass[k] += job.mass[chunk * job.K + k]
    finally:
        free(job.G)
        free(job.mass)
