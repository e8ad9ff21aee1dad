"""Minibatch steps by a team: each member has some of the features, for all rows of a block."""

from libc.stdint cimport int32_t

from .simd cimport floating
from .source cimport Block, Source
from .team cimport team_barrier

cdef struct Slices:
    const Source* X
    Py_ssize_t count, K, size, ldz      # slices of the features; scores; rows of a block, padded
    Py_ssize_t itemsize
    Source* views                       # count
    Py_ssize_t* first                   # count: first feature
    Block** blocks                      # count
    void* partial                       # 2 x count x K x ldz: scores of a slice, by turns
    void* Z                             # count x K x ldz: whole scores, then residuals, for each member
    team_barrier barrier

cdef Slices* new_slices(const Source* X, Py_ssize_t size, Py_ssize_t K, Py_ssize_t itemsize,
                        Py_ssize_t count) noexcept nogil
cdef void free_slices(Slices* slices) noexcept nogil
cdef floating* together_scores(Slices* slices, int member, int members, Py_ssize_t turn,
                               const Py_ssize_t* order, Py_ssize_t start, Py_ssize_t stop,
                               Py_ssize_t following, const int32_t* y, const double* s, const floating* W,
                               const floating* b, const floating* shift) noexcept nogil
