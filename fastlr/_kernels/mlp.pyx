"""Minibatch steps of a network with one hidden layer, with momentum: sizes alpha and eta as scikit-learn has them.

n rows, d features, h hidden units, K score columns (one for two classes), B rows of a minibatch:

    A = f(W1 (x - shift) + b1)      h x B
    R = s (softmax(W2 A + b2) - Y)  K x B
    D = f'(.) W2' R                 h x B

A minibatch passes in pieces. Members of a team share its rows up to D, meet, share the features for D X and the
hidden units for R A', take their steps there, and meet again. Each number is the work of one member, and so
results do not depend on the size of the team.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .simd cimport PAD, accumulate, activate, add_sums, correct, floating, layer, momentum_step, padded, scores
from .simd cimport slope, softmax
from .source cimport Block, Rows, Source, fetch, free_block, new_block
from .team cimport team_barrier, team_meet, team_run

cdef enum:
    PIECE_ROWS = 256        # at most: the rows of a piece and their activations stay in cache
    PART_ROWS = 32          # what a member takes at a time

cdef struct Job:
    const Source* X
    Block* block                    # a piece, which members fetch in parts
    const int32_t* y
    const double* s
    const Py_ssize_t* order
    const double* eta
    Py_ssize_t n, n_steps, batch_size, piece, h, K, itemsize
    int kind
    double alpha, momentum
    bint nesterov, shifted
    void* W1                        # h x d
    void* b1
    void* W2                        # K x h
    void* b2
    void* v1                        # their velocities
    void* v_b1
    void* v2
    void* v_b2
    const void* shift               # d
    const void* metric
    void* A                         # h x block.size
    void* D
    void* R                         # K x block.size
    void* G1                        # h x d
    void* G2                        # K x h
    void* zeros                     # h + K
    void* ones                      # h
    double* losses                  # one for each part of a piece
    double* correct
    void* own                       # own_room bytes for each member: see Own
    const void** own_rows           # 2 x n_rows pointers for each member
    Py_ssize_t own_room, n_rows
    team_barrier barrier

# A member's own memory.
cdef struct Own:
    void* bias                      # h: b1 - W1 shift
    void* G2                        # K x padded(h)
    double* sums                    # h + K: sums of D and R over the minibatch
    double* mass                    # K: what softmax says beside the loss; not used
    const void** rows
    const char** next


cdef Own own_memory(Job* job, int member) noexcept nogil:
    cdef Own own
    own.bias = <char*> job.own + member * job.own_room
    own.G2 = <char*> own.bias + padded(job.h) * job.itemsize
    own.sums = <double*> (<char*> own.G2 + padded(job.h) * job.K * job.itemsize)
    own.mass = own.sums + job.h + job.K
    own.rows = job.own_rows + member * 2 * job.n_rows
    own.next = <const char**> own.rows + job.n_rows
    return own


cdef Block part_of(const Block* whole, Py_ssize_t first, Py_ssize_t itemsize) noexcept nogil:
    """The rows of a block from `first` on, as a block of PART_ROWS rows in the same memory."""
    cdef Block part = whole[0]
    part.size = PART_ROWS
    part.index += first
    part.rows += first
    part.next += first
    part.panel = <char*> part.panel + first * part.ld * itemsize
    part.s = <char*> part.s + first * itemsize
    part.y += first
    return part


cdef void forward_and_back(Job* job, const floating* bias, Py_ssize_t p, Py_ssize_t start, Py_ssize_t stop,
                           Py_ssize_t following, double* mass) noexcept nogil:
    """Part p of a piece: rows start to stop of the order become A, R and D."""
    cdef Py_ssize_t first = p * PART_ROWS, ld = job.block.size, h = job.h, K = job.K, B
    cdef Block part = part_of(job.block, first, sizeof(floating))
    cdef floating* A = <floating*> job.A + first
    cdef floating* R = <floating*> job.R + first
    cdef floating* D = <floating*> job.D + first
    cdef floating* W2 = <floating*> job.W2
    fetch(job.X, &part, job.order, start, stop, following, job.y, job.s, <floating*> NULL)
    B = part.B
    scores(<const floating**> part.rows, <floating*> job.W1, job.X.d, bias, B, h, job.X.d, A, ld)
    activate(job.kind, A, ld, B, h)
    layer(W2, h, 1, <floating*> job.b2, A, ld, B, h, K, R, ld)
    job.correct[p] += correct(R, ld, part.y, <floating*> part.s, B, K)
    job.losses[p] += softmax(R, ld, part.y, <floating*> part.s, B, K, mass)
    layer(W2, 1, h, <floating*> NULL, R, ld, B, K, h, D, ld)
    slope(job.kind, A, D, ld, B, h)


cdef void gradients(Job* job, const Own* own, Py_ssize_t B, bint beta, bint has_next, Py_ssize_t f, Py_ssize_t f_end,
                    Py_ssize_t j, Py_ssize_t j_end, floating* type_only) noexcept nogil:
    """G1 = beta G1 + D X on features f to f_end, G2 = beta G2 + R A' on hidden units j to j_end, and sums."""
    cdef Py_ssize_t i, k, e, ld = job.block.size, h = job.h, K = job.K, d = job.X.d
    cdef bint direct = job.X.size == sizeof(floating) and job.X.column_stride == sizeof(floating)
    cdef floating* G2 = <floating*> job.G2
    cdef floating* product = <floating*> own.G2
    for i in range(B):
        own.rows[i] = <const char*> job.block.rows[i] + f * sizeof(floating)
        own.next[i] = job.block.next[i] + f * sizeof(floating) if direct and has_next else NULL
    if f < f_end:
        accumulate(<const floating**> own.rows, <floating*> job.D, ld, B, h, f_end - f,
                   own.next if direct and has_next else NULL, sizeof(floating), beta, <floating*> job.G1 + f, d)
    for i in range(j_end - j):
        own.rows[i] = <floating*> job.A + (j + i) * ld
    if j < j_end:
        scores(<const floating**> own.rows, <floating*> job.R, ld, <floating*> job.zeros, j_end - j, K, B, product,
               padded(h))
    for k in range(K):
        for i in range(j, j_end):
            e = k * h + i
            G2[e] = (G2[e] if beta else 0) + product[k * padded(h) + i - j]
    if not beta:
        memset(own.sums, 0, (h + K) * sizeof(double))
    add_sums(<floating*> job.D, ld, B, h, own.sums)
    add_sums(<floating*> job.R, ld, B, K, own.sums + h)


cdef void step_intercepts(floating* b, floating* v, const double* sums, Py_ssize_t K, floating scale, floating eta,
                          floating momentum, bint nesterov) noexcept nogil:
    """momentum_step for K intercepts: no penalty, no metric, gradients scale * sums."""
    cdef Py_ssize_t k
    cdef floating g
    for k in range(K):
        g = eta * scale * <floating> sums[k]
        v[k] = momentum * v[k] - g
        b[k] += momentum * v[k] - g if nesterov else v[k]


cdef void update(Job* job, const Own* own, floating eta, floating scale, Py_ssize_t f, Py_ssize_t f_end, Py_ssize_t j,
                 Py_ssize_t j_end, int member) noexcept nogil:
    """A step on features f to f_end of W1 and hidden units j to j_end of W2; the first member's on intercepts."""
    cdef Py_ssize_t k, e, h = job.h, d = job.X.d
    cdef floating decay = <floating> job.alpha * scale, momentum = <floating> job.momentum
    for k in range(h if f < f_end else 0):
        e = k * d + f
        momentum_step(<floating*> job.W1 + e, <floating*> job.v1 + e, <floating*> job.G1 + e, scale,
                      <floating> own.sums[k] * scale, <floating*> job.shift + f, <floating*> job.metric + f, decay,
                      eta, momentum, job.nesterov, f_end - f)
    for k in range(job.K if j < j_end else 0):
        e = k * h + j
        momentum_step(<floating*> job.W2 + e, <floating*> job.v2 + e, <floating*> job.G2 + e, scale, 0,
                      <floating*> job.zeros, <floating*> job.ones, decay, eta, momentum, job.nesterov, j_end - j)
    if member == 0:
        step_intercepts(<floating*> job.b1, <floating*> job.v_b1, own.sums, h, scale, eta, momentum, job.nesterov)
        step_intercepts(<floating*> job.b2, <floating*> job.v_b2, own.sums + h, job.K, scale, eta, momentum,
                        job.nesterov)


cdef void hidden_bias(Job* job, floating* bias) noexcept nogil:
    """b1 - W1 shift."""
    cdef Py_ssize_t k
    cdef const floating* shift = <floating*> job.shift
    if job.shifted:
        scores(&shift, <floating*> job.W1, job.X.d, <floating*> job.zeros, 1, job.h, job.X.d, bias, 1)
    for k in range(job.h):
        bias[k] = (<floating*> job.b1)[k] - (bias[k] if job.shifted else 0)


cdef Py_ssize_t share(Py_ssize_t length, int member, int size) noexcept nogil:
    """Where the share of a member begins: whole vectors, lest the compiler round a sum in the middle of a vector
    otherwise than at the end of a share."""
    return min(length, member * (padded(length) // PAD) // size * PAD)


cdef void take_steps(Job* job, int member, int size, floating* type_only) noexcept nogil:
    """A member's share of all steps."""
    cdef Own own = own_memory(job, member)
    cdef Py_ssize_t u, p, start, stop, first, last, n_parts, at
    cdef Py_ssize_t f = share(job.X.d, member, size), f_end = share(job.X.d, member + 1, size)
    cdef Py_ssize_t j = share(job.h, member, size), j_end = share(job.h, member + 1, size)
    for u in range(job.n_steps):
        start, stop = u * job.batch_size, min((u + 1) * job.batch_size, job.n)
        hidden_bias(job, <floating*> own.bias)
        first = start
        while first < stop:
            last = min(first + job.piece, stop)
            n_parts = (last - first + PART_ROWS - 1) // PART_ROWS
            for p in range(member * n_parts // size, (member + 1) * n_parts // size):
                at = first + p * PART_ROWS
                # The rows at these places in the next piece; beyond the end they are some rows or other.
                forward_and_back(job, <floating*> own.bias, p, at, min(at + PART_ROWS, last),
                                 at + last - first if last < job.n else -1, own.mass)
            team_meet(&job.barrier, size)
            gradients(job, &own, last - first, first > start, last < job.n, f, f_end, j, j_end, <floating*> NULL)
            if last == stop:
                update(job, &own, <floating> job.eta[u], <floating> 1 / (stop - start), f, f_end, j, j_end, member)
            team_meet(&job.barrier, size)
            first = last


cdef void run(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.itemsize == sizeof(float):
        take_steps(job, member, size, <float*> NULL)
    else:
        take_steps(job, member, size, <double*> NULL)


cdef bint prepare(Job* job, int n_threads) noexcept nogil:
    """Memory; whether there was enough."""
    cdef Py_ssize_t h = job.h, K = job.K, ld, parts = (job.piece + PART_ROWS - 1) // PART_ROWS
    # Whole parts, so that the last one's rows beyond the end have their place.
    job.block = new_block(job.X, parts * PART_ROWS, 1, job.itemsize, False)
    if job.block == NULL:
        return False
    job.block.count = job.n
    ld = job.block.size
    job.A, job.D = calloc(h * ld, job.itemsize), calloc(h * ld, job.itemsize)
    job.R = calloc(K * ld, job.itemsize)
    job.G2 = calloc(K * h, job.itemsize)
    job.zeros, job.ones = calloc(h + K, job.itemsize), calloc(h, job.itemsize)
    job.losses, job.correct = <double*> calloc(parts, sizeof(double)), <double*> calloc(parts, sizeof(double))
    # Whole cache lines for each member.
    job.own_room = (padded(h) * (1 + K) * job.itemsize + (h + 2 * K) * <Py_ssize_t> sizeof(double) + 63) // 64 * 64
    job.own = calloc(n_threads, job.own_room)
    job.n_rows = max(ld, h)
    job.own_rows = <const void**> calloc(n_threads * 2 * job.n_rows, sizeof(void*))
    return (job.A != NULL and job.D != NULL and job.R != NULL and job.G2 != NULL
            and job.zeros != NULL and job.ones != NULL and job.losses != NULL and job.correct != NULL
            and job.own != NULL and job.own_rows != NULL)


cdef void release(Job* job) noexcept nogil:
    free_block(job.block)
    free(job.A)
    free(job.D)
    free(job.R)
    free(job.G2)
    free(job.zeros)
    free(job.ones)
    free(job.losses)
    free(job.correct)
    free(job.own)
    free(job.own_rows)


def mlp_steps(Rows X, const int32_t[::1] y, const double[::1] s, const Py_ssize_t[::1] order,
              Py_ssize_t batch_size, const double[::1] eta, int kind, double alpha, double momentum,
              bint nesterov, floating[:, ::1] W1, floating[::1] b1, floating[:, ::1] W2, floating[::1] b2,
              floating[:, ::1] v1, floating[::1] v_b1, floating[:, ::1] v2, floating[::1] v_b2,
              const floating[::1] shift, const floating[::1] metric, floating[:, ::1] G1, int n_threads):
    """One step for each successive `batch_size` of `order`, the t-th of size eta[t].

    # G1 = metric * (D @ (X[batch] - shift)) / B, G2 = R @ A.T / B
    # g = G1 + alpha / B * W1; v1 = momentum * v1 - eta * g; W1 += v1 (Nesterov: += momentum * v1 - eta * g)
    # and so for W2; for b1 and b2 with alpha = 0

    Parameters
    ----------
    y, s : (n,)                                 # IN, labels and weights of the rows of X
    order : (m,)                                # IN, row numbers
    eta : (ceil(m / batch_size),)               # IN
    kind : 0 max(z, 0), 1 logistic, 2 tanh
    W1, b1, W2, b2 : (h, d), (h,), (K, h), (K,) # IN and OUT
    v1, v_b1, v2, v_b2 : like these             # IN and OUT
    shift, metric : (d,)                        # IN
    G1 : (h, d)                                 # scratch

    Returns
    -------
    loss, correct : weighted sums over the rows, each under the weights of its step
    """
    cdef Job job
    cdef Py_ssize_t p, pieces = (batch_size + PIECE_ROWS - 1) // PIECE_ROWS
    cdef double loss = 0, right = 0
    cdef bint complete
    memset(&job, 0, sizeof(Job))
    job.X, job.y, job.s, job.order, job.eta = &X.source, &y[0], &s[0], &order[0], &eta[0]
    job.n, job.n_steps, job.batch_size = order.shape[0], eta.shape[0], batch_size
    job.piece = (batch_size + pieces - 1) // pieces
    job.h, job.K, job.itemsize = b1.shape[0], b2.shape[0], sizeof(floating)
    job.kind, job.alpha, job.momentum, job.nesterov = kind, alpha, momentum, nesterov
    job.W1, job.b1, job.W2, job.b2 = &W1[0, 0], &b1[0], &W2[0, 0], &b2[0]
    job.v1, job.v_b1, job.v2, job.v_b2 = &v1[0, 0], &v_b1[0], &v2[0, 0], &v_b2[0]
    job.shift, job.metric, job.G1 = &shift[0], &metric[0], &G1[0, 0]
    for p in range(shift.shape[0]):
        job.shifted = job.shifted or shift[p] != 0
    with nogil:
        complete = prepare(&job, n_threads)
        if complete:
            for p in range(job.h):
                (<floating*> job.ones)[p] = 1
            team_run(n_threads, run, &job)
            for p in range((job.piece + PART_ROWS - 1) // PART_ROWS):
                loss += job.losses[p]
                right += job.correct[p]
        release(&job)
    if not complete:
        raise MemoryError
    return loss, right
