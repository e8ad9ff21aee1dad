"""SAGA on dense rows, a block of B rows at a time.

n rows cut into m blocks, d features, K score columns. The problem is min_W,b sum_i s_i loss_i + the penalty,
and the model z = W (x - shift) + b. Each block keeps its last residuals R_B (K x B); `average` is the sum of
all blocks' stored gradients R_B' X_B, `average_b` that of the residuals. A step draws a block, and moves along
the unbiased estimate m (new - stored gradient of the block) + average, whose variance vanishes at the optimum
(Defazio, Bach and Lacoste-Julien 2014).
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

from .simd cimport add_sums, floating, prox_step, softmax
from .source cimport Block, Rows, block_gradient, change_residuals
from .slices cimport Slices, free_slices, new_slices, together_scores
from .team cimport team_meet, team_run

cdef struct Job:
    Slices* slices
    const int32_t* y
    const double* s
    const Py_ssize_t* order
    const Py_ssize_t* draws
    Py_ssize_t n, n_draws, block_size
    double step_b
    bint fit_intercept
    void* W
    void* b
    void* average
    double* average_b
    void* stored
    const void* shift
    const void* step
    const void* cut
    const void* keep
    void* G
    # For each member: its copy of b and average_b, the change of the residuals' sums, the latest residuals.
    void* own_b
    double* own_sums
    void* own_latest


cdef void take_step(Job* job, Py_ssize_t t, Py_ssize_t m, floating* R, floating* b, double* average_b,
                    double* change) noexcept nogil:
    """The step along slice t's features, residuals having changed by R."""
    cdef Slices* slices = job.slices
    cdef Py_ssize_t d = slices.X.d, k, first = slices.first[t], at
    block_gradient(&slices.views[t], slices.blocks[t], R, slices.K, False, <floating*> job.G + first)
    for k in range(slices.K):
        at = k * d + first
        prox_step(<floating*> job.W + at, <floating*> job.average + at, <floating*> job.G + at, <floating> m,
                  <floating> (m * change[k] + average_b[k]), <floating*> job.shift + first,
                  <floating*> job.step + first, <floating*> job.cut + first, <floating*> job.keep + first,
                  slices.views[t].d)


cdef void visit_blocks(Job* job, int member, int size, floating* type_only) noexcept nogil:
    """A member's share of all steps. Intercepts and their averages are K numbers: everybody keeps a copy."""
    cdef Slices* slices = job.slices
    cdef Py_ssize_t t, k, u, start = 0, stop, following, K = slices.K
    cdef Py_ssize_t m = (job.n + job.block_size - 1) // job.block_size, previous = -1, length = 0
    cdef Block* block = slices.blocks[member * slices.count // size]
    cdef floating* stored = <floating*> job.stored
    cdef floating* R
    cdef floating* b = <floating*> job.own_b + member * K
    cdef floating* latest = <floating*> job.own_latest + member * K * slices.ldz
    cdef double* average_b = job.own_sums + member * 2 * K
    cdef double* change = average_b + K
    for k in range(K):
        b[k], average_b[k] = (<floating*> job.b)[k], job.average_b[k]
    for t in range(job.n_draws):
        start = job.draws[t] * job.block_size
        stop = min(start + job.block_size, job.n)
        following = job.draws[t + 1] * job.block_size if t + 1 < job.n_draws else -1
        R = together_scores(slices, member, size, t, job.order, start, stop, following, job.y, job.s,
                            <floating*> job.W, b, <floating*> job.shift)
        # All have read the previous block's stored residuals: the first member may replace them.
        if member == 0 and previous >= 0:
            for u in range(length):
                stored[previous + u] = latest[u]
        softmax(R, slices.ldz, block.y, <floating*> block.s, block.B, K, NULL)
        change_residuals(block, R, K, stored + start * K, latest)
        previous, length = start * K, (stop - start) * K
        for k in range(K):
            change[k] = 0
        add_sums(R, block.size, block.B, K, change)
        for u in range(member * slices.count // size, (member + 1) * slices.count // size):
            take_step(job, u, m, R, b, average_b, change)
        for k in range(K):
            if job.fit_intercept:
                b[k] -= <floating> (job.step_b * (m * change[k] + average_b[k]))
            average_b[k] += change[k]
    # Nobody reads the last block's stored residuals any more.
    team_meet(&slices.barrier, size)
    if member == 0:
        for u in range(length):
            stored[previous + u] = latest[u]
        for k in range(K):
            (<floating*> job.b)[k], job.average_b[k] = b[k], average_b[k]


cdef void run(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.slices.itemsize == sizeof(float):
        visit_blocks(job, member, size, <float*> NULL)
    else:
        visit_blocks(job, member, size, <double*> NULL)


def saga_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
               Py_ssize_t block_size, const Py_ssize_t[::1] draws, double step_b, bint fit_intercept,
               floating[:, ::1] W, floating[::1] b, floating[:, ::1] average, double[::1] average_b,
               floating[::1] stored, const floating[::1] shift, const floating[::1] step,
               const floating[::1] cut, const floating[::1] keep, floating[:, ::1] G, int n_threads):
    """One step for each entry of `draws`, the numbers of different blocks.

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
    cdef Job job
    cdef Py_ssize_t n = order.shape[0], K = b.shape[0]
    cdef Slices* slices = new_slices(&X.source, min(block_size, n), K, sizeof(floating), n)
    if slices == NULL:
        raise MemoryError
    job.slices = slices
    job.y, job.s, job.order, job.draws = &y[0], &s[0], &order[0], &draws[0]
    job.n, job.n_draws, job.block_size = n, draws.shape[0], block_size
    job.step_b, job.fit_intercept = step_b, fit_intercept
    job.W, job.b, job.average, job.average_b = &W[0, 0], &b[0], &average[0, 0], &average_b[0]
    job.stored, job.shift, job.step, job.cut = &stored[0], &shift[0], &step[0], &cut[0]
    job.keep, job.G = &keep[0], &G[0, 0]
    job.own_b = calloc(slices.count * K, sizeof(floating))
    job.own_sums = <double*> calloc(slices.count * 2 * K, sizeof(double))
    job.own_latest = calloc(slices.count * K * slices.ldz, sizeof(floating))
    complete = job.own_b != NULL and job.own_sums != NULL and job.own_latest != NULL
    if complete:
        with nogil:
            team_run(min(n_threads, <int> slices.count), run, &job)
    free(job.own_b)
    free(job.own_sums)
    free(job.own_latest)
    free_slices(slices)
    if not complete:
        raise MemoryError


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
