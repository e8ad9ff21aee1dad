"""Minibatch SGD on dense rows: minimises mean_i s_i loss_i + l1 |W|_1 + l2/2 |W|^2 by proximal steps.

n rows, d features, K score columns, B rows of a minibatch. The model is z = W (x - shift) + b.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

from .simd cimport add_sums, floating, prox_step, softmax
from .source cimport Block, Rows, block_gradient
from .slices cimport Slices, free_slices, new_slices, together_scores
from .team cimport team_run

cdef struct Job:
    Slices* slices
    const int32_t* y
    const double* s
    const Py_ssize_t* order
    const double* eta
    Py_ssize_t n, n_steps, batch_size, piece
    double momentum
    bint fit_intercept
    void* W
    void* b
    void* velocity
    void* velocity_b
    const void* shift
    const void* metric
    const void* l1
    const void* l2
    void* step
    void* cut
    void* keep
    void* G
    # For each member: its copy of b and of velocity_b, the sums of the residuals.
    void* own_b
    double* own_sums


cdef void take_step(floating* W, floating* velocity, const floating* G, floating scale, floating mean_residual,
                    floating momentum, const floating* shift, const floating* step, const floating* cut,
                    const floating* keep, Py_ssize_t d) noexcept nogil:
    """The weights of one class: g = scale G - mean_residual shift, with momentum v = momentum v + g."""
    cdef Py_ssize_t j
    if momentum == 0:
        prox_step(W, <floating*> NULL, G, scale, mean_residual, shift, step, cut, keep, d)
        return
    for j in range(d):
        velocity[j] = momentum * velocity[j] + scale * G[j] - mean_residual * shift[j]
    prox_step(W, <floating*> NULL, velocity, 1, 0, shift, step, cut, keep, d)


cdef void set_step(floating rate, const floating* metric, const floating* l1, const floating* l2,
                   floating* step, floating* cut, floating* keep, Py_ssize_t d) noexcept nogil:
    """What prox_step needs for a step of size `rate`."""
    cdef Py_ssize_t j
    for j in range(d):
        step[j] = rate * metric[j]
        cut[j] = step[j] * l1[j]
        keep[j] = 1 / (1 + step[j] * l2[j])


cdef void update(Job* job, Py_ssize_t t, Py_ssize_t u, floating rate, floating scale, bint new_rate,
                 const double* residuals, floating* type_only) noexcept nogil:
    """Step u along slice t's features."""
    cdef Slices* slices = job.slices
    cdef Py_ssize_t k, at, first = slices.first[t], d = slices.views[t].d
    cdef floating* step = <floating*> job.step + first
    cdef floating* cut = <floating*> job.cut + first
    cdef floating* keep = <floating*> job.keep + first
    if new_rate:
        set_step(rate, <floating*> job.metric + first, <floating*> job.l1 + first, <floating*> job.l2 + first,
                 step, cut, keep, d)
    for k in range(slices.K):
        at = k * slices.X.d + first
        take_step(<floating*> job.W + at, <floating*> job.velocity + at, <floating*> job.G + at, scale,
                  <floating> residuals[k] * scale, <floating> job.momentum, <floating*> job.shift + first,
                  step, cut, keep, d)


cdef void take_steps(Job* job, int member, int size, floating* type_only) noexcept nogil:
    """A member's share of all steps. Intercepts are K numbers: everybody keeps a copy."""
    cdef Slices* slices = job.slices
    cdef Py_ssize_t t, u, k, start, stop, first, last, turn = 0, K = slices.K
    cdef Py_ssize_t own = member * slices.count // size, others = (member + 1) * slices.count // size
    cdef Block* block = slices.blocks[own]
    cdef floating* b = <floating*> job.own_b + member * 2 * K
    cdef floating* velocity_b = b + K
    cdef double* residuals = job.own_sums + member * K
    cdef floating* R
    cdef floating scale
    for k in range(K):
        b[k], velocity_b[k] = (<floating*> job.b)[k], (<floating*> job.velocity_b)[k]
    for u in range(job.n_steps):
        start, stop = u * job.batch_size, min((u + 1) * job.batch_size, job.n)
        for k in range(K):
            residuals[k] = 0
        first = start
        while first < stop:
            last = min(first + job.piece, stop)
            R = together_scores(slices, member, size, turn, job.order, first, last,
                                last if last < job.n else -1, job.y, job.s, <floating*> job.W, b,
                                <floating*> job.shift)
            softmax(R, slices.ldz, block.y, <floating*> block.s, block.B, K, NULL)
            add_sums(R, block.size, block.B, K, residuals)
            for t in range(own, others):
                block_gradient(&slices.views[t], slices.blocks[t], R, K, first > start,
                               <floating*> job.G + slices.first[t])
            first = last
            turn += 1
        scale = <floating> 1 / (stop - start)
        for t in range(own, others):
            update(job, t, u, <floating> job.eta[u], scale, u == 0 or job.eta[u] != job.eta[u - 1], residuals,
                   <floating*> NULL)
        for k in range(K):
            if job.fit_intercept:
                velocity_b[k] = <floating> job.momentum * velocity_b[k] + <floating> residuals[k] * scale
                b[k] -= <floating> job.eta[u] * velocity_b[k]
    if member == 0:
        for k in range(K):
            (<floating*> job.b)[k], (<floating*> job.velocity_b)[k] = b[k], velocity_b[k]


cdef void run(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.slices.itemsize == sizeof(float):
        take_steps(job, member, size, <float*> NULL)
    else:
        take_steps(job, member, size, <double*> NULL)


def sgd_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
              Py_ssize_t batch_size, const double[::1] eta, double momentum, bint fit_intercept,
              floating[:, ::1] W, floating[::1] b, floating[:, ::1] velocity, floating[::1] velocity_b,
              const floating[::1] shift, const floating[::1] metric, const floating[::1] l1,
              const floating[::1] l2, floating[:, ::1] work, int n_threads):
    """One step for each successive `batch_size` of `order`, the t-th of size eta[t].

    # R = s (softmax(Z) - Y); G = R.T @ (X[batch] - shift) / B
    # W = soft(W - eta metric G, eta metric l1) / (1 + eta metric l2); b -= eta R.mean(axis=0)

    Parameters
    ----------
    order : (m,)                                # IN, row numbers
    eta : (ceil(m / batch_size),)               # IN
    W, b : (K, d), (K,)                         # IN and OUT
    velocity, velocity_b : like W, b            # IN and OUT, used when momentum > 0
    shift, metric, l1, l2 : (d,)                # IN
    work : (3 + K, d)                           # scratch
    """
    cdef Job job
    cdef Py_ssize_t K = b.shape[0], n = order.shape[0]
    # A minibatch goes through in even pieces of at most 128 rows.
    cdef Py_ssize_t pieces = (batch_size + 127) // 128
    cdef Py_ssize_t piece = (batch_size + pieces - 1) // pieces
    cdef Slices* slices = new_slices(&X.source, min(piece, n), K, sizeof(floating), n)
    if slices == NULL:
        raise MemoryError
    job.slices = slices
    job.y, job.s, job.order, job.eta = &y[0], &s[0], &order[0], &eta[0]
    job.n, job.n_steps, job.batch_size, job.piece = n, eta.shape[0], batch_size, piece
    job.momentum, job.fit_intercept = momentum, fit_intercept
    job.W, job.b, job.velocity, job.velocity_b = &W[0, 0], &b[0], &velocity[0, 0], &velocity_b[0]
    job.shift, job.metric, job.l1, job.l2 = &shift[0], &metric[0], &l1[0], &l2[0]
    job.step, job.cut, job.keep, job.G = &work[0, 0], &work[1, 0], &work[2, 0], &work[3, 0]
    job.own_b = calloc(slices.count * 2 * K, sizeof(floating))
    job.own_sums = <double*> calloc(slices.count * K, sizeof(double))
    complete = job.own_b != NULL and job.own_sums != NULL
    if complete:
        with nogil:
            team_run(min(n_threads, <int> slices.count), run, &job)
    free(job.own_b)
    free(job.own_sums)
    free_slices(slices)
    if not complete:
        raise MemoryError
