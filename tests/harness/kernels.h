/* Every function of simd.h's table against plain loops, for one REAL; included by harness.c. */

static REAL *NAME(reals)(ptrdiff_t n) {
    REAL *x = room(n, sizeof *x);
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (REAL)some_value();
    return x;
}

/* Weights of rows, some of them zero, padded by zeros. */
static REAL *NAME(weights)(ptrdiff_t B) {
    REAL *s = NAME(reals)(padded(B));
    for (ptrdiff_t i = 0; i < padded(B); i++) s[i] = i < B && random_below(4) ? (REAL)fabs(random_real()) : 0;
    return s;
}

/* K x B scores from -3 to 3; what is in the lanes beyond B must not matter. */
static REAL *NAME(block)(ptrdiff_t K, ptrdiff_t B) {
    const ptrdiff_t ld = padded(B);
    REAL *Z = NAME(reals)(K * ld);
    for (ptrdiff_t k = 0; k < K; k++)
        for (ptrdiff_t i = 0; i < ld; i++) Z[k * ld + i] = i < B ? 3 * Z[k * ld + i] : (REAL)NAN;
    return Z;
}

static REAL *NAME(copy)(const REAL *x, ptrdiff_t n) {
    REAL *y = room(n, sizeof *y);
    if (n) memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

static const REAL **NAME(rows)(ptrdiff_t B, ptrdiff_t d) {
    const REAL **rows = room(B, sizeof *rows);
    for (ptrdiff_t i = 0; i < B; i++) rows[i] = NAME(reals)(d);
    return rows;
}

/* ---- products with rows ---------------------------------------------------------------------------- */
static void NAME(check_scores)(const TABLE *f, ptrdiff_t B, ptrdiff_t K, ptrdiff_t d) {
    const ptrdiff_t ldw = d + random_below(3), ldz = B + random_below(3);
    const REAL **rows = NAME(rows)(B, d), *bias = NAME(reals)(K), *W = NAME(reals)((K - 1) * ldw + d);
    REAL *Z = NAME(reals)(B ? (K - 1) * ldz + B : 0), *alone = room(K, sizeof *alone);
    f->scores(rows, W, ldw, bias, B, K, d, Z, ldz);
    for (ptrdiff_t i = 0; i < B; i++) {
        f->scores(rows + i, W, ldw, bias, 1, K, d, alone, 1);
        for (ptrdiff_t k = 0; k < K; k++) {
            long double z = bias[k], size = fabsl(z);
            for (ptrdiff_t j = 0; j < d; j++) {
                z += (long double)W[k * ldw + j] * rows[i][j];
                size += fabsl((long double)W[k * ldw + j] * rows[i][j]);
            }
            same(Z[k * ldz + i], z, (long double)(d + 2) * EPS * size);
            same(alone[k], Z[k * ldz + i], 0); /* a row's score does not depend on its place */
        }
    }
}

static void NAME(check_accumulate)(const TABLE *f, ptrdiff_t B, ptrdiff_t K, ptrdiff_t d) {
    const ptrdiff_t ldg = d + random_below(3), ldr = B + random_below(3), length = (K - 1) * ldg + d;
    const REAL **rows = NAME(rows)(B, d), *R = NAME(reals)(B ? (K - 1) * ldr + B : 0);
    REAL *before = NAME(reals)(length);
    for (int beta = 0; beta < 2; beta++) {
        REAL *G = NAME(copy)(before, length);
        /* The next block may be this one: its rows are only asked for. */
        f->accumulate(rows, R, ldr, B, K, d, beta ? (const char *const *)rows : NULL, sizeof(REAL), beta, G, ldg);
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t j = 0; j < ldg && k * ldg + j < length; j++) {
                const long double old = before[k * ldg + j];
                long double g = beta || j >= d ? old : 0, size = fabsl(g); /* what is beyond d stays */
                for (ptrdiff_t i = 0; i < B && j < d; i++) {
                    g += (long double)R[k * ldr + i] * rows[i][j];
                    size += fabsl((long double)R[k * ldr + i] * rows[i][j]);
                }
                same(G[k * ldg + j], g, j < d ? (long double)(B + 2) * EPS * size : 0);
            }
    }
}

/* Rows of bytes give what the same numbers as REAL give, to the last bit. */
static void NAME(check_bytes)(const TABLE *f, ptrdiff_t B, ptrdiff_t K, ptrdiff_t d) {
    if (f->scores_uint8 == NULL) return;
    const uint8_t **bytes = room(B, sizeof *bytes);
    const REAL **rows = room(B, sizeof *rows), *bias = NAME(reals)(K), *W = NAME(reals)(K * d), *R = NAME(reals)(K * B);
    for (ptrdiff_t i = 0; i < B; i++) {
        uint8_t *narrow = room(d, 1);
        REAL *wide = room(d, sizeof *wide);
        for (ptrdiff_t j = 0; j < d; j++) wide[j] = narrow[j] = (uint8_t)random_below(256);
        bytes[i] = narrow, rows[i] = wide;
    }
    REAL *Z = room(K * B, sizeof *Z), *expected = room(K * B, sizeof *expected);
    f->scores_uint8(bytes, W, d, bias, B, K, d, Z, B);
    f->scores(rows, W, d, bias, B, K, d, expected, B);
    for (ptrdiff_t e = 0; e < K * B; e++) same(Z[e], expected[e], 0);
    for (int beta = 0; beta < 2; beta++) {
        REAL *G = NAME(reals)(K * d), *twin = NAME(copy)(G, K * d);
        f->accumulate_uint8(bytes, R, B, B, K, d, beta ? (const char *const *)bytes : NULL, 1, beta, G, d);
        f->accumulate(rows, R, B, B, K, d, NULL, sizeof(REAL), beta, twin, d);
        for (ptrdiff_t e = 0; e < K * d; e++) same(G[e], twin[e], 0);
    }
}

static void NAME(check_sparse)(const TABLE *f, ptrdiff_t count, ptrdiff_t K, ptrdiff_t d) {
    const REAL *bias = NAME(reals)(K), *r = NAME(reals)(K), *W = NAME(reals)(d * K), *before = NAME(reals)(d * K);
    for (int stored = 1; stored < 3; stored++) {
        REAL *z = NAME(reals)(K), *G = NAME(copy)(before, d * K);
        float *floats = room(stored == 1 ? count : 0, sizeof *floats);
        double *doubles = room(stored == 2 ? count : 0, sizeof *doubles);
        int32_t *columns = room(count, sizeof *columns);
        for (ptrdiff_t e = 0; e < count; e++) {
            columns[e] = (int32_t)(e ? random_below(d) : d - 1); /* the last one ends W and G */
            if (stored == 1) floats[e] = (float)some_value();
            else doubles[e] = some_value();
        }
        const void *x = stored == 1 ? (const void *)floats : (const void *)doubles;
        f->sparse_scores(x, stored, columns, count, W, K, bias, z);
        f->sparse_gradient(x, stored, columns, count, r, K, G);
        for (ptrdiff_t k = 0; k < K; k++) {
            long double sum = bias[k], size = fabsl(sum);
            for (ptrdiff_t e = 0; e < count; e++) {
                const long double value = stored == 1 ? (REAL)floats[e] : (REAL)doubles[e];
                sum += value * W[columns[e] * K + k];
                size += fabsl(value * W[columns[e] * K + k]);
            }
            same(z[k], sum, (long double)(count + 2) * EPS * size);
            for (ptrdiff_t j = 0; j < d; j++) {
                long double g = before[j * K + k], size_g = fabsl(g);
                for (ptrdiff_t e = 0; e < count; e++)
                    if (columns[e] == j) {
                        const long double value = stored == 1 ? (REAL)floats[e] : (REAL)doubles[e];
                        g += value * r[k];
                        size_g += fabsl(value * r[k]);
                    }
                same(G[j * K + k], g, (long double)(count + 2) * EPS * size_g);
            }
        }
    }
}

/* ---- scores of a block ----------------------------------------------------------------------------- */
static void NAME(check_softmax)(const TABLE *f, ptrdiff_t B, ptrdiff_t K) {
    const ptrdiff_t ld = padded(B);
    const int32_t *y = labels(B, K);
    const REAL *s = NAME(weights)(B), *before = NAME(block)(K, B);
    double *mass = room(K, sizeof *mass);
    REAL *Z = NAME(copy)(before, K * ld), *again = NAME(copy)(before, K * ld);
    long double loss = 0, masses[128] = {0};
    memset(mass, 0, (size_t)K * sizeof *mass);
    const double found = f->softmax(Z, ld, y, s, B, K, mass);
    f->softmax(again, ld, y, s, B, K, NULL);
    for (ptrdiff_t i = 0; i < B; i++) {
        long double top = before[i], total = 0;
        for (ptrdiff_t k = 1; k < K; k++) top = before[k * ld + i] > top ? before[k * ld + i] : top;
        for (ptrdiff_t k = 0; k < K; k++) total += expl(before[k * ld + i] - top);
        loss += s[i] * (logl(total) + top - before[y[i] * ld + i]);
        for (ptrdiff_t k = 0; k < K; k++) {
            const long double p = s[i] * expl(before[k * ld + i] - top) / total;
            masses[k] += p;
            same(Z[k * ld + i], p - (y[i] == k ? s[i] : 0), (long double)(K + 16) * EPS * s[i]);
            same(again[k * ld + i], Z[k * ld + i], 0);
        }
    }
    same(found, loss, (long double)(K + 16) * EPS * B * 8);
    for (ptrdiff_t k = 0; k < K; k++) same(mass[k], masses[k], (long double)(K + 16) * EPS * B);

    /* The first of the highest scores, and sums along rows. */
    kernel = "correct";
    long double right = 0;
    for (ptrdiff_t i = 0; i < B; i++) {
        ptrdiff_t best = 0;
        for (ptrdiff_t k = 1; k < K; k++)
            if (before[k * ld + i] > before[best * ld + i]) best = k;
        if (K == 1) best = before[i] > 0; /* a single score is that of class 1 */
        right += best == y[i] ? s[i] : 0;
    }
    same(f->correct(before, ld, y, s, B, K), right, (long double)B * DBL_EPSILON);
    kernel = "add_sums";
    memset(mass, 0, (size_t)K * sizeof *mass);
    f->add_sums(before, ld, B, K, mass);
    for (ptrdiff_t k = 0; k < K; k++) {
        long double sum = 0;
        for (ptrdiff_t i = 0; i < B; i++) sum += before[k * ld + i];
        same(mass[k], sum, (long double)(B + 2) * EPS * 3 * B);
    }
    kernel = "softmax";
}

static void NAME(check_two_classes)(const TABLE *f, ptrdiff_t B) {
    const ptrdiff_t ld = padded(B);
    const int32_t *y = labels(B, 2);
    const REAL *s = NAME(weights)(B), *before = NAME(block)(1, B);
    for (int hinge = 0; hinge < 2; hinge++) {
        kernel = hinge ? "squared_hinge" : "logistic";
        REAL *Z = NAME(copy)(before, ld), *again = NAME(copy)(before, ld);
        double mass = 0, found = (hinge ? f->squared_hinge : f->logistic)(Z, ld, y, s, B, 1, &mass);
        long double loss = 0, sum = 0;
        (hinge ? f->squared_hinge : f->logistic)(again, ld, y, s, B, 1, NULL);
        for (ptrdiff_t i = 0; i < B; i++) {
            const long double z = before[i], t = y[i] ? 1 : -1, lack = positive(1 - t * z), p = 1 / (1 + expl(-z));
            const long double r = hinge ? -2 * s[i] * t * lack : s[i] * (p - y[i]);
            loss += s[i] * (hinge ? lack * lack : log1pl(expl(-t * z)));
            sum += hinge ? r : s[i] * p;
            same(Z[i], r, 16 * (long double)EPS * s[i] * (2 + fabsl(z)));
            same(again[i], Z[i], 0);
            if (hinge && isnan(before[i])) holds(isnan(Z[i]), "a score that is not a number stays one");
        }
        same(found, loss, 200 * (long double)EPS * B);
        same(mass, sum, 200 * (long double)EPS * B);
    }
}

static void NAME(check_entropy)(const TABLE *f, ptrdiff_t B, ptrdiff_t K) {
    const ptrdiff_t ld = padded(B), n_classes = K == 1 ? 2 : K;
    const int32_t *y = labels(B, n_classes);
    const REAL *s = NAME(weights)(B), *before = NAME(block)(K, B);
    double *shrink = room(n_classes, sizeof *shrink), *receive = room(n_classes, sizeof *receive);
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        shrink[k] = k ? 1 : 0.25;
        receive[k] = k ? 1.0 / (double)(n_classes - 1) : 0;
    }
    for (double mix = 0; mix <= 1; mix += 0.5) {
        const double found = f->entropy(NAME(copy)(before, K * ld), ld, y, s, B, K, shrink, receive, mix);
        long double expected = 0;
        for (ptrdiff_t i = 0; i < B; i++) {
            long double total = K == 1 ? 1 : 0, given = 0;
#define SCORE(k) (K == 1 ? ((k) ? before[i] : 0) : before[(k) * ld + i])
            for (ptrdiff_t k = K == 1; k < n_classes; k++) total += expl(SCORE(k));
            for (ptrdiff_t k = 0; k < n_classes; k++) given += (1 - shrink[k]) * expl(SCORE(k)) / total;
            for (ptrdiff_t k = 0; k < n_classes; k++) {
                const long double q =
                    mix * (shrink[k] * expl(SCORE(k)) / total + receive[k] * given) + (k == y[i] ? 1 - mix : 0);
                expected -= q > 0 ? s[i] * q * logl(q) : 0;
            }
#undef SCORE
        }
        same(found, expected, (long double)(n_classes + 16) * 16 * EPS * B);
    }
}

/* ---- steps ----------------------------------------------------------------------------------------- */
static void NAME(check_steps)(const TABLE *f, ptrdiff_t n) {
    const REAL *G = NAME(reals)(n), *shift = NAME(reals)(n), *step = NAME(reals)(n), *keep = NAME(reals)(n);
    const REAL *before = NAME(reals)(n), *before_A = NAME(reals)(n), m = (REAL)0.3, c = (REAL)-0.7;
    REAL *cut = NAME(reals)(n);
    for (ptrdiff_t j = 0; j < n; j++) cut[j] = (REAL)fabs(cut[j]);
    for (int with = 0; with < 2; with++) {
        kernel = "prox_step";
        REAL *w = NAME(copy)(before, n), *A = NAME(copy)(before_A, n), *v = NAME(copy)(before_A, n);
        f->prox_step(w, with ? A : NULL, G, m, c, shift, step, cut, keep, n);
        for (ptrdiff_t j = 0; j < n; j++) {
            const long double g = (long double)m * G[j] - (long double)c * shift[j] + (with ? before_A[j] : 0);
            const long double x = before[j] - step[j] * g;
            same(w[j], keep[j] * copysignl(positive(fabsl(x) - cut[j]), x), 16 * (long double)EPS);
            same(A[j], before_A[j] + (with ? (long double)G[j] : 0), 2 * (long double)EPS);
            if (isnan(before[j])) holds(isnan(w[j]), "a weight that is not a number stays one");
        }
        kernel = "momentum_step";
        w = NAME(copy)(before, n);
        f->momentum_step(w, v, G, m, c, shift, step, (REAL)0.1, (REAL)0.5, (REAL)0.9, with, n);
        for (ptrdiff_t j = 0; j < n; j++) {
            const long double g = step[j] * ((long double)m * G[j] - (long double)c * shift[j]) + (REAL)0.1 * before[j];
            const long double velocity = (REAL)0.9 * (long double)before_A[j] - (REAL)0.5 * g;
            const long double move = with ? (REAL)0.9 * velocity - (REAL)0.5 * g : velocity;
            same(v[j], velocity, 16 * (long double)EPS);
            same(w[j], before[j] + move, 16 * (long double)EPS);
        }
    }
    kernel = "add_scaled";
    double *y = room(n, sizeof *y);
    for (ptrdiff_t j = 0; j < n; j++) y[j] = (double)j;
    f->add_scaled(0.7, G, n, y);
    for (ptrdiff_t j = 0; j < n; j++) same(y[j], j + 0.7 * (long double)G[j], (long double)(n + 1) * DBL_EPSILON);
    kernel = "exp";
    REAL *x = NAME(reals)(n), *e = NAME(reals)(n);
    for (ptrdiff_t j = 0; j < n; j++) x[j] = -(REAL)fabs(x[j]) * (REAL)(j % 2 ? 1 : 90);
    f->exp(x, n, e);
    /* Below the smallest normal number: zero. */
    for (ptrdiff_t j = 0; j < n; j++) same(e[j], expl(x[j]), 2 * (long double)EPS * expl(x[j]) + 2 * (long double)TINY);
}

static void NAME(check_moments)(const TABLE *f, ptrdiff_t B, ptrdiff_t d) {
    const REAL **rows = NAME(rows)(B, d), *s = NAME(weights)(B), *origin = NAME(reals)(d);
    REAL *sum = NAME(reals)(d), *square = NAME(reals)(d), *low = NAME(reals)(d), *high = NAME(reals)(d);
    for (ptrdiff_t j = 0; j < d; j++) sum[j] = square[j] = 0, low[j] = (REAL)INFINITY, high[j] = (REAL)-INFINITY;
    f->moments(rows, s, origin, B, d, sum, square, low, high);
    for (ptrdiff_t j = 0; j < d; j++) {
        long double first = 0, second = 0;
        REAL least = (REAL)INFINITY, most = (REAL)-INFINITY;
        for (ptrdiff_t i = 0; i < B; i++) {
            const long double away = (long double)rows[i][j] - origin[j];
            if (s[i] == 0) continue;
            first += s[i] * away, second += s[i] * away * away;
            least = rows[i][j] < least ? rows[i][j] : least;
            most = rows[i][j] > most ? rows[i][j] : most;
        }
        same(sum[j], first, (long double)(B + 4) * 4 * EPS * B);
        same(square[j], second, (long double)(B + 4) * 8 * EPS * B);
        holds(wild || (low[j] == least && high[j] == most), "extremes");
    }
}

static void NAME(check_packers)(const TABLE *f, ptrdiff_t n, ptrdiff_t stride) {
    const ptrdiff_t size = n ? (n - 1) * labs(stride) + 1 : 0, first = stride < 0 ? size - 1 : 0;
    uint8_t *bytes = room(size, 1);
    float *floats = room(size, sizeof *floats);
    double *doubles = room(size, sizeof *doubles);
    REAL *out = NAME(reals)(n);
    for (ptrdiff_t e = 0; e < size; e++)
        bytes[e] = (uint8_t)random_bits(), floats[e] = (float)some_value(), doubles[e] = some_value();
    if (n == 0) return f->pack_uint8(bytes, stride, 0, out);
    f->pack_uint8(bytes + first, stride, n, out);
    for (ptrdiff_t j = 0; j < n; j++) same(out[j], bytes[first + j * stride], 0);
    f->pack_float(floats + first, stride, n, out);
    for (ptrdiff_t j = 0; j < n; j++) same(out[j], (REAL)floats[first + j * stride], 0);
    f->pack_double(doubles + first, stride, n, out);
    for (ptrdiff_t j = 0; j < n; j++) same(out[j], (REAL)doubles[first + j * stride], 0);
}

/* ---- networks -------------------------------------------------------------------------------------- */
static void NAME(check_layers)(const TABLE *f, ptrdiff_t B, ptrdiff_t J, ptrdiff_t K) {
    const ptrdiff_t ld = padded(B);
    const REAL *W = NAME(reals)(K * J), *bias = NAME(reals)(K), *A = NAME(block)(J, B);
    REAL *Z = NAME(block)(K, B);
    kernel = "layer";
    for (int transposed = 0; transposed < 2; transposed++) {
        const ptrdiff_t to_unit = transposed ? 1 : J, to_input = transposed ? K : 1;
        f->layer(W, to_unit, to_input, transposed ? NULL : bias, A, ld, B, J, K, Z, ld);
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < B; i++) {
                long double z = transposed ? 0 : bias[k], size = fabsl(z);
                for (ptrdiff_t j = 0; j < J; j++) {
                    z += (long double)W[k * to_unit + j * to_input] * A[j * ld + i];
                    size += fabsl((long double)W[k * to_unit + j * to_input] * A[j * ld + i]);
                }
                same(Z[k * ld + i], z, (long double)(J + 2) * EPS * size);
            }
    }
    for (int kind = 0; kind < 3; kind++) {
        REAL *H = NAME(copy)(Z, K * ld), *D = NAME(block)(K, B), *before = NAME(copy)(D, K * ld);
        f->activate(kind, H, ld, B, K);
        f->slope(kind, H, D, ld, B, K);
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t i = 0; i < B; i++) {
                const long double z = Z[k * ld + i], h = H[k * ld + i], d = before[k * ld + i];
                const long double a = kind == 0 ? positive(z) : kind == 1 ? 1 / (1 + expl(-z)) : tanhl(z);
                const long double slope = kind == 0 ? h > 0 : kind == 1 ? h * (1 - h) : 1 - h * h;
                kernel = "activate";
                same(h, a, 8 * (long double)EPS);
                if (isnan(z)) holds(isnan(H[k * ld + i]), "what is not a number stays so");
                kernel = "slope";
                same(D[k * ld + i], d * slope, 16 * (long double)EPS);
            }
    }
}

/* ---- all ------------------------------------------------------------------------------------------- */
static void NAME(check_all)(const TABLE *f) {
    for (wild = 0; wild < 2; wild++) {
        EACH(d, LENGTHS) {
            EACH(B, ROWS) {
                /* Classes pass by from case to case: every number of them meets every length. */
                const ptrdiff_t K = CLASSES[(at_B + at_d) % COUNT(CLASSES)];
                kernel = "scores", NAME(check_scores)(f, B, K, d), give_back();
                kernel = "accumulate", NAME(check_accumulate)(f, B, K, d), give_back();
                kernel = "bytes", NAME(check_bytes)(f, B, K, d), give_back();
                kernel = "moments", NAME(check_moments)(f, B, d), give_back();
                NAME(check_layers)(f, B, d, K), give_back();
            }
            NAME(check_steps)(f, d), give_back();
            kernel = "packers";
            for (ptrdiff_t stride = -2; stride < 4; stride++) NAME(check_packers)(f, d, stride), give_back();
        }
        EACH(K, CLASSES) {
            EACH(B, ROWS) {
                kernel = "softmax", NAME(check_softmax)(f, B, K), give_back();
                kernel = "entropy", NAME(check_entropy)(f, B, K), give_back();
            }
            kernel = "sparse";
            for (ptrdiff_t count = 0; count < 12; count += 3) NAME(check_sparse)(f, count, K, 5), give_back();
        }
        EACH(B, LENGTHS) { NAME(check_two_classes)(f, B), give_back(); }
    }
}
