/* The loops that carry fastlr's arithmetic, one table of functions per instruction set and real type.
 *
 * Shapes used in all files of this folder: a block of B rows (samples), d features, K classes.
 *   rows[i][j]      B rows of d features, given as B pointers
 *   W[k*ldw + j]    K x d weights
 *   Z[k*ldz + i]    K x B scores, probabilities or residuals: rows of the block are contiguous, so that
 *                   softmax works on whole vectors of rows; ldz is a multiple of FASTLR_PAD and the lanes
 *                   beyond B may be read and written
 */
#ifndef FASTLR_SIMD_H
#define FASTLR_SIMD_H

#include <stddef.h>
#include <stdint.h>

#define FASTLR_PAD 16 /* rows of a block are padded to the widest vector: 16 floats */

#define FASTLR_TABLE(real)                                                                          \
    /* Z = bias + W rows', K x B. */                                                                \
    void (*scores)(const real *const *rows, const real *W, ptrdiff_t ldw, const real *bias,         \
                   ptrdiff_t B, ptrdiff_t K, ptrdiff_t d, real *Z, ptrdiff_t ldz);                  \
    /* G = beta G + R rows, K x d; beta is 0 or 1. */     \
    void (*accumulate)(const real *const *rows, const real *R, ptrdiff_t ldr, ptrdiff_t B,          \
                       ptrdiff_t K, ptrdiff_t d, const char *const *next, ptrdiff_t size, int beta, \
                       real *G, ptrdiff_t ldg);                                                     \
    /* Scores to residuals s (softmax(z) - onehot(y)), in place. Adds the class masses sum_i s_i    \
     * p_ik to `mass` and returns sum_i s_i (logsumexp(z_i) - z_iy); mass NULL skips both. y and s  \
     * hold B values, padded to ldz by zeros. */                                                    \
    double (*softmax)(real *Z, ptrdiff_t ldz, const int32_t *y, const real *s, ptrdiff_t B,         \
                      ptrdiff_t K, double *mass);                                                   \
    /* The same for one score a row: s (sigmoid(z) - y), y in {0, 1}; mass has one entry. */        \
    double (*logistic)(real *Z, ptrdiff_t ldz, const int32_t *y, const real *s, ptrdiff_t B,        \
                       ptrdiff_t K, double *mass);                                                  \
    /* The same for the squared hinge, t = 1 or -1 for y in {1, 0}: -2 s t (1 - t z)_+, in place. Adds \
     * the sum of these residuals to `mass` and returns sum_i s_i (1 - t_i z_i)_+^2. */             \
    double (*squared_hinge)(real *Z, ptrdiff_t ldz, const int32_t *y, const real *s, ptrdiff_t B,   \
                            ptrdiff_t K, double *mass);                                             \
    /* sum_i s_i H((1 - mix) e_y + mix q_i), q_ik = shrink_k p_ik + receive_k sum_l (1 - shrink_l) p_il, \
     * p_i the softmax of z_i, which is overwritten. One score stands for two classes. */           \
    double (*entropy)(real *Z, ptrdiff_t ldz, const int32_t *y, const real *s, ptrdiff_t B,         \
                      ptrdiff_t K, const double *shrink, const double *receive, double mix);        \
    /* One proximal step on the n weights of a class. g = m G + A - c shift (A absent: 0), then A += G, \
     * then w = keep soft(w - step g, cut); step, cut, keep and shift hold a value a feature. */     \
    void (*prox_step)(real *w, real *A, const real *G, real m, real c, const real *shift,           \
                      const real *step, const real *cut, const real *keep, ptrdiff_t n);            \
    /* y += a x, n values. */                                                                       \
    void (*add_scaled)(double a, const real *x, ptrdiff_t n, double *y);                            \
    /* sum += s (rows - origin), square += s (rows - origin)^2, and the extremes of the rows that \
     * have a weight, by feature. */                                                                \
    void (*moments)(const real *const *rows, const real *s, const real *origin, ptrdiff_t B,        \
                    ptrdiff_t d, real *sum, real *square, real *low, real *high);                   \
    /* out[i] = exp(x[i]), x <= 0. */                                                               \
    void (*exp)(const real *x, ptrdiff_t n, real *out);                                             \
    /* out[j] = x[j*stride], converted; stride in elements. */                                      \
    void (*pack_uint8)(const uint8_t *x, ptrdiff_t stride, ptrdiff_t n, real *out);                 \
    void (*pack_float)(const float *x, ptrdiff_t stride, ptrdiff_t n, real *out);                   \
    void (*pack_double)(const double *x, ptrdiff_t stride, ptrdiff_t n, real *out);                 \
    /* A sparse row: z = bias + sum_e x_e W[columns[e]]; W is d x K, x float (stored 1) or double (2). */ \
    void (*sparse_scores)(const void *x, int stored, const int32_t *columns, ptrdiff_t count,       \
                          const real *W, ptrdiff_t K, const real *bias, real *z);                   \
    /* G[columns[e]] += x_e r; G is d x K. */                                                       \
    void (*sparse_gradient)(const void *x, int stored, const int32_t *columns, ptrdiff_t count,     \
                            const real *r, ptrdiff_t K, real *G);                                   \
    /* A layer of a network: Z = bias + W A, A J x B, Z K x B; unit k weighs input j by              \
     * W[k*to_unit + j*to_input]; bias may be NULL. Rows of A and Z are padded as those of scores. */ \
    void (*layer)(const real *W, ptrdiff_t to_unit, ptrdiff_t to_input, const real *bias,           \
                  const real *A, ptrdiff_t lda, ptrdiff_t B, ptrdiff_t J, ptrdiff_t K, real *Z,     \
                  ptrdiff_t ldz);                                                                   \
    /* Z = f(Z), J x B; f is max(z, 0), the logistic function or tanh for kind 0, 1, 2. */           \
    void (*activate)(int kind, real *Z, ptrdiff_t ldz, ptrdiff_t B, ptrdiff_t J);                   \
    /* D *= f'(z), J x B, by A = f(Z). */                                                           \
    void (*slope)(int kind, const real *A, real *D, ptrdiff_t ld, ptrdiff_t B, ptrdiff_t J);        \
    /* g = metric (scale G - c shift) + decay w; v = momentum v - eta g; w += v, or with Nesterov's   \
     * look ahead w += momentum v - eta g. */                                                       \
    void (*momentum_step)(real *w, real *v, const real *G, real scale, real c, const real *shift,   \
                          const real *metric, real decay, real eta, real momentum, int nesterov,    \
                          ptrdiff_t n);                                                             \
    /* Weight of the rows whose highest score, the first of equals, is the label's; one score stands \
     * for two classes, the first of score 0. y and s are padded as for softmax. */                 \
    double (*correct)(const real *Z, ptrdiff_t ldz, const int32_t *y, const real *s, ptrdiff_t B,   \
                      ptrdiff_t K);                                                                 \
    /* sums_k += sum_i r_ki, R K x B. */                                                            \
    void (*add_sums)(const real *R, ptrdiff_t ldr, ptrdiff_t B, ptrdiff_t K, double *sums);         \
    /* scores and accumulate on rows of bytes, which are converted in registers, by each group of     \
     * classes anew: for few classes. NULL where the conversion takes many instructions. */           \
    void (*scores_uint8)(const uint8_t *const *rows, const real *W, ptrdiff_t ldw, const real *bias, \
                         ptrdiff_t B, ptrdiff_t K, ptrdiff_t d, real *Z, ptrdiff_t ldz);             \
    void (*accumulate_uint8)(const uint8_t *const *rows, const real *R, ptrdiff_t ldr, ptrdiff_t B,  \
                             ptrdiff_t K, ptrdiff_t d, const char *const *next, ptrdiff_t size,      \
                             int beta, real *G, ptrdiff_t ldg);

typedef struct { FASTLR_TABLE(float) } fastlr_simd_float;
typedef struct { FASTLR_TABLE(double) } fastlr_simd_double;

extern const fastlr_simd_float fastlr_baseline_float, fastlr_avx2_float, fastlr_avx512_float;
extern const fastlr_simd_double fastlr_baseline_double, fastlr_avx2_double, fastlr_avx512_double;

#endif
