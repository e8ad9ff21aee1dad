from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from numpy import dtype, float32, float64, uint8

from .simd cimport PAD, accumulate, accumulate_uint8, has_uint8, pack, padded, scores, scores_uint8
from .simd cimport sparse_gradient, sparse_scores

_STORED = dtype(uint8), dtype(float32), dtype(float64)


cdef class Rows:
    """The rows of X as kernels read them: no copy, any strides.

    Parameters
    ----------
    values : array of uint8, float32 or float64
        Shape (n, d), of any layout; or the values of a CSR matrix, contiguous.
    indptr, indices : arrays of int64 and int32, contiguous
        For a CSR matrix of `d` columns.
    """

    def __cinit__(self, values, indptr=None, indices=None, Py_ssize_t d=0):
        cdef const int64_t[::1] pointers
        cdef const int32_t[::1] columns
        cdef Source* X = &self.source
        # By type, as the format of a buffer may name the byte order, too.
        X.stored = _STORED.index(values.dtype)
        X.size = values.itemsize
        X.base = <const char*> <Py_ssize_t> values.ctypes.data
        if indptr is None:
            X.n, X.d = values.shape
            X.row_stride, X.column_stride = values.strides
        else:
            pointers = indptr
            X.n, X.d = len(indptr) - 1, d
            X.indptr = &pointers[0]
            columns = indices
            if columns.shape[0]:
                X.indices = &columns[0]
        X.ldw = X.d
        self.owners = (values, indptr, indices)

    @property
    def shape(self):
        return self.source.n, self.source.d


cdef Source slice_features(const Source* X, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Features first to last of dense X; weights keep the length of a row of X."""
    cdef Source part = X[0]
    part.base += first * X.column_stride
    part.d = last - first
    return part


cdef inline bint converts(const Source* X, Py_ssize_t itemsize) noexcept nogil:
    return X.indptr == NULL and (X.size != itemsize or X.column_stride != itemsize)


cdef bint reads_bytes(const Source* X, Py_ssize_t K) noexcept nogil:
    """Whether block_scores and block_gradient may have the bytes of X as they are, to convert them in registers.

    Each group of classes converts them anew, where a panel is written once, and read from the second-level
    cache. On MNIST that is 2 times as fast for 2 classes, and a fifth faster for 10; with more, the panel costs
    less and less beside the multiply-adds, whose ports some processors need for conversions, too."""
    return X.indptr == NULL and X.stored == 0 and X.column_stride == 1 and K <= 10 and has_uint8()


cdef Py_ssize_t block_rows(const Source* X, Py_ssize_t K, Py_ssize_t itemsize, bint as_bytes) noexcept nogil:
    """Rows of a block. A panel of converted rows and its scores take a quarter of a second-level cache of
    1 MiB; rows read where they lie take an eighth, as the next block is on its way beside them (measured
    on MNIST: 32 rows of float, 80 of a panel, 128 of bytes)."""
    cdef Py_ssize_t row = 0 if X.indptr != NULL else X.d * (1 if as_bytes else itemsize)
    cdef Py_ssize_t room = 262144 if converts(X, itemsize) and not as_bytes else 131072
    cdef Py_ssize_t fitting = room // (row + itemsize * K + 1)
    return max(PAD, min(128, fitting // PAD * PAD))


cdef Block* new_block(const Source* X, Py_ssize_t size, Py_ssize_t K, Py_ssize_t itemsize,
                      bint as_bytes) noexcept nogil:
    """NULL when memory is short. `as_bytes` is for who needs no more than block_scores and block_gradient, and
    has asked reads_bytes."""
    cdef Py_ssize_t ldz = padded(size)
    cdef Block* block = <Block*> calloc(1, sizeof(Block))
    if block == NULL:
        return NULL
    block.size, block.count = ldz, X.n
    block.ld, block.as_bytes = padded(X.d), as_bytes
    block.index = <Py_ssize_t*> calloc(ldz, sizeof(Py_ssize_t))
    block.rows = <const void**> calloc(ldz, sizeof(void*))
    block.next = <const char**> calloc(ldz, sizeof(char*))
    block.panel = calloc(ldz * block.ld if converts(X, itemsize) and not as_bytes else 1, itemsize)
    block.Z = calloc(ldz * K, itemsize)
    block.s = calloc(ldz, itemsize)
    block.y = <int32_t*> calloc(ldz, sizeof(int32_t))
    block.one_row = calloc(2 * K, itemsize)
    if (block.index == NULL or block.rows == NULL or block.next == NULL or block.panel == NULL
            or block.Z == NULL or block.s == NULL or block.y == NULL or block.one_row == NULL):
        free_block(block)
        return NULL
    return block


cdef void free_block(Block* block) noexcept nogil:
    if block == NULL:
        return
    free(block.index)
    free(block.rows)
    free(block.next)
    free(block.panel)
    free(block.Z)
    free(block.s)
    free(block.y)
    free(block.one_row)
    free(block)


cdef extern from *:
    """
    static inline void fastlr_prefetch(const char *from, ptrdiff_t bytes) {
        for (ptrdiff_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(from + byte, 0, 2);
    }
    """
    void prefetch "fastlr_prefetch"(const char* start, Py_ssize_t count) noexcept nogil


cdef inline Py_ssize_t at(const Py_ssize_t* order, Py_ssize_t i) noexcept nogil:
    return order[i] if order != NULL else i


cdef void fetch(const Source* X, Block* block, const Py_ssize_t* order, Py_ssize_t start, Py_ssize_t stop,
                Py_ssize_t following, const int32_t* y, const double* s, floating* type_only) noexcept nogil:
    """Brings rows order[start:stop] into the block (rows start:stop where order is NULL), with labels and
    weights, padded by weights 0. The next block starts at `following` (-1: there is none): its rows are
    prefetched. y and s may be NULL."""
    cdef Py_ssize_t i, row, B = stop - start
    cdef floating* weights = <floating*> block.s
    cdef floating* panel = <floating*> block.panel
    cdef const char* here
    cdef bint whole = X.column_stride == X.size
    cdef bint direct = block.as_bytes or (whole and X.size == sizeof(floating))
    block.B = B
    block.has_next = whole and X.indptr == NULL and following >= 0
    for i in range(B):
        row = at(order, start + i)
        block.index[i] = row
        weights[i] = <floating> s[row] if s != NULL else 1
        block.y[i] = y[row] if y != NULL else 0
        if X.indptr == NULL:
            here = X.base + row * X.row_stride
            if block.has_next:
                block.next[i] = X.base + at(order, min(following + i, block.count - 1)) * X.row_stride
            if direct:
                block.rows[i] = here
            else:
                if block.has_next:
                    prefetch(block.next[i], X.d * X.size)
                pack(here, X.stored, X.column_stride // X.size, X.d, panel + i * block.ld)
                block.rows[i] = panel + i * block.ld
    for i in range(B, block.size):
        weights[i] = 0
        block.y[i] = 0


cdef void block_scores(const Source* X, Block* block, const floating* W, const floating* bias,
                       const floating* shift, Py_ssize_t K, floating* Z) noexcept nogil:
    """Z = bias + W (x_i - shift) for every row of the block; shift may be NULL, and is for CSR."""
    cdef floating* z = <floating*> block.one_row
    cdef Py_ssize_t i, k
    cdef int64_t e
    if X.indptr == NULL:
        if shift != NULL:
            # The shift goes into the bias: it costs one row more.
            scores(&shift, W, X.ldw, z + K, 1, K, X.d, z, 1)
            for k in range(K):
                z[k] = bias[k] - z[k]
            bias = z
        if block.as_bytes:
            scores_uint8(<const uint8_t**> block.rows, W, X.ldw, bias, block.B, K, X.d, Z, block.size)
        else:
            scores(<const floating**> block.rows, W, X.ldw, bias, block.B, K, X.d, Z, block.size)
        return
    for i in range(block.B):
        e = X.indptr[block.index[i]]
        sparse_scores(X.base + e * X.size, X.stored, X.indices + e, X.indptr[block.index[i] + 1] - e, W, K, bias, z)
        for k in range(K):
            Z[k * block.size + i] = z[k]


cdef void block_gradient(const Source* X, Block* block, const floating* R, Py_ssize_t K, bint beta,
                         floating* G) noexcept nogil:
    """G = beta G + sum_i r_i x_i'; beta is 0 or 1."""
    cdef floating* r = <floating*> block.one_row
    cdef const char** following = NULL
    cdef Py_ssize_t i, k
    cdef int64_t e
    if X.indptr == NULL:
        if block.has_next and (block.as_bytes or not converts(X, sizeof(floating))):
            following = block.next
        if block.as_bytes:
            accumulate_uint8(<const uint8_t**> block.rows, R, block.size, block.B, K, X.d, following, X.size, beta, G,
                             X.ldw)
        else:
            accumulate(<const floating**> block.rows, R, block.size, block.B, K, X.d, following, X.size, beta, G, X.ldw)
        return
    if not beta:
        memset(G, 0, K * X.d * sizeof(floating))
    for i in range(block.B):
        for k in range(K):
            r[k] = R[k * block.size + i]
        e = X.indptr[block.index[i]]
        sparse_gradient(X.base + e * X.size, X.stored, X.indices + e, X.indptr[block.index[i] + 1] - e, r, K, G)


cdef void change_residuals(const Block* block, floating* R, Py_ssize_t K, const floating* stored,
                           floating* latest) noexcept nogil:
    """latest = R and R -= stored; these two are K x B, without padding, and may be the same."""
    cdef floating r
    cdef Py_ssize_t i, k
    for k in range(K):
        for i in range(block.B):
            r = R[k * block.size + i]
            R[k * block.size + i] = r - stored[k * block.B + i]
            latest[k * block.B + i] = r
