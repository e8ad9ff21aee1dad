"""Where a kernel reads rows of X: dense arrays of any layout, or CSR.

Weights lie as the rows are read: K x d for dense X (each class contiguous), d x K for CSR (each feature
contiguous). A flat buffer of K d numbers serves both.
"""

from libc.stdint cimport int32_t, int64_t

from .simd cimport floating

cdef struct Source:
    Py_ssize_t n, d
    Py_ssize_t ldw                              # features of the weights: more than d for a slice of X
    const char* base                            # of the values
    int stored                                  # their type: 0 uint8, 1 float, 2 double
    Py_ssize_t size, row_stride, column_stride  # dense: bytes
    const int64_t* indptr                       # CSR, else NULL
    const int32_t* indices                      # CSR

cdef class Rows:
    cdef Source source
    cdef object owners

# At most `size` rows on their way through a kernel, and the room they need. Every thread has its own.
cdef struct Block:
    Py_ssize_t size, ld     # rows at most; leading dimension of panel
    Py_ssize_t B            # rows now
    Py_ssize_t count        # rows of the order they come in
    Py_ssize_t* index       # their numbers in X
    const void** rows       # dense: where they are, in X or in panel
    const char** next       # dense: where the rows of the next block are
    bint has_next
    bint as_bytes           # rows are bytes, see reads_bytes
    void* panel             # size x ld, converted rows
    void* Z                 # K x size: scores, then residuals
    void* s                 # size: sample weights
    int32_t* y              # size: labels
    void* one_row           # 2 K: a row of scores or residuals, and K zeros

cdef bint reads_bytes(const Source* X, Py_ssize_t K) noexcept nogil
cdef Py_ssize_t block_rows(const Source* X, Py_ssize_t K, Py_ssize_t itemsize, bint as_bytes) noexcept nogil
cdef Block* new_block(const Source* X, Py_ssize_t size, Py_ssize_t K, Py_ssize_t itemsize,
                      bint as_bytes) noexcept nogil
cdef void free_block(Block* block) noexcept nogil
cdef void fetch(const Source* X, Block* block, const Py_ssize_t* order, Py_ssize_t start, Py_ssize_t stop,
                Py_ssize_t following, const int32_t* y, const double* s, floating* type_only) noexcept nogil
cdef void block_scores(const Source* X, Block* block, const floating* W, const floating* bias,
                       const floating* shift, Py_ssize_t K, floating* Z) noexcept nogil
cdef void block_gradient(const Source* X, Block* block, const floating* R, Py_ssize_t K, bint beta,
                         floating* G) noexcept nogil
cdef void change_residuals(const Block* block, floating* R, Py_ssize_t K, const floating* stored,
                           floating* latest) noexcept nogil
cdef Source slice_features(const Source* X, Py_ssize_t first, Py_ssize_t last) noexcept nogil
