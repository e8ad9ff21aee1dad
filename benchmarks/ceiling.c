/* What a processor can do at best: reading memory, and multiply-adds in registers. Compiled by ceiling.py, once per
 * instruction set; VECTOR_BYTES is its width. */
#include <stddef.h>
#include <stdint.h>

#define WORDS ((ptrdiff_t)(VECTOR_BYTES / sizeof(uint64_t)))
#define READS 8 /* vectors on their way at one time */

typedef uint64_t words __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

/* The sum of n words: every byte is read once. */
uint64_t read_words(const uint64_t *x, ptrdiff_t n) {
    words sums[READS] = {0};
    ptrdiff_t i = 0;
    for (; i + READS * WORDS <= n; i += READS * WORDS)
#pragma GCC unroll 8
        for (int v = 0; v < READS; v++) sums[v] += *(const words *)(x + i + v * WORDS);
    uint64_t total = 0;
    for (int v = 0; v < READS; v++)
        for (int l = 0; l < WORDS; l++) total += sums[v][l];
    for (; i < n; i++) total += x[i];
    return total;
}

/* Turns of CHAINS vectors, each a multiply-add that waits for its last; so many that none has to. With two
 * constants they fit into 16 registers. */
#define CHAINS 12
#define MULTIPLY_ADD(real)                                                                  \
    typedef real vector_##real __attribute__((vector_size(VECTOR_BYTES)));                  \
    real multiply_add_##real(ptrdiff_t turns, real factor, real term) {                     \
        const vector_##real a = factor - (vector_##real){0}, b = term - (vector_##real){0}; \
        vector_##real sums[CHAINS];                                                         \
        for (int c = 0; c < CHAINS; c++) sums[c] = a * (real)c; /* equal chains would be one */ \
        for (ptrdiff_t turn = 0; turn < turns; turn++)                                      \
            _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) {                     \
                sums[c] = sums[c] * a + b;                                                  \
            }                                                                               \
        real total = 0;                                                                     \
        for (int c = 0; c < CHAINS; c++)                                                    \
            for (size_t l = 0; l < VECTOR_BYTES / sizeof(real); l++) total += sums[c][l];   \
        return total;                                                                       \
    }
MULTIPLY_ADD(float)
MULTIPLY_ADD(double)
