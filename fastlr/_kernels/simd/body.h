/* The loops, written once for REAL = float or double and vectors of VECTOR_BYTES. See simd.h for shapes. */

#define vec NAME(vec)
#define uvec NAME(uvec)
#define ivec NAME(ivec)
typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL uvec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef INTEGER ivec __attribute__((vector_size(VECTOR_BYTES)));

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

#define load NAME(load)
#define store NAME(store)
#define from_bytes NAME(from_bytes)
#define row_vector NAME(row_vector)
#define fused NAME(fused)
#define row_first NAME(row_first)
#define load_first NAME(load_first)
#define store_first NAME(store_first)
#define splat NAME(splat)
#define sum_of NAME(sum_of)
#define sums_of NAME(sums_of)
#define chosen NAME(chosen)
#define larger NAME(larger)
#define exp_of NAME(exp_of)

INLINE vec load(const REAL *p) { return *(const uvec *)p; }
INLINE void store(REAL *p, vec v) { *(uvec *)p = v; }
INLINE vec splat(REAL x) { return x - (vec){0}; }

/* a b + c, rounded once where the instruction set can. Left to itself, a compiler may fuse in some tiles and not in
 * others, where a branch comes between: a row's score would depend on its place. */
INLINE vec fused(vec a, vec b, vec c) {
#if VECTOR_BYTES == 64 && defined(IS_DOUBLE)
    return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif VECTOR_BYTES == 64
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VECTOR_BYTES == 32 && defined(__FMA__) && defined(IS_DOUBLE)
    return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif VECTOR_BYTES == 32 && defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* The first n < LANES elements; the others read as zero and are not touched in memory. */
INLINE vec load_first(const REAL *p, ptrdiff_t n) {
#if VECTOR_BYTES == 64 && defined(IS_DOUBLE)
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif VECTOR_BYTES == 64
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif VECTOR_BYTES == 32 && defined(__AVX2__) && defined(IS_DOUBLE)
    const __m256i lanes = _mm256_setr_epi64x(0, 1, 2, 3);
    return (vec)_mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lanes));
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (vec)_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lanes));
#else
    vec v = {0};
    for (ptrdiff_t j = 0; j < LANES - 1; j++)
        if (j < n) v[j] = p[j];
    return v;
#endif
}

/* A vector of bytes. Where it takes single instructions, compilers do not find them by themselves. */
#if VECTOR_BYTES == 64 && defined(IS_DOUBLE)
#define READS_BYTES
INLINE vec from_bytes(const uint8_t *p) {
    return (vec)_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
#elif VECTOR_BYTES == 64
#define READS_BYTES
INLINE vec from_bytes(const uint8_t *p) {
    return (vec)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
#elif VECTOR_BYTES == 32 && defined(__AVX2__) && defined(IS_DOUBLE)
#define READS_BYTES
INLINE vec from_bytes(const uint8_t *p) {
    int four;
    memcpy(&four, p, sizeof four);
    return (vec)_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
}
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
#define READS_BYTES
INLINE vec from_bytes(const uint8_t *p) {
    return (vec)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
#endif

/* A vector of a row, from feature j on: REAL, or bytes that are converted in registers. */
INLINE vec row_vector(const void *row, ptrdiff_t j, const int bytes) {
#ifdef READS_BYTES
    if (bytes) return from_bytes((const uint8_t *)row + j);
#endif
    (void)bytes;
    return load((const REAL *)row + j);
}

/* Its first n < LANES features; the others read as zero and are not touched in memory. */
INLINE vec row_first(const void *row, ptrdiff_t j, ptrdiff_t n, const int bytes) {
#ifdef READS_BYTES
    if (bytes) {
        uint8_t few[LANES] = {0};
        for (ptrdiff_t l = 0; l < LANES - 1; l++)
            if (l < n) few[l] = ((const uint8_t *)row)[j + l];
        return from_bytes(few);
    }
#endif
    (void)bytes;
    return load_first((const REAL *)row + j, n);
}

INLINE void store_first(REAL *p, vec v, ptrdiff_t n) {
#if VECTOR_BYTES == 64 && defined(IS_DOUBLE)
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif VECTOR_BYTES == 64
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    for (ptrdiff_t j = 0; j < LANES - 1; j++)
        if (j < n) p[j] = v[j];
#endif
}

INLINE REAL sum_of(vec v) {
#if VECTOR_BYTES == 64 && defined(IS_DOUBLE)
    return _mm512_reduce_add_pd((__m512d)v);
#elif VECTOR_BYTES == 64
    return _mm512_reduce_add_ps((__m512)v);
#else
    REAL lanes[LANES];
    memcpy(lanes, &v, sizeof v);
    for (ptrdiff_t half = LANES / 2; half > 0; half /= 2)
        for (ptrdiff_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    return lanes[0];
#endif
}

/* start + the sum of each of four vectors; the first n, 1 or 4, go to out. Neighbours are added in all four at
 * once, then neighbours of these sums, and so on: a third of the cost of one vector after the other. A vector that
 * comes alone is added up in the same order, so that a row has the same score wherever it stands in a block. */
INLINE void sums_of(const vec *v, const int n, REAL start, REAL *out) {
#if VECTOR_BYTES == 64 && defined(IS_DOUBLE)
#define PAIRS(a, b) (_mm512_unpacklo_pd(a, b) + _mm512_unpackhi_pd(a, b))
#define HALVES(a, b) (_mm512_shuffle_f64x2(a, b, 0x88) + _mm512_shuffle_f64x2(a, b, 0xdd))
    const __m512d two = HALVES(PAIRS((__m512d)v[0], (__m512d)v[1]), PAIRS((__m512d)v[2], (__m512d)v[3]));
    const __m256d sums = _mm512_castpd512_pd256(HALVES(two, two)) + start;
    if (n == 4) _mm256_storeu_pd(out, sums);
#elif VECTOR_BYTES == 64
#define PAIRS(a, b) (_mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b))
#define QUARTERS(a, b)                                                                            \
    (_mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b))) +             \
     _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b))))
    const __m512 four = QUARTERS(PAIRS((__m512)v[0], (__m512)v[1]), PAIRS((__m512)v[2], (__m512)v[3]));
    const __m256 two = _mm512_castps512_ps256(four) + _mm512_extractf32x8_ps(four, 1);
    const __m128 sums = _mm256_castps256_ps128(two) + _mm256_extractf128_ps(two, 1) + start;
    if (n == 4) _mm_storeu_ps(out, sums);
#elif VECTOR_BYTES == 32 && defined(__AVX__) && defined(IS_DOUBLE)
#define PAIRS(a, b) _mm256_hadd_pd(a, b)
    const __m256d low = PAIRS((__m256d)v[0], (__m256d)v[1]), high = PAIRS((__m256d)v[2], (__m256d)v[3]);
    const __m256d sums =
        _mm256_permute2f128_pd(low, high, 0x20) + _mm256_permute2f128_pd(low, high, 0x31) + start;
    if (n == 4) _mm256_storeu_pd(out, sums);
#elif VECTOR_BYTES == 32 && defined(__AVX__)
#define PAIRS(a, b) _mm256_hadd_ps(a, b)
    const __m256 four = PAIRS(PAIRS((__m256)v[0], (__m256)v[1]), PAIRS((__m256)v[2], (__m256)v[3]));
    const __m128 sums = _mm256_castps256_ps128(four) + _mm256_extractf128_ps(four, 1) + start;
    if (n == 4) _mm_storeu_ps(out, sums);
#else
    REAL sums[4];
    for (int i = 0; i < 4; i++) sums[i] = start + sum_of(v[i]);
    if (n == 4) memcpy(out, sums, sizeof sums);
#endif
    if (n == 1) out[0] = sums[0];
#undef PAIRS
#undef HALVES
#undef QUARTERS
}

/* a where the mask says so, b elsewhere. */
INLINE vec chosen(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }

INLINE vec larger(vec a, vec b) { return chosen(a > b, a, b); }

/* ---- exp ------------------------------------------------------------------------------------------
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2)/2, exp(r) by its Taylor polynomial: the first
 * term left out is below half an ulp. Adding 1.5 * 2^mantissa rounds x / ln 2 to an integer and leaves n
 * in the low bits, ready to be shifted into the exponent. Below the smallest normal number: 0. */
#if defined(IS_DOUBLE)
#define EXP_LOWEST -708.0
#define EXP_SHIFTER 6755399441055744.0
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define EXP_TERMS 13
#else
#define EXP_LOWEST -87.0f
#define EXP_SHIFTER 12582912.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define EXP_TERMS 7
#endif

INLINE vec exp_of(vec x) {
    static const REAL inverse_factorial[] = {
        1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
        1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    const ivec normal = x >= splat((REAL)EXP_LOWEST);
    const vec clipped = larger(x, splat((REAL)EXP_LOWEST));
    const vec shifted = clipped * (REAL)1.44269504088896340736 + (REAL)EXP_SHIFTER;
    const vec n = shifted - (REAL)EXP_SHIFTER;
    const vec r = (clipped - n * (REAL)LN2_HIGH) - n * (REAL)LN2_LOW;
    vec p = splat(inverse_factorial[EXP_TERMS]);
UNROLL
    for (int term = EXP_TERMS - 1; term >= 0; term--) p = p * r + inverse_factorial[term];
    return (vec)(((ivec)p + ((ivec)shifted << MANTISSA)) & normal);
}

static void NAME(exp)(const REAL *x, ptrdiff_t n, REAL *out) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) store(out + i, exp_of(load(x + i)));
    if (i < n) store_first(out + i, exp_of(load_first(x + i, n - i)), n - i);
}

/* ---- log ------------------------------------------------------------------------------------------
 * log(2^e m) = e ln 2 + 2 atanh((m - 1) / (m + 1)), sqrt(1/2) <= m < sqrt(2), by the odd series of atanh: the
 * first term left out is below half an ulp. For normal positive x. */
#if defined(IS_DOUBLE)
#define LOG_TERMS 10
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcd
#else
#define LOG_TERMS 5
#define SQRT_HALF_BITS 0x3f3504f3
#endif

#define log_of NAME(log_of)
INLINE vec log_of(vec x) {
    const vec shifter = splat((REAL)EXP_SHIFTER);
    /* The exponent of x / sqrt(1/2), and x brought to it. */
    const ivec exponent = ((ivec)x - SQRT_HALF_BITS) >> MANTISSA;
    const vec m = (vec)((ivec)x - (exponent << MANTISSA));
    const vec e = (vec)((ivec)shifter + exponent) - shifter;
    const vec f = (m - 1) / (m + 1), s = f * f;
    vec series = splat((REAL)1 / (2 * LOG_TERMS + 1));
UNROLL
    for (int term = LOG_TERMS - 1; term >= 0; term--) series = series * s + (REAL)1 / (2 * term + 1);
    return e * (REAL)LN2_HIGH + (2 * f * series + e * (REAL)LN2_LOW);
}

/* log(1 + x), 0 <= x <= 1. What rounding takes from 1 + x is known exactly: the slope of log brings it back. */
#define log1p_of NAME(log1p_of)
INLINE vec log1p_of(vec x) {
    const vec sum = (REAL)1 + x;
    return log_of(sum) + (x - (sum - 1)) / sum;
}

/* ---- scores ---------------------------------------------------------------------------------------
 * A tile of rows x classes dot products stays in registers while the features stream by: each vector of
 * x serves all classes of the tile and each vector of w all its rows. */
#if VECTOR_BYTES == 64
#define TILE_ROWS 4 /* 4 x 5 sums + 4 rows + 1 weight <= 32 registers */
#define TILE_CLASSES 5
#else
#define TILE_ROWS 4 /* 4 x 3 sums + 3 weights + 1 row <= 16 registers */
#define TILE_CLASSES 3
#endif

#define score_tile NAME(score_tile)
INLINE void score_tile(const int bytes, const int n_rows, const int n_classes, const void *const *rows,
                       const void *const *ahead, const REAL *W, ptrdiff_t ldw, const REAL *bias, ptrdiff_t d,
                       REAL *Z, ptrdiff_t ldz) {
    vec sums[2 * TILE_ROWS][TILE_CLASSES];
    ptrdiff_t j = 0;
UNROLL
    for (int r = 0; r < 2 * TILE_ROWS; r++)
UNROLL
        for (int c = 0; c < n_classes; c++) sums[r][c] = (vec){0};

    for (; j + LANES <= d; j += LANES) {
        vec w[TILE_CLASSES];
        if (ahead)
UNROLL
            for (int r = 0; r < n_rows; r++) __builtin_prefetch((const REAL *)ahead[r] + j, 0, 3);
UNROLL
        for (int c = 0; c < n_classes; c++) w[c] = load(W + c * ldw + j);
UNROLL
        for (int r = 0; r < n_rows; r++) {
            const vec x = row_vector(rows[r], j, bytes);
UNROLL
            for (int c = 0; c < n_classes; c++) sums[r][c] = fused(x, w[c], sums[r][c]);
        }
    }
    if (j < d) {
        vec w[TILE_CLASSES];
UNROLL
        for (int c = 0; c < n_classes; c++) w[c] = load_first(W + c * ldw + j, d - j);
UNROLL
        for (int r = 0; r < n_rows; r++) {
            const vec x = row_first(rows[r], j, d - j, bytes);
UNROLL
            for (int c = 0; c < n_classes; c++) sums[r][c] = fused(x, w[c], sums[r][c]);
        }
    }
UNROLL
    for (int c = 0; c < n_classes; c++)
UNROLL
        for (int r = 0; r < n_rows; r += TILE_ROWS) {
            const vec four[TILE_ROWS] = {sums[r][c], sums[r + 1][c], sums[r + 2][c], sums[r + 3][c]};
            sums_of(four, n_rows > 1 ? TILE_ROWS : 1, bias[c], Z + c * ldz + r);
        }
}

/* One call per tile shape, so that every shape is compiled with its sizes known. */
#define score_rows NAME(score_rows)
INLINE void score_rows(const int bytes, const int n_rows, ptrdiff_t n_classes, const void *const *rows,
                       const void *const *ahead, const REAL *W, ptrdiff_t ldw, const REAL *bias, ptrdiff_t d,
                       REAL *Z, ptrdiff_t ldz) {
#define TILE(c)                                                             \
    case c:                                                                 \
        score_tile(bytes, n_rows, c, rows, ahead, W, ldw, bias, d, Z, ldz); \
        break;
    switch (n_classes) {
        TILE(1)
        TILE(2)
        TILE(3)
#if TILE_CLASSES > 3
        TILE(4)
        TILE(5)
#endif
    }
#undef TILE
}

#define scores_of NAME(scores_of)
INLINE void scores_of(const int bytes, const void *const *rows, const REAL *W, ptrdiff_t ldw, const REAL *bias,
                      ptrdiff_t B, ptrdiff_t K, ptrdiff_t d, REAL *Z, ptrdiff_t ldz) {
    /* Rows outside, classes inside: four rows stay in the first-level cache for all their classes. The first
     * group of classes waits for them to come from memory, which is then idle for the others: the last group
     * asks for the next four rows. Groups are as even as they can be: 4 = 2 + 2, not 3 + 1. */
    const ptrdiff_t n_groups = (K + TILE_CLASSES - 1) / TILE_CLASSES;
    ptrdiff_t i = 0;
    /* Four sums would wait for each other: a multiply-add takes four cycles, and two start in each. */
    if (K == 1)
        for (; i + 2 * TILE_ROWS <= B; i += 2 * TILE_ROWS)
            score_tile(bytes, 2 * TILE_ROWS, 1, rows + i, NULL, W, ldw, bias, d, Z + i, ldz);
    for (; i + TILE_ROWS <= B; i += TILE_ROWS)
        for (ptrdiff_t g = 0; g < n_groups; g++) {
            const ptrdiff_t k = g * K / n_groups, end = (g + 1) * K / n_groups;
            const void *const *ahead =
                !bytes && n_groups > 1 && end == K && i + 2 * TILE_ROWS <= B ? rows + i + TILE_ROWS : NULL;
            score_rows(bytes, TILE_ROWS, end - k, rows + i, ahead, W + k * ldw, ldw, bias + k, d, Z + k * ldz + i,
                       ldz);
        }
    for (; i < B; i++)
        for (ptrdiff_t g = 0; g < n_groups; g++) {
            const ptrdiff_t k = g * K / n_groups, end = (g + 1) * K / n_groups;
            score_rows(bytes, 1, end - k, rows + i, NULL, W + k * ldw, ldw, bias + k, d, Z + k * ldz + i, ldz);
        }
}

static void NAME(scores)(const REAL *const *rows, const REAL *W, ptrdiff_t ldw, const REAL *bias,
                         ptrdiff_t B, ptrdiff_t K, ptrdiff_t d, REAL *Z, ptrdiff_t ldz) {
    scores_of(0, (const void *const *)rows, W, ldw, bias, B, K, d, Z, ldz);
}

#ifdef READS_BYTES
static void NAME(scores_uint8)(const uint8_t *const *rows, const REAL *W, ptrdiff_t ldw, const REAL *bias,
                               ptrdiff_t B, ptrdiff_t K, ptrdiff_t d, REAL *Z, ptrdiff_t ldz) {
    scores_of(1, (const void *const *)rows, W, ldw, bias, B, K, d, Z, ldz);
}
#endif

/* ---- accumulate -----------------------------------------------------------------------------------
 * A tile of classes x features of G stays in registers while the rows stream by. */
#define TILE_VECTORS 4 /* 5 x 4 sums + 4 x + 1 r <= 32 registers, or 3 x 4 + 3 + 1 <= 16 */

#define gradient_tile NAME(gradient_tile)
INLINE void gradient_tile(const int bytes, const int n_classes, const int n_vectors, const ptrdiff_t n_last,
                          const void *const *rows, ptrdiff_t j, const REAL *R, ptrdiff_t ldr, ptrdiff_t B,
                          const char *const *next, ptrdiff_t size, int beta, REAL *G, ptrdiff_t ldg) {
    /* n_last > 0: the tile is one vector of which only n_last features exist. */
    vec sums[TILE_CLASSES][2 * TILE_VECTORS];
UNROLL
    for (int c = 0; c < n_classes; c++)
UNROLL
        for (int v = 0; v < n_vectors; v++) {
            const REAL *at = G + c * ldg + j + v * LANES;
            sums[c][v] = !beta ? (vec){0} : n_last ? load_first(at, n_last) : load(at);
        }
    for (ptrdiff_t i = 0; i < B; i++) {
        vec r[TILE_CLASSES];
        if (next)
            for (ptrdiff_t byte = 0; byte < n_vectors * LANES * size; byte += 64)
                __builtin_prefetch(next[i] + j * size + byte, 0, 2);
UNROLL
        for (int c = 0; c < n_classes; c++) r[c] = splat(R[c * ldr + i]);
UNROLL
        for (int v = 0; v < n_vectors; v++) {
            const vec x = n_last ? row_first(rows[i], j, n_last, bytes) : row_vector(rows[i], j + v * LANES, bytes);
UNROLL
            for (int c = 0; c < n_classes; c++) sums[c][v] = fused(r[c], x, sums[c][v]);
        }
    }
UNROLL
    for (int c = 0; c < n_classes; c++)
UNROLL
        for (int v = 0; v < n_vectors; v++) {
            REAL *at = G + c * ldg + j + v * LANES;
            if (n_last)
                store_first(at, sums[c][v], n_last);
            else
                store(at, sums[c][v]);
        }
}

#define gradient_columns NAME(gradient_columns)
INLINE void gradient_columns(const int bytes, ptrdiff_t n_classes, const int n_vectors, const ptrdiff_t n_last,
                             const void *const *rows, ptrdiff_t j, const REAL *R, ptrdiff_t ldr,
                             ptrdiff_t B, const char *const *next, ptrdiff_t size, int beta, REAL *G,
                             ptrdiff_t ldg) {
#define TILE(c)                                                                                          \
    case c:                                                                                              \
        gradient_tile(bytes, c, n_vectors, n_last, rows, j, R, ldr, B, next, size, beta, G, ldg);        \
        break;
    switch (n_classes) {
        TILE(1)
        TILE(2)
        TILE(3)
#if TILE_CLASSES > 3
        TILE(4)
        TILE(5)
#endif
    }
#undef TILE
}

#define accumulate_of NAME(accumulate_of)
INLINE void accumulate_of(const int bytes, const void *const *rows, const REAL *R, ptrdiff_t ldr, ptrdiff_t B,
                          ptrdiff_t K, ptrdiff_t d, const char *const *next, ptrdiff_t size, int beta, REAL *G,
                          ptrdiff_t ldg) {
    /* Features outside, classes inside: the slice of B x TILE_VECTORS vectors serves all classes from
     * the first-level cache. The first group of classes asks for the same features of the next block. */
    const ptrdiff_t n_groups = (K + TILE_CLASSES - 1) / TILE_CLASSES;
    ptrdiff_t j = 0;
#define EACH_GROUP(n_vectors, n_last)                                                                   \
    for (ptrdiff_t g = 0; g < n_groups; g++) {                                                          \
        const ptrdiff_t k = g * K / n_groups, end = (g + 1) * K / n_groups;                             \
        gradient_columns(bytes, end - k, n_vectors, n_last, rows, j, R + k * ldr, ldr, B,               \
                         g ? NULL : next, size, beta, G + k * ldg, ldg);                                \
    }
    if (K == 1) /* as for scores */
        for (; j + 2 * TILE_VECTORS * LANES <= d; j += 2 * TILE_VECTORS * LANES)
            gradient_tile(bytes, 1, 2 * TILE_VECTORS, 0, rows, j, R, ldr, B, next, size, beta, G, ldg);
    for (; j + TILE_VECTORS * LANES <= d; j += TILE_VECTORS * LANES) EACH_GROUP(TILE_VECTORS, 0)
    for (; j + LANES <= d; j += LANES) EACH_GROUP(1, 0)
    if (j < d) EACH_GROUP(1, d - j)
#undef EACH_GROUP
}

static void NAME(accumulate)(const REAL *const *rows, const REAL *R, ptrdiff_t ldr, ptrdiff_t B,
                             ptrdiff_t K, ptrdiff_t d, const char *const *next, ptrdiff_t size, int beta,
                             REAL *G, ptrdiff_t ldg) {
    accumulate_of(0, (const void *const *)rows, R, ldr, B, K, d, next, size, beta, G, ldg);
}

#ifdef READS_BYTES
static void NAME(accumulate_uint8)(const uint8_t *const *rows, const REAL *R, ptrdiff_t ldr, ptrdiff_t B,
                                   ptrdiff_t K, ptrdiff_t d, const char *const *next, ptrdiff_t size, int beta,
                                   REAL *G, ptrdiff_t ldg) {
    accumulate_of(1, (const void *const *)rows, R, ldr, B, K, d, next, size, beta, G, ldg);
}
#endif

/* ---- losses on scores ------------------------------------------------------------------------------ */
static double NAME(softmax)(REAL *Z, ptrdiff_t ldz, const int32_t *y, const REAL *s, ptrdiff_t B,
                            ptrdiff_t K, double *mass) {
    double loss = 0.0;
    for (ptrdiff_t i = 0; i < B; i += LANES) {
        const ptrdiff_t n = MIN(LANES, B - i);
        REAL label_score[LANES], top[LANES], log_total[LANES];
        vec highest = load(Z + i), sum = {0};
        for (ptrdiff_t k = 1; k < K; k++) highest = larger(load(Z + k * ldz + i), highest);
        if (mass)
            for (ptrdiff_t l = 0; l < n; l++) label_score[l] = Z[y[i + l] * ldz + i + l];
        for (ptrdiff_t k = 0; k < K; k++) {
            const vec e = exp_of(load(Z + k * ldz + i) - highest);
            store(Z + k * ldz + i, e);
            sum += e;
        }
        const vec scale = load(s + i) / sum;
        for (ptrdiff_t k = 0; k < K; k++) store(Z + k * ldz + i, load(Z + k * ldz + i) * scale);
        if (mass) {
            store(top, highest);
            store(log_total, log_of(sum));
            for (ptrdiff_t l = 0; l < n; l++)
                loss += (double)s[i + l] * ((double)log_total[l] + ((double)top[l] - label_score[l]));
        }
    }
    if (mass)
        for (ptrdiff_t k = 0; k < K; k++) {
            const REAL *p = Z + k * ldz;
            double part[8] = {0}; /* independent sums: one alone would wait for each addition */
            ptrdiff_t i = 0;
            for (; i + 8 <= B; i += 8)
                for (ptrdiff_t l = 0; l < 8; l++) part[l] += (double)p[i + l];
            for (; i < B; i++) part[0] += (double)p[i];
            for (ptrdiff_t l = 0; l < 8; l++) mass[k] += part[l];
        }
    for (ptrdiff_t i = 0; i < B; i++) Z[y[i] * ldz + i] -= s[i];
    return loss;
}

static double NAME(logistic)(REAL *Z, ptrdiff_t ldz, const int32_t *y, const REAL *s, ptrdiff_t B,
                             ptrdiff_t K, double *mass) {
    double loss = 0.0, sum = 0.0;
    (void)K, (void)ldz;
    for (ptrdiff_t i = 0; i < B; i += LANES) {
        const ptrdiff_t n = MIN(LANES, B - i);
        REAL tail[LANES], score[LANES];
        const vec z = load(Z + i), away = larger(z, -z);
        /* sigmoid(|z|) = 1 / (1 + e), sigmoid(-|z|) = e / (1 + e), e = exp(-|z|): no overflow, no loss. */
        const vec e = exp_of(-away);
        const ivec positive = z >= (vec){0};
        const vec numerator = chosen(positive, splat(1), e);
        const vec p = load(s + i) * numerator / ((REAL)1 + e);
        store(score, z);
        if (mass) store(tail, log1p_of(e));
        store(Z + i, p);
        if (mass)
            for (ptrdiff_t l = 0; l < n; l++) {
                const double signed_score = y[i + l] ? -(double)score[l] : (double)score[l];
                loss += (double)s[i + l] * ((signed_score > 0 ? signed_score : 0.0) + (double)tail[l]);
                sum += (double)Z[i + l];
            }
    }
    if (mass) mass[0] += sum;
    for (ptrdiff_t i = 0; i < B; i++)
        if (y[i]) Z[i] -= s[i];
    return loss;
}

static double NAME(squared_hinge)(REAL *Z, ptrdiff_t ldz, const int32_t *y, const REAL *s, ptrdiff_t B,
                                  ptrdiff_t K, double *mass) {
    double loss = 0.0, sum = 0.0;
    (void)K, (void)ldz;
    for (ptrdiff_t i = 0; i < B; i += LANES) {
        const ptrdiff_t n = MIN(LANES, B - i);
        REAL sign[LANES], lack[LANES];
        for (ptrdiff_t l = 0; l < LANES; l++) sign[l] = y[i + l] ? (REAL)1 : (REAL)-1;
        /* In this order a score that is not a number stays one. */
        const vec t = load(sign), short_of = larger((vec){0}, (REAL)1 - t * load(Z + i));
        store(lack, short_of);
        store(Z + i, (REAL)-2 * load(s + i) * t * short_of);
        if (mass)
            for (ptrdiff_t l = 0; l < n; l++) {
                loss += (double)s[i + l] * (double)lack[l] * (double)lack[l];
                sum += (double)Z[i + l];
            }
    }
    if (mass) mass[0] += sum;
    return loss;
}

/* ---- sums over the rows of a block ------------------------------------------------------------------ */
static double NAME(correct)(const REAL *Z, ptrdiff_t ldz, const int32_t *y, const REAL *s, ptrdiff_t B,
                            ptrdiff_t K) {
    double total = 0.0;
    for (ptrdiff_t i = 0; i < B; i += LANES) {
        REAL label[LANES], right[LANES];
        for (ptrdiff_t l = 0; l < LANES; l++) label[l] = (REAL)y[i + l];
        /* A single score is that of class 1, beside a zero. What is not a number is never the higher one. */
        vec best = K > 1 ? load(Z + i) : (vec){0}, found = {0};
        for (ptrdiff_t k = K > 1; k < K; k++) {
            const vec z = load(Z + k * ldz + i);
            const ivec higher = z > best;
            best = chosen(higher, z, best);
            found = chosen(higher, splat((REAL)(K > 1 ? k : 1)), found);
        }
        store(right, (vec)((found == load(label)) & (ivec)load(s + i)));
        for (ptrdiff_t l = 0; l < MIN(LANES, B - i); l++) total += (double)right[l];
    }
    return total;
}

static void NAME(add_sums)(const REAL *R, ptrdiff_t ldr, ptrdiff_t B, ptrdiff_t K, double *sums) {
    for (ptrdiff_t k = 0; k < K; k++) {
        const REAL *r = R + k * ldr;
        vec part[2] = {{0}, {0}}; /* independent sums: one alone would wait for each addition */
        ptrdiff_t i = 0;
        for (; i + 2 * LANES <= B; i += 2 * LANES) {
            part[0] += load(r + i);
            part[1] += load(r + i + LANES);
        }
        if (i + LANES <= B) part[0] += load(r + i), i += LANES;
        if (i < B) part[1] += load_first(r + i, B - i);
        sums[k] += (double)sum_of(part[0] + part[1]);
    }
}

/* ---- entropy ---------------------------------------------------------------------------------------- */
#define entropy_term NAME(entropy_term)
INLINE vec entropy_term(vec p, vec given, REAL shrink, REAL receive, REAL mix, vec labels, REAL k) {
    const vec label = (vec)((ivec)splat(1 - mix) & (labels == splat(k)));
    const vec q = mix * (p * shrink + given * receive) + label;
    /* Where q is zero or nearly so, q log q is zero or nearly so. */
    return -q * log_of(larger(q, splat((REAL)1e-37)));
}

static double NAME(entropy)(REAL *Z, ptrdiff_t ldz, const int32_t *y, const REAL *s, ptrdiff_t B, ptrdiff_t K,
                            const double *shrink, const double *receive, double mix) {
    double total = 0.0;
    for (ptrdiff_t i = 0; i < B; i += LANES) {
        REAL label[LANES];
        for (ptrdiff_t l = 0; l < LANES; l++) label[l] = (REAL)y[i + l];
        const vec labels = load(label), one = splat(1);
        vec sum = {0}, given = {0}, entropy = {0};
        if (K == 1) {
            /* Two classes, of scores 0 and z. */
            const vec z = load(Z + i), e = exp_of(-larger(z, -z));
            const ivec positive = z >= (vec){0};
            const vec large = one / (one + e), small = e / (one + e);
            const vec p1 = chosen(positive, large, small), p0 = chosen(positive, small, large);
            given = p0 * (REAL)(1 - shrink[0]) + p1 * (REAL)(1 - shrink[1]);
            entropy = entropy_term(p0, given, (REAL)shrink[0], (REAL)receive[0], (REAL)mix, labels, 0) +
                      entropy_term(p1, given, (REAL)shrink[1], (REAL)receive[1], (REAL)mix, labels, 1);
        } else {
            vec highest = load(Z + i);
            for (ptrdiff_t k = 1; k < K; k++) highest = larger(load(Z + k * ldz + i), highest);
            for (ptrdiff_t k = 0; k < K; k++) {
                const vec e = exp_of(load(Z + k * ldz + i) - highest);
                store(Z + k * ldz + i, e);
                sum += e;
                given += e * (REAL)(1 - shrink[k]);
            }
            given /= sum;
            for (ptrdiff_t k = 0; k < K; k++)
                entropy += entropy_term(load(Z + k * ldz + i) / sum, given, (REAL)shrink[k],
                                        (REAL)receive[k], (REAL)mix, labels, (REAL)k);
        }
        REAL lanes[LANES];
        store(lanes, entropy);
        for (ptrdiff_t l = 0; l < MIN(LANES, B - i); l++) total += (double)s[i + l] * (double)lanes[l];
    }
    return total;
}

/* ---- proximal step --------------------------------------------------------------------------------- */
static void NAME(prox_step)(REAL *w, REAL *A, const REAL *G, REAL m, REAL c, const REAL *shift,
                            const REAL *step, const REAL *cut, const REAL *keep, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const ptrdiff_t left = MIN(LANES, n - j);
        const int whole = left == LANES;
#define READ(p) (whole ? load((p) + j) : load_first((p) + j, left))
#define WRITE(p, v) (whole ? store((p) + j, v) : store_first((p) + j, v, left))
        const vec g_block = READ(G);
        vec g = m * g_block - c * READ(shift);
        if (A) {
            const vec average = READ(A);
            g += average;
            WRITE(A, average + g_block);
        }
        /* soft(v, t) = v - min(max(v, -t), t), which is NaN where v is */
        const vec v = READ(w) - READ(step) * g, t = READ(cut);
        const vec shrunk = v + larger(-larger(v, -t), -t);
        WRITE(w, shrunk * READ(keep));
#undef READ
#undef WRITE
    }
}

/* ---- y += a x -------------------------------------------------------------------------------------- */
static void NAME(add_scaled)(double a, const REAL *x, ptrdiff_t n, double *y) {
    for (ptrdiff_t j = 0; j < n; j++) y[j] += a * (double)x[j];
}

/* ---- moments --------------------------------------------------------------------------------------- */
static void NAME(moments)(const REAL *const *rows, const REAL *s, const REAL *origin, ptrdiff_t B,
                          ptrdiff_t d, REAL *sum, REAL *square, REAL *low, REAL *high) {
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        const ptrdiff_t n = MIN(LANES, d - j);
        const int whole = n == LANES;
#define READ(p) (whole ? load(p) : load_first(p, n))
#define WRITE(p, v) (whole ? store(p, v) : store_first(p, v, n))
        const vec start = READ(origin + j);
        vec sums = READ(sum + j), squares = READ(square + j), least = READ(low + j), most = READ(high + j);
        for (ptrdiff_t i = 0; i < B; i++) {
            if (s[i] == 0) continue; /* absent, from the extremes too */
            const vec x = READ(rows[i] + j), away = x - start, weighted = s[i] * away;
            sums += weighted;
            squares += weighted * away;
            least = -larger(-x, -least);
            most = larger(x, most);
        }
        WRITE(sum + j, sums);
        WRITE(square + j, squares);
        WRITE(low + j, least);
        WRITE(high + j, most);
#undef READ
#undef WRITE
    }
}

/* ---- packers --------------------------------------------------------------------------------------- */
#define PACKER(name, type)                                                                             \
    static void NAME(name)(const type *x, ptrdiff_t stride, ptrdiff_t n, REAL *out) {                  \
        if (stride == 1)                                                                               \
            for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)x[j];                                     \
        else                                                                                           \
            for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)x[j * stride];                            \
    }
PACKER(pack_uint8, uint8_t)
PACKER(pack_float, float)
PACKER(pack_double, double)

#include "sparse.h"
#include "layers.h"

const TABLE NAME(fastlr) = {
    NAME(scores),     NAME(accumulate), NAME(softmax),       NAME(logistic),       NAME(squared_hinge),
    NAME(entropy),    NAME(prox_step),  NAME(add_scaled),    NAME(moments),        NAME(exp),
    NAME(pack_uint8), NAME(pack_float), NAME(pack_double),   NAME(sparse_scores),  NAME(sparse_gradient),
    NAME(layer),      NAME(activate),   NAME(slope),         NAME(momentum_step),  NAME(correct),
    NAME(add_sums),
#ifdef READS_BYTES
    NAME(scores_uint8), NAME(accumulate_uint8),
#else
    NULL, NULL,
#endif
};

#undef vec
#undef uvec
#undef ivec
#undef LANES
#undef load
#undef store
#undef from_bytes
#undef READS_BYTES
#undef row_vector
#undef fused
#undef row_first
#undef load_first
#undef store_first
#undef splat
#undef sum_of
#undef sums_of
#undef chosen
#undef larger
#undef exp_of
#undef EXP_LOWEST
#undef EXP_SHIFTER
#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_TERMS
#undef TILE_ROWS
#undef TILE_CLASSES
#undef TILE_VECTORS
#undef score_tile
#undef score_rows
#undef scores_of
#undef gradient_tile
#undef gradient_columns
#undef accumulate_of
#undef log_of
#undef log1p_of
#undef LOG_TERMS
#undef SQRT_HALF_BITS
#undef entropy_term
#undef PACKER
