"""The Hessian of the loss on some of the weights, in one pass over dense rows.

n rows, K score columns, a active pairs (column, feature), sorted by column; feature -1 is the intercept, of value
1. With probabilities p_ik and u_ic = p_ik (x_ij - m_j) for pair c = (k, j),

    H = sum_i s_i (blockdiag_k[p_ik (x_i - m)(x_i - m)'] - u_i u_i'),

so that columns k != l have -s u_ic u_ie, and one column with itself s u_ic (1 - p_ik) (x_ij' - m_j'). A block of
rows is one panel of each side, and the product is that of the gradient pass. Only the upper half is computed. A
single score column has H = sum_i s_i (x_i - m)(x_i - m)', s being the curvatures of its losses.
Rows are cut into chunks that depend on n and a alone, and chunks are added up in order, as in passes.pyx.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

from .simd cimport accumulate, floating
from .source cimport Block, Rows, Source, fetch, free_block, new_block
from .team cimport team_counter, team_next, team_run

cdef enum:
    ROWS = 64       # of a block
    LINE = 72       # room for ROWS; a power of two would crowd a few sets of the first-level cache
    GROUP = 20      # pairs whose rows of H are computed at once: what they waste below the diagonal is small

cdef struct Job:
    const Source* X
    const Py_ssize_t* order
    const void* s               # n
    const void* P               # K x ldp; NULL for one score column
    const int32_t* feature
    const Py_ssize_t* first     # K + 1: pairs of column k are first[k]:first[k + 1]
    const void* shift           # a
    Py_ssize_t ldp, K, a, lda, start, stop, n_chunks, itemsize
    bint failed
    team_counter counter
    void* H                     # n_chunks x a x lda

# A thread's room: right (ROWS x lda) and left (a x ROWS), the two sides of a block's product.
cdef struct Panels:
    void* right
    void* left
    const void** lines


cdef inline floating value(const floating* x, int32_t feature, floating shift) noexcept nogil:
    return x[feature] - shift if feature >= 0 else 1


cdef void fill_panels(const Job* job, const Block* block, floating* right, floating* left) noexcept nogil:
    """right = u, left = -s u'; without probabilities right = -(x - m), left = -s (x - m)'."""
    cdef Py_ssize_t i, k, c, row
    cdef const floating* x
    cdef const floating* shift = <const floating*> job.shift
    cdef floating s, p, v
    for i in range(block.B):
        x, row = <const floating*> block.rows[i], block.index[i]
        s = (<const floating*> job.s)[row]
        for k in range(job.K):
            p = (<const floating*> job.P)[k * job.ldp + row] if job.P != NULL else 1
            for c in range(job.first[k], job.first[k + 1]):
                v = p * value(x, job.feature[c], shift[c])
                right[i * job.lda + c] = v if job.P != NULL else -v
                left[c * LINE + i] = -s * v


cdef void turn_column(const Job* job, const Block* block, Py_ssize_t k, floating* right) noexcept nogil:
    """right = -(1 - p) (x - m) for the pairs of column k, for their products with each other."""
    cdef Py_ssize_t i, c
    cdef const floating* x
    cdef const floating* shift = <const floating*> job.shift
    cdef floating other
    for i in range(block.B):
        x = <const floating*> block.rows[i]
        other = (<const floating*> job.P)[k * job.ldp + block.index[i]] - 1
        for c in range(job.first[k], job.first[k + 1]):
            right[i * job.lda + c] = other * value(x, job.feature[c], shift[c])


cdef void add_block(const Job* job, const Block* block, Panels* panels, floating* H) noexcept nogil:
    """Adds the block's part to H, column by column; what is left of a column is not needed any more."""
    cdef Py_ssize_t i, k, g, last
    cdef floating* right = <floating*> panels.right
    cdef floating* left = <floating*> panels.left
    cdef const floating** lines = <const floating**> panels.lines
    fill_panels(job, block, right, left)
    for k in range(job.K):
        if job.P != NULL:
            turn_column(job, block, k, right)
        g = job.first[k]
        while g < job.first[k + 1]:
            last = min(g + GROUP, job.first[k + 1])
            for i in range(block.B):
                lines[i] = right + i * job.lda + g
            accumulate(lines, left + g * LINE, LINE, block.B, last - g, job.a - g, NULL, 0, True,
                       H + g * job.lda + g, job.lda)
            g = last


cdef void run_chunks(Job* job, floating* type_only) noexcept nogil:
    cdef Py_ssize_t n = job.stop - job.start, chunk, start, stop, last
    cdef Block* block = new_block(job.X, ROWS, job.K, sizeof(floating), False)
    cdef Panels panels
    panels.right = calloc(ROWS * job.lda, sizeof(floating))
    panels.left = calloc(LINE * job.a, sizeof(floating))
    panels.lines = <const void**> calloc(ROWS, sizeof(void*))
    if block == NULL or panels.right == NULL or panels.left == NULL or panels.lines == NULL:
        job.failed = True
    else:
        block.count = job.stop
    while not job.failed:
        chunk = team_next(&job.counter)
        if chunk >= job.n_chunks:
            break
        start, last = job.start + chunk * n // job.n_chunks, job.start + (chunk + 1) * n // job.n_chunks
        while start < last:
            stop = min(start + ROWS, last)
            fetch(job.X, block, job.order, start, stop, stop if stop < last else -1, NULL, NULL, type_only)
            add_block(job, block, &panels, <floating*> job.H + chunk * job.a * job.lda)
            start = stop
    free_block(block)
    free(panels.right)
    free(panels.left)
    free(<void*> panels.lines)


cdef void run(void* shared, int member, int size) noexcept nogil:
    cdef Job* job = <Job*> shared
    if job.itemsize == sizeof(float):
        run_chunks(job, <float*> NULL)
    else:
        run_chunks(job, <double*> NULL)


def active_hessian(Rows X, const Py_ssize_t[::1] order, const floating[::1] s, const floating[:, ::1] P,
                   const int32_t[::1] feature, const Py_ssize_t[::1] first, const floating[::1] shift,
                   floating[:, ::1] H, Py_ssize_t start, Py_ssize_t stop, int n_threads):
    """Adds the part of rows order[start:stop] to the upper half of H.

    # U = P[:, klass] * (X[:, feature] - shift); H += blockdiag(X' S P X) - U.T @ (s[:, None] * U)

    Parameters
    ----------
    s : (n,)                        # IN
    P : (K, >= n)                   # IN; empty for one score column
    feature, shift : (a,)           # IN, pairs sorted by column; feature -1 is the intercept
    first : (K + 1,)                # IN, column k has the pairs first[k]:first[k + 1]
    H : (a, lda), lda >= a          # IN and OUT
    """
    cdef Job job
    cdef Py_ssize_t a = feature.shape[0], lda = H.shape[1], chunk, c, e
    cdef floating* part
    if X.source.indptr != NULL:
        raise ValueError("X must be dense rows, found CSR rows")
    if not 0 <= start <= stop <= order.shape[0]:
        raise ValueError(f"rows {start}:{stop} are not within the {order.shape[0]} of the order")
    if start == stop or a == 0:
        return
    job.X, job.order, job.s = &X.source, &order[0], &s[0]
    job.P, job.ldp = &P[0, 0] if P.shape[0] else NULL, P.shape[1]
    job.feature, job.first, job.shift = &feature[0], &first[0], &shift[0]
    job.K, job.a, job.lda, job.start, job.stop = first.shape[0] - 1, a, lda, start, stop
    job.itemsize = sizeof(floating)
    # A copy of H costs about what 200 rows do; all copies may take 64 MiB.
    job.n_chunks = max(1, min(min(16, (stop - start) // 1024), (1 << 26) // (a * lda * job.itemsize)))
    job.counter, job.failed = 0, False
    job.H = calloc(job.n_chunks * a * lda, job.itemsize)
    if job.H == NULL:
        raise MemoryError
    with nogil:
        team_run(min(n_threads, <int> job.n_chunks), run, &job)
        for chunk in range(job.n_chunks):
            part = <floating*> job.H + chunk * a * lda
            for c in range(a):
                for e in range(c, a):
                    H[c, e] += part[c * lda + e]
    free(job.H)
    if job.failed:
        raise MemoryError


def mirror(floating[:, ::1] H):
    """Copies the upper half of the first columns of H to the lower one."""
    cdef Py_ssize_t c, e
    with nogil:
        for c in range(H.shape[0]):
            for e in range(c):
                H[c, e] = H[e, c]
