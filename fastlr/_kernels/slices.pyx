from libc.stdlib cimport calloc, free

from .simd cimport PAD, floating, padded
from .source cimport Block, Source, block_scores, fetch, free_block, new_block, reads_bytes, slice_features
from .team cimport team_meet


cdef Slices* new_slices(const Source* X, Py_ssize_t size, Py_ssize_t K, Py_ssize_t itemsize,
                        Py_ssize_t count) noexcept nogil:
    """NULL when memory is short. Slices depend on d alone, and so do results: at least 384 features, so that
    the sums across a vector at the end of each score stay a small part of its cost."""
    cdef Slices* slices = <Slices*> calloc(1, sizeof(Slices))
    cdef Py_ssize_t t, vectors = padded(X.d) // PAD
    cdef bint complete
    if slices == NULL:
        return NULL
    slices.X, slices.K, slices.size, slices.ldz, slices.itemsize = X, K, size, padded(size), itemsize
    slices.count = max(1, min(16, X.d // 384))
    slices.views = <Source*> calloc(slices.count, sizeof(Source))
    slices.first = <Py_ssize_t*> calloc(slices.count, sizeof(Py_ssize_t))
    slices.blocks = <Block**> calloc(slices.count, sizeof(Block*))
    slices.partial = calloc(2 * slices.count * K * slices.ldz, itemsize)
    slices.Z = calloc(slices.count * K * slices.ldz, itemsize)
    complete = (slices.views != NULL and slices.first != NULL and slices.blocks != NULL
                and slices.partial != NULL and slices.Z != NULL)
    if complete:
        for t in range(slices.count):
            slices.first[t] = t * vectors // slices.count * PAD
            slices.views[t] = slice_features(X, slices.first[t],
                                             min(X.d, (t + 1) * vectors // slices.count * PAD))
            slices.blocks[t] = new_block(&slices.views[t], size, K, itemsize,
                                         reads_bytes(&slices.views[t], K))
            if slices.blocks[t] == NULL:
                complete = False
            else:
                slices.blocks[t].count = count
    if not complete:
        free_slices(slices)
        return NULL
    return slices


cdef void free_slices(Slices* slices) noexcept nogil:
    cdef Py_ssize_t t
    if slices == NULL:
        return
    if slices.blocks != NULL:
        for t in range(slices.count):
            free_block(slices.blocks[t])
    free(slices.views)
    free(slices.first)
    free(slices.blocks)
    free(slices.partial)
    free(slices.Z)
    free(slices)


cdef floating* together_scores(Slices* slices, int member, int members, Py_ssize_t turn,
                               const Py_ssize_t* order, Py_ssize_t start, Py_ssize_t stop,
                               Py_ssize_t following, const int32_t* y, const double* s, const floating* W,
                               const floating* b, const floating* shift) noexcept nogil:
    """Scores b + W (x - shift) of a block, K x ldz, in the member's own memory.

    Each member computes the parts that its slices give, all meet, and each adds up all parts in order. The
    parts of two successive calls lie apart (`turn` counts calls), so that one meeting a call is enough: who
    writes the next but one has met those who read the last.
    """
    cdef Py_ssize_t t, e, k, i, length = slices.K * slices.ldz, K = slices.K
    cdef floating* partial = <floating*> slices.partial + (turn & 1) * slices.count * length
    cdef floating* Z = <floating*> slices.Z + member * length
    cdef Block* block
    for t in range(member * slices.count // members, (member + 1) * slices.count // members):
        block = slices.blocks[t]
        fetch(&slices.views[t], block, order, start, stop, following, y, s, <floating*> NULL)
        # new_block leaves K zeros behind one_row: scores start from the slice's own part of the shift.
        block_scores(&slices.views[t], block, W + slices.first[t], <floating*> block.one_row + K,
                     shift + slices.first[t], K, partial + t * length)
    team_meet(&slices.barrier, members)
    for k in range(K):
        for i in range(slices.ldz):
            Z[k * slices.ldz + i] = b[k] + partial[k * slices.ldz + i]
    for t in range(1, slices.count):
        for e in range(length):
            Z[e] += partial[t * length + e]
    return Z
