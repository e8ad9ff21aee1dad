/* ---- sparse rows ----------------------------------------------------------------------------------
 * One row of `count` values x at given columns; W and G are d x K, each column of X contiguous. Classes go in
 * tiles of up to four vectors, the last of which may overlap the one before: both hold the same numbers. Fewer
 * classes than lanes are a masked vector (AVX-512), or a loop of known length. Included by body.h. */
#define SPARSE_VECTORS 4

#define sparse_value NAME(sparse_value)
INLINE REAL sparse_value(const void *x, const int stored, ptrdiff_t e) {
    return stored == 1 ? (REAL)((const float *)x)[e] : (REAL)((const double *)x)[e];
}

/* z = bias + sum_e x_e W[columns[e]], for the first `width` classes. */
#define sparse_scores_tile NAME(sparse_scores_tile)
INLINE void sparse_scores_tile(const int n_vectors, ptrdiff_t width, const void *x, const int stored,
                               const int32_t *columns, ptrdiff_t count, const REAL *W, ptrdiff_t K,
                               const REAL *bias, REAL *z) {
    vec sums[SPARSE_VECTORS];
#define PLACE(v) MIN((v) * LANES, width - LANES)
UNROLL
    for (int v = 0; v < n_vectors; v++) sums[v] = load(bias + PLACE(v));
    for (ptrdiff_t e = 0; e < count; e++) {
        const REAL *w = W + columns[e] * K;
        const vec value = splat(sparse_value(x, stored, e));
UNROLL
        for (int v = 0; v < n_vectors; v++) sums[v] += value * load(w + PLACE(v));
    }
UNROLL
    for (int v = 0; v < n_vectors; v++) store(z + PLACE(v), sums[v]);
}

/* G[columns[e]] += x_e r, for the first `width` classes. */
#define sparse_gradient_tile NAME(sparse_gradient_tile)
INLINE void sparse_gradient_tile(const int n_vectors, ptrdiff_t width, const void *x, const int stored,
                                 const int32_t *columns, ptrdiff_t count, const REAL *r, ptrdiff_t K, REAL *G) {
    vec residual[SPARSE_VECTORS], sums[SPARSE_VECTORS];
UNROLL
    for (int v = 0; v < n_vectors; v++) residual[v] = load(r + PLACE(v));
    for (ptrdiff_t e = 0; e < count; e++) {
        REAL *g = G + columns[e] * K;
        const vec value = splat(sparse_value(x, stored, e));
        /* All are read before one is written: the last two may overlap. */
UNROLL
        for (int v = 0; v < n_vectors; v++) sums[v] = load(g + PLACE(v)) + value * residual[v];
UNROLL
        for (int v = 0; v < n_vectors; v++) store(g + PLACE(v), sums[v]);
    }
#undef PLACE
}

/* The same for fewer classes than lanes. */
#define sparse_scores_few NAME(sparse_scores_few)
INLINE void sparse_scores_few(const int width, const void *x, const int stored, const int32_t *columns,
                              ptrdiff_t count, const REAL *W, ptrdiff_t K, const REAL *bias, REAL *z) {
#if VECTOR_BYTES == 64
    vec sum = load_first(bias, width);
    for (ptrdiff_t e = 0; e < count; e++)
        sum += sparse_value(x, stored, e) * load_first(W + columns[e] * K, width);
    store_first(z, sum, width);
#else
    REAL sums[8];
    for (int k = 0; k < width; k++) sums[k] = bias[k];
    for (ptrdiff_t e = 0; e < count; e++) {
        const REAL value = sparse_value(x, stored, e);
        for (int k = 0; k < width; k++) sums[k] += value * W[columns[e] * K + k];
    }
    for (int k = 0; k < width; k++) z[k] = sums[k];
#endif
}

#define sparse_gradient_few NAME(sparse_gradient_few)
INLINE void sparse_gradient_few(const int width, const void *x, const int stored, const int32_t *columns,
                                ptrdiff_t count, const REAL *r, ptrdiff_t K, REAL *G) {
#if VECTOR_BYTES == 64
    const vec residual = load_first(r, width);
    for (ptrdiff_t e = 0; e < count; e++) {
        REAL *g = G + columns[e] * K;
        store_first(g, load_first(g, width) + sparse_value(x, stored, e) * residual, width);
    }
#else
    for (ptrdiff_t e = 0; e < count; e++) {
        const REAL value = sparse_value(x, stored, e);
        for (int k = 0; k < width; k++) G[columns[e] * K + k] += value * r[k];
    }
#endif
}

/* One call per number of vectors, and per few classes where the length of the loop matters. */
#if VECTOR_BYTES == 64
#define EACH_FEW(few)                                  \
    default:                                           \
        few((int)width);                               \
        break;
#else
#define EACH_FEW(few)                                  \
    case 1: few(1); break;                             \
    case 2: few(2); break;                             \
    case 3: few(3); break;                             \
    case 4: few(4); break;                             \
    case 5: few(5); break;                             \
    case 6: few(6); break;                             \
    default: few(7); break;
#endif
#define EACH_TILE(tile, few)                                                     \
    for (ptrdiff_t first = 0; first < K; first += SPARSE_VECTORS * LANES) {      \
        const ptrdiff_t width = MIN(SPARSE_VECTORS * LANES, K - first);          \
        if (width < LANES) {                                                     \
            switch (width) { EACH_FEW(few) }                                     \
        } else                                                                   \
            switch ((width + LANES - 1) / LANES) {                               \
                case 1: tile(1); break;                                          \
                case 2: tile(2); break;                                          \
                case 3: tile(3); break;                                          \
                default: tile(4); break;                                         \
            }                                                                    \
    }

#define sparse_scores_of NAME(sparse_scores_of)
INLINE void sparse_scores_of(const void *x, const int stored, const int32_t *columns, ptrdiff_t count,
                             const REAL *W, ptrdiff_t K, const REAL *bias, REAL *z) {
#define SCORES_TILE(n) sparse_scores_tile(n, width, x, stored, columns, count, W + first, K, bias + first, z + first)
#define SCORES_FEW(n) sparse_scores_few(n, x, stored, columns, count, W + first, K, bias + first, z + first)
    EACH_TILE(SCORES_TILE, SCORES_FEW)
}

#define sparse_gradient_of NAME(sparse_gradient_of)
INLINE void sparse_gradient_of(const void *x, const int stored, const int32_t *columns, ptrdiff_t count,
                               const REAL *r, ptrdiff_t K, REAL *G) {
#define GRADIENT_TILE(n) sparse_gradient_tile(n, width, x, stored, columns, count, r + first, K, G + first)
#define GRADIENT_FEW(n) sparse_gradient_few(n, x, stored, columns, count, r + first, K, G + first)
    EACH_TILE(GRADIENT_TILE, GRADIENT_FEW)
}

static void NAME(sparse_scores)(const void *x, int stored, const int32_t *columns, ptrdiff_t count,
                                const REAL *W, ptrdiff_t K, const REAL *bias, REAL *z) {
    if (stored == 1)
        sparse_scores_of(x, 1, columns, count, W, K, bias, z);
    else
        sparse_scores_of(x, 2, columns, count, W, K, bias, z);
}

static void NAME(sparse_gradient)(const void *x, int stored, const int32_t *columns, ptrdiff_t count,
                                  const REAL *r, ptrdiff_t K, REAL *G) {
    if (stored == 1)
        sparse_gradient_of(x, 1, columns, count, r, K, G);
    else
        sparse_gradient_of(x, 2, columns, count, r, K, G);
}

#undef SPARSE_VECTORS
#undef sparse_value
#undef sparse_scores_tile
#undef sparse_gradient_tile
#undef sparse_scores_few
#undef sparse_gradient_few
#undef EACH_FEW
#undef EACH_TILE
#undef sparse_scores_of
#undef sparse_gradient_of
#undef SCORES_TILE
#undef SCORES_FEW
#undef GRADIENT_TILE
#undef GRADIENT_FEW
