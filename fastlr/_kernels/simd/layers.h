/* What networks need beside scores, softmax and gradients, for one REAL type; included by body.h. B rows of a
 * block, J units of a layer, K of the next; activations A are J x B, as Z is K x B. */

/* ---- a layer --------------------------------------------------------------------------------------
 * A vector of rows meets up to TILE_UNITS units at a time, whose sums stay in registers. */
#define TILE_UNITS 8

#define layer_tile NAME(layer_tile)
INLINE void layer_tile(const int n_units, const REAL *W, ptrdiff_t to_unit, ptrdiff_t to_input, const REAL *bias,
                       const REAL *A, ptrdiff_t lda, ptrdiff_t J, REAL *Z, ptrdiff_t ldz) {
    vec sums[TILE_UNITS];
UNROLL
    for (int k = 0; k < n_units; k++) sums[k] = splat(bias ? bias[k] : 0);
    for (ptrdiff_t j = 0; j < J; j++) {
        const vec a = load(A + j * lda);
UNROLL
        for (int k = 0; k < n_units; k++) sums[k] += a * W[k * to_unit + j * to_input];
    }
UNROLL
    for (int k = 0; k < n_units; k++) store(Z + k * ldz, sums[k]);
}

static void NAME(layer)(const REAL *W, ptrdiff_t to_unit, ptrdiff_t to_input, const REAL *bias, const REAL *A,
                        ptrdiff_t lda, ptrdiff_t B, ptrdiff_t J, ptrdiff_t K, REAL *Z, ptrdiff_t ldz) {
    for (ptrdiff_t k = 0; k < K; k += TILE_UNITS) {
        const REAL *weights = W + k * to_unit, *biases = bias ? bias + k : NULL;
        for (ptrdiff_t i = 0; i < B; i += LANES) {
            const REAL *a = A + i;
            REAL *z = Z + k * ldz + i;
#define TILE(n)                                                                        \
    case n:                                                                            \
        layer_tile(n, weights, to_unit, to_input, biases, a, lda, J, z, ldz);          \
        break;
            switch (MIN(TILE_UNITS, K - k)) {
                TILE(1)
                TILE(2)
                TILE(3)
                TILE(4)
                TILE(5)
                TILE(6)
                TILE(7)
                TILE(8)
            }
#undef TILE
        }
    }
}

/* ---- activations: 0 max(z, 0), 1 the logistic function, 2 tanh -------------------------------------- */
#define activation_of NAME(activation_of)
INLINE vec activation_of(const int kind, vec z) {
    const vec zero = {0}, one = splat(1);
    if (kind == 0) return larger(zero, z); /* in this order not a number stays so */
    const vec away = larger(-z, z), e = exp_of(kind == 1 ? -away : (REAL)-2 * away);
    const ivec positive = z >= zero, number = z == z;
    const vec large = kind == 1 ? one / (one + e) : (one - e) / (one + e), small = kind == 1 ? e / (one + e) : -large;
    return chosen(number, chosen(positive, large, small), z); /* exp_of would make a number of what is none */
}

#define slope_of NAME(slope_of)
INLINE vec slope_of(const int kind, vec a) {
    const vec one = splat(1);
    if (kind == 0) return (vec)((a > (vec){0}) & (ivec)one);
    return kind == 1 ? a * (one - a) : one - a * a;
}

#define EACH_KIND(loop) \
    switch (kind) {     \
        case 0:         \
            loop(0) break; \
        case 1:         \
            loop(1) break; \
        default:        \
            loop(2)     \
    }

static void NAME(activate)(int kind, REAL *Z, ptrdiff_t ldz, ptrdiff_t B, ptrdiff_t J) {
#define LOOP(of)                                             \
    for (ptrdiff_t j = 0; j < J; j++)                        \
        for (ptrdiff_t i = 0; i < B; i += LANES)             \
            store(Z + j * ldz + i, activation_of(of, load(Z + j * ldz + i)));
    EACH_KIND(LOOP)
#undef LOOP
}

static void NAME(slope)(int kind, const REAL *A, REAL *D, ptrdiff_t ld, ptrdiff_t B, ptrdiff_t J) {
#define LOOP(of)                                             \
    for (ptrdiff_t j = 0; j < J; j++)                        \
        for (ptrdiff_t i = j * ld; i < j * ld + B; i += LANES) \
            store(D + i, load(D + i) * slope_of(of, load(A + i)));
    EACH_KIND(LOOP)
#undef LOOP
}

/* ---- a step with momentum --------------------------------------------------------------------------- */
static void NAME(momentum_step)(REAL *w, REAL *v, const REAL *G, REAL scale, REAL c, const REAL *shift,
                                const REAL *metric, REAL decay, REAL eta, REAL momentum, int nesterov,
                                ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const ptrdiff_t left = MIN(LANES, n - j);
        const int whole = left == LANES;
#define READ(p) (whole ? load((p) + j) : load_first((p) + j, left))
#define WRITE(p, x) (whole ? store((p) + j, x) : store_first((p) + j, x, left))
        const vec weight = READ(w), g = READ(metric) * (scale * READ(G) - c * READ(shift)) + decay * weight;
        const vec velocity = momentum * READ(v) - eta * g;
        WRITE(v, velocity);
        WRITE(w, weight + (nesterov ? momentum * velocity - eta * g : velocity));
#undef READ
#undef WRITE
    }
}

#undef TILE_UNITS
#undef layer_tile
#undef activation_of
#undef slope_of
#undef EACH_KIND
