"""Shapes of simd/simd.h: a block of B rows, d features, K classes; Z and R are K x B, W and G K x d."""

from libc.stdint cimport int32_t, uint8_t

cdef extern from "simd.h" nogil:
    ctypedef struct SimdFloat "fastlr_simd_float":
        void scores(const float* const* rows, const float* W, Py_ssize_t ldw, const float* bias,
                    Py_ssize_t B, Py_ssize_t K, Py_ssize_t d, float* Z, Py_ssize_t ldz) noexcept nogil
        void accumulate(const float* const* rows, const float* R, Py_ssize_t ldr, Py_ssize_t B,
                        Py_ssize_t K, Py_ssize_t d, const char* const* next, Py_ssize_t size, bint beta,
                        float* G, Py_ssize_t ldg) noexcept nogil
        double softmax(float* Z, Py_ssize_t ldz, const int32_t* y, const float* s, Py_ssize_t B,
                       Py_ssize_t K, double* mass) noexcept nogil
        double logistic(float* Z, Py_ssize_t ldz, const int32_t* y, const float* s, Py_ssize_t B,
                        Py_ssize_t K, double* mass) noexcept nogil
        double squared_hinge(float* Z, Py_ssize_t ldz, const int32_t* y, const float* s, Py_ssize_t B,
                             Py_ssize_t K, double* mass) noexcept nogil
        double entropy(float* Z, Py_ssize_t ldz, const int32_t* y, const float* s, Py_ssize_t B, Py_ssize_t K,
                       const double* shrink, const double* receive, double mix) noexcept nogil
        void prox_step(float* w, float* A, const float* G, float m, float c, const float* shift,
                       const float* step,
                       const float* cut, const float* keep, Py_ssize_t n) noexcept nogil
        void add_scaled(double a, const float* x, Py_ssize_t n, double* y) noexcept nogil
        void moments(const float* const* rows, const float* s, const float* origin, Py_ssize_t B, Py_ssize_t d,
                     float* sum, float* square, float* low, float* high) noexcept nogil
        void exp(const float* x, Py_ssize_t n, float* out) noexcept nogil
        void pack_uint8(const uint8_t* x, Py_ssize_t stride, Py_ssize_t n, float* out) noexcept nogil
        void pack_float(const float* x, Py_ssize_t stride, Py_ssize_t n, float* out) noexcept nogil
        void pack_double(const double* x, Py_ssize_t stride, Py_ssize_t n, float* out) noexcept nogil
        void sparse_scores(const void* x, int stored, const int32_t* columns, Py_ssize_t count, const float* W,
                           Py_ssize_t K, const float* bias, float* z) noexcept nogil
        void sparse_gradient(const void* x, int stored, const int32_t* columns, Py_ssize_t count, const float* r,
                             Py_ssize_t K, float* G) noexcept nogil
        void layer(const float* W, Py_ssize_t to_unit, Py_ssize_t to_input, const float* bias, const float* A,
                   Py_ssize_t lda, Py_ssize_t B, Py_ssize_t J, Py_ssize_t K, float* Z, Py_ssize_t ldz) noexcept nogil
        void activate(int kind, float* Z, Py_ssize_t ldz, Py_ssize_t B, Py_ssize_t J) noexcept nogil
        void slope(int kind, const float* A, float* D, Py_ssize_t ld, Py_ssize_t B, Py_ssize_t J) noexcept nogil
        void momentum_step(float* w, float* v, const float* G, float scale, float c, const float* shift,
                           const float* metric, float decay, float eta, float momentum, bint nesterov,
                           Py_ssize_t n) noexcept nogil
        double correct(const float* Z, Py_ssize_t ldz, const int32_t* y, const float* s, Py_ssize_t B,
                       Py_ssize_t K) noexcept nogil
        void add_sums(const float* R, Py_ssize_t ldr, Py_ssize_t B, Py_ssize_t K, double* sums) noexcept nogil
        void (*scores_uint8)(const uint8_t* const* rows, const float* W, Py_ssize_t ldw, const float* bias,
                             Py_ssize_t B, Py_ssize_t K, Py_ssize_t d, float* Z, Py_ssize_t ldz) noexcept nogil
        void (*accumulate_uint8)(const uint8_t* const* rows, const float* R, Py_ssize_t ldr, Py_ssize_t B,
                                 Py_ssize_t K, Py_ssize_t d, const char* const* next, Py_ssize_t size, bint beta,
                                 float* G, Py_ssize_t ldg) noexcept nogil

    ctypedef struct SimdDouble "fastlr_simd_double":
        void scores(const double* const* rows, const double* W, Py_ssize_t ldw, const double* bias,
                    Py_ssize_t B, Py_ssize_t K, Py_ssize_t d, double* Z, Py_ssize_t ldz) noexcept nogil
        void accumulate(const double* const* rows, const double* R, Py_ssize_t ldr, Py_ssize_t B,
                        Py_ssize_t K, Py_ssize_t d, const char* const* next, Py_ssize_t size, bint beta,
                        double* G, Py_ssize_t ldg) noexcept nogil
        double softmax(double* Z, Py_ssize_t ldz, const int32_t* y, const double* s, Py_ssize_t B,
                       Py_ssize_t K, double* mass) noexcept nogil
        double logistic(double* Z, Py_ssize_t ldz, const int32_t* y, const double* s, Py_ssize_t B,
                        Py_ssize_t K, double* mass) noexcept nogil
        double squared_hinge(double* Z, Py_ssize_t ldz, const int32_t* y, const double* s, Py_ssize_t B,
                             Py_ssize_t K, double* mass) noexcept nogil
        double entropy(double* Z, Py_ssize_t ldz, const int32_t* y, const double* s, Py_ssize_t B, Py_ssize_t K,
                       const double* shrink, const double* receive, double mix) noexcept nogil
        void prox_step(double* w, double* A, const double* G, double m, double c, const double* shift,
                       const double* step,
                       const double* cut, const double* keep, Py_ssize_t n) noexcept nogil
        void add_scaled(double a, const double* x, Py_ssize_t n, double* y) noexcept nogil
        void moments(const double* const* rows, const double* s, const double* origin, Py_ssize_t B, Py_ssize_t d,
                     double* sum, double* square, double* low, double* high) noexcept nogil
        void exp(const double* x, Py_ssize_t n, double* out) noexcept nogil
        void pack_uint8(const uint8_t* x, Py_ssize_t stride, Py_ssize_t n, double* out) noexcept nogil
        void pack_float(const float* x, Py_ssize_t stride, Py_ssize_t n, double* out) noexcept nogil
        void pack_double(const double* x, Py_ssize_t stride, Py_ssize_t n, double* out) noexcept nogil
        void sparse_scores(const void* x, int stored, const int32_t* columns, Py_ssize_t count, const double* W,
                           Py_ssize_t K, const double* bias, double* z) noexcept nogil
        void sparse_gradient(const void* x, int stored, const int32_t* columns, Py_ssize_t count, const double* r,
                             Py_ssize_t K, double* G) noexcept nogil
        void layer(const double* W, Py_ssize_t to_unit, Py_ssize_t to_input, const double* bias, const double* A,
                   Py_ssize_t lda, Py_ssize_t B, Py_ssize_t J, Py_ssize_t K, double* Z, Py_ssize_t ldz) noexcept nogil
        void activate(int kind, double* Z, Py_ssize_t ldz, Py_ssize_t B, Py_ssize_t J) noexcept nogil
        void slope(int kind, const double* A, double* D, Py_ssize_t ld, Py_ssize_t B, Py_ssize_t J) noexcept nogil
        void momentum_step(double* w, double* v, const double* G, double scale, double c, const double* shift,
                           const double* metric, double decay, double eta, double momentum, bint nesterov,
                           Py_ssize_t n) noexcept nogil
        double correct(const double* Z, Py_ssize_t ldz, const int32_t* y, const double* s, Py_ssize_t B,
                       Py_ssize_t K) noexcept nogil
        void add_sums(const double* R, Py_ssize_t ldr, Py_ssize_t B, Py_ssize_t K, double* sums) noexcept nogil
        void (*scores_uint8)(const uint8_t* const* rows, const double* W, Py_ssize_t ldw, const double* bias,
                             Py_ssize_t B, Py_ssize_t K, Py_ssize_t d, double* Z, Py_ssize_t ldz) noexcept nogil
        void (*accumulate_uint8)(const uint8_t* const* rows, const double* R, Py_ssize_t ldr, Py_ssize_t B,
                                 Py_ssize_t K, Py_ssize_t d, const char* const* next, Py_ssize_t size, bint beta,
                                 double* G, Py_ssize_t ldg) noexcept nogil

    const Py_ssize_t PAD "FASTLR_PAD"

# The tables of the instruction set in use.
cdef const SimdFloat* simd_float
cdef const SimdDouble* simd_double


# The same functions by fused type, so that kernels are written once.
ctypedef fused floating:
    float
    double


cdef inline void scores(const floating** rows, const floating* W, Py_ssize_t ldw, const floating* bias,
                        Py_ssize_t B, Py_ssize_t K, Py_ssize_t d, floating* Z, Py_ssize_t ldz) noexcept nogil:
    if floating is float:
        simd_float.scores(<const float* const*> rows, W, ldw, bias, B, K, d, Z, ldz)
    else:
        simd_double.scores(<const double* const*> rows, W, ldw, bias, B, K, d, Z, ldz)


cdef inline void accumulate(const floating** rows, const floating* R, Py_ssize_t ldr, Py_ssize_t B,
                            Py_ssize_t K, Py_ssize_t d, const char** next, Py_ssize_t size, bint beta,
                            floating* G, Py_ssize_t ldg) noexcept nogil:
    if floating is float:
        simd_float.accumulate(<const float* const*> rows, R, ldr, B, K, d, <const char* const*> next, size,
                              beta, G, ldg)
    else:
        simd_double.accumulate(<const double* const*> rows, R, ldr, B, K, d, <const char* const*> next, size,
                               beta, G, ldg)


cdef inline bint has_uint8() noexcept nogil:
    """Whether the next two exist."""
    return simd_float.scores_uint8 != NULL


cdef inline void scores_uint8(const uint8_t** rows, const floating* W, Py_ssize_t ldw, const floating* bias,
                              Py_ssize_t B, Py_ssize_t K, Py_ssize_t d, floating* Z, Py_ssize_t ldz) noexcept nogil:
    if floating is float:
        simd_float.scores_uint8(<const uint8_t* const*> rows, W, ldw, bias, B, K, d, Z, ldz)
    else:
        simd_double.scores_uint8(<const uint8_t* const*> rows, W, ldw, bias, B, K, d, Z, ldz)


cdef inline void accumulate_uint8(const uint8_t** rows, const floating* R, Py_ssize_t ldr, Py_ssize_t B,
                                  Py_ssize_t K, Py_ssize_t d, const char** next, Py_ssize_t size, bint beta,
                                  floating* G, Py_ssize_t ldg) noexcept nogil:
    if floating is float:
        simd_float.accumulate_uint8(<const uint8_t* const*> rows, R, ldr, B, K, d, <const char* const*> next, size,
                                    beta, G, ldg)
    else:
        simd_double.accumulate_uint8(<const uint8_t* const*> rows, R, ldr, B, K, d, <const char* const*> next, size,
                                     beta, G, ldg)


cdef inline double softmax(floating* Z, Py_ssize_t ldz, const int32_t* y, const floating* s, Py_ssize_t B,
                           Py_ssize_t K, double* mass) noexcept nogil:
    """Scores to residuals: softmax for K > 1, logistic for K = 1."""
    if floating is float:
        return (simd_float.softmax if K > 1 else simd_float.logistic)(Z, ldz, y, s, B, K, mass)
    else:
        return (simd_double.softmax if K > 1 else simd_double.logistic)(Z, ldz, y, s, B, K, mass)


cdef inline double squared_hinge(floating* Z, Py_ssize_t ldz, const int32_t* y, const floating* s, Py_ssize_t B,
                                 double* mass) noexcept nogil:
    """Scores to residuals for K = 1."""
    if floating is float:
        return simd_float.squared_hinge(Z, ldz, y, s, B, 1, mass)
    else:
        return simd_double.squared_hinge(Z, ldz, y, s, B, 1, mass)


cdef inline void prox_step(floating* w, floating* A, const floating* G, floating m, floating c,
                           const floating* shift, const floating* step, const floating* cut,
                           const floating* keep, Py_ssize_t n) noexcept nogil:
    if floating is float:
        simd_float.prox_step(w, A, G, m, c, shift, step, cut, keep, n)
    else:
        simd_double.prox_step(w, A, G, m, c, shift, step, cut, keep, n)


cdef inline void add_scaled(double a, const floating* x, Py_ssize_t n, double* y) noexcept nogil:
    """y += a x."""
    if floating is float:
        simd_float.add_scaled(a, x, n, y)
    else:
        simd_double.add_scaled(a, x, n, y)


cdef inline void pack(const char* x, int stored, Py_ssize_t stride, Py_ssize_t n, floating* out) noexcept nogil:
    """Copies n stored values (0: uint8, 1: float, 2: double), `stride` elements apart, to out."""
    if floating is float:
        if stored == 0:
            simd_float.pack_uint8(<const uint8_t*> x, stride, n, out)
        elif stored == 1:
            simd_float.pack_float(<const float*> x, stride, n, out)
        else:
            simd_float.pack_double(<const double*> x, stride, n, out)
    else:
        if stored == 0:
            simd_double.pack_uint8(<const uint8_t*> x, stride, n, out)
        elif stored == 1:
            simd_double.pack_float(<const float*> x, stride, n, out)
        else:
            simd_double.pack_double(<const double*> x, stride, n, out)


cdef inline void sparse_scores(const char* x, int stored, const int32_t* columns, Py_ssize_t count,
                               const floating* W, Py_ssize_t K, const floating* bias, floating* z) noexcept nogil:
    if floating is float:
        simd_float.sparse_scores(x, stored, columns, count, W, K, bias, z)
    else:
        simd_double.sparse_scores(x, stored, columns, count, W, K, bias, z)


cdef inline void sparse_gradient(const char* x, int stored, const int32_t* columns, Py_ssize_t count,
                                 const floating* r, Py_ssize_t K, floating* G) noexcept nogil:
    if floating is float:
        simd_float.sparse_gradient(x, stored, columns, count, r, K, G)
    else:
        simd_double.sparse_gradient(x, stored, columns, count, r, K, G)


cdef inline void layer(const floating* W, Py_ssize_t to_unit, Py_ssize_t to_input, const floating* bias,
                       const floating* A, Py_ssize_t lda, Py_ssize_t B, Py_ssize_t J, Py_ssize_t K,
                       floating* Z, Py_ssize_t ldz) noexcept nogil:
    if floating is float:
        simd_float.layer(W, to_unit, to_input, bias, A, lda, B, J, K, Z, ldz)
    else:
        simd_double.layer(W, to_unit, to_input, bias, A, lda, B, J, K, Z, ldz)


cdef inline void activate(int kind, floating* Z, Py_ssize_t ldz, Py_ssize_t B, Py_ssize_t J) noexcept nogil:
    if floating is float:
        simd_float.activate(kind, Z, ldz, B, J)
    else:
        simd_double.activate(kind, Z, ldz, B, J)


cdef inline void slope(int kind, const floating* A, floating* D, Py_ssize_t ld, Py_ssize_t B,
                       Py_ssize_t J) noexcept nogil:
    if floating is float:
        simd_float.slope(kind, A, D, ld, B, J)
    else:
        simd_double.slope(kind, A, D, ld, B, J)


cdef inline void momentum_step(floating* w, floating* v, const floating* G, floating scale, floating c,
                               const floating* shift, const floating* metric, floating decay, floating eta,
                               floating momentum, bint nesterov, Py_ssize_t n) noexcept nogil:
    if floating is float:
        simd_float.momentum_step(w, v, G, scale, c, shift, metric, decay, eta, momentum, nesterov, n)
    else:
        simd_double.momentum_step(w, v, G, scale, c, shift, metric, decay, eta, momentum, nesterov, n)


cdef inline double correct(const floating* Z, Py_ssize_t ldz, const int32_t* y, const floating* s, Py_ssize_t B,
                           Py_ssize_t K) noexcept nogil:
    if floating is float:
        return simd_float.correct(Z, ldz, y, s, B, K)
    else:
        return simd_double.correct(Z, ldz, y, s, B, K)


cdef inline void add_sums(const floating* R, Py_ssize_t ldr, Py_ssize_t B, Py_ssize_t K, double* sums) noexcept nogil:
    if floating is float:
        simd_float.add_sums(R, ldr, B, K, sums)
    else:
        simd_double.add_sums(R, ldr, B, K, sums)


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    """n rounded up to the widest vector."""
    return (n + PAD - 1) // PAD * PAD
