/* The kernels of fastlr/_kernels, called from C: every buffer is an allocation of its own that ends with its last
 * number, so that a sanitizer or valgrind sees a step beyond. Results are compared with plain loops.
 * Built and run by run.py:  harness baseline | avx2 | avx512 | team */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd.h"
#include "team.h"

static long n_checks, n_failed;
static const char *kernel = "";

#define COUNT(array) ((ptrdiff_t)(sizeof(array) / sizeof((array)[0])))

/* ---- numbers and room ------------------------------------------------------------------------------ */
static uint64_t state = 88172645463325252u;

static uint64_t random_bits(void) { /* Marsaglia's xorshift */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
static ptrdiff_t random_below(ptrdiff_t n) { return (ptrdiff_t)(random_bits() % (uint64_t)n); }
static double random_real(void) { return (double)(int64_t)random_bits() / 9223372036854775808.0; } /* -1 to 1 */

/* What a number may be when a fit has gone wrong; for both types, as float cuts doubles to these, too. */
static int wild = 0;
static double some_value(void) {
    static const double wilds[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-42, -1e-42, 5e-324, 3e38, -3e38, 1e308, -1e308};
    return wild && random_below(3) == 0 ? wilds[random_below(COUNT(wilds))] : random_real();
}

/* Room for `count` values that ends with the allocation. What lies beyond is watched by the sanitizer or valgrind;
 * with GUARD it is a page that nothing may touch, which also catches masked loads, unknown to both. */
static void *taken[4096];
static int n_taken;

#ifdef GUARD
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
static void touched(int signal) { /* only what is safe in a signal's handler */
    static const char told[] = ": memory beyond a buffer was touched\n";
    const ssize_t done = write(2, kernel, strlen(kernel)) + write(2, told, sizeof told - 1);
    _exit(done < 0 ? 1 : signal);
}
#define PAGE ((size_t)1 << 16) /* the largest page that systems use, so that guards start with one */
#define SLOT (4 * PAGE)
static void *room(ptrdiff_t count, ptrdiff_t size) {
    if (n_taken == COUNT(taken) || (size_t)(count * size) > SLOT - PAGE) abort();
    if (taken[n_taken] == NULL) { /* kept for the next case */
        char *slot = mmap(NULL, SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slot == MAP_FAILED || mprotect(slot + SLOT - PAGE, PAGE, PROT_NONE)) abort();
        taken[n_taken] = slot;
    }
    return (char *)taken[n_taken++] + SLOT - PAGE - count * size;
}
static void give_back(void) { n_taken = 0; }
#else
/* It begins some values after the start of the allocation: where no vector is aligned. */
static void *room(ptrdiff_t count, ptrdiff_t size) {
    const ptrdiff_t before = size * random_below(4);
    char *at = malloc((size_t)(before + count * size));
    if (at == NULL || n_taken == COUNT(taken)) abort();
    taken[n_taken++] = at;
    return at + before;
}
static void give_back(void) {
    while (n_taken) free(taken[--n_taken]);
}
#endif

/* Wild numbers have no twin: what is left to see is that nothing is touched that should not be. */
static void same(long double found, long double expected, long double error) {
    n_checks++;
    if (wild || fabsl(found - expected) <= error) return;
    if (n_failed++ < 20) printf("%s: %.17Lg instead of %.17Lg +- %.3Lg\n", kernel, found, expected, error);
}
static void holds(int truth, const char *what) {
    n_checks++;
    if (!truth && n_failed++ < 20) printf("%s: %s\n", kernel, what);
}

static ptrdiff_t padded(ptrdiff_t n) { return (n + FASTLR_PAD - 1) / FASTLR_PAD * FASTLR_PAD; }

/* Lengths around the vectors and tiles of every instruction set. */
static const ptrdiff_t LENGTHS[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 130};
static const ptrdiff_t CLASSES[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 33, 64, 71};
static const ptrdiff_t ROWS[] = {0, 1, 3, 4, 5, 8, 9, 16, 17, 23, 40};
#define EACH(name, of) for (ptrdiff_t at_##name = 0, name; at_##name < COUNT(of) && (name = of[at_##name], 1); at_##name++)

static int32_t *labels(ptrdiff_t B, ptrdiff_t n_classes) {
    int32_t *y = room(padded(B), sizeof *y);
    memset(y, 0, (size_t)padded(B) * sizeof *y);
    for (ptrdiff_t i = 0; i < B; i++) y[i] = (int32_t)random_below(n_classes);
    return y;
}

static long double positive(long double x) { return x > 0 ? x : 0; }

#define REAL float
#define EPS FLT_EPSILON
#define TINY FLT_MIN
#define TABLE fastlr_simd_float
#define NAME(name) name##_float
#include "kernels.h"
#undef REAL
#undef EPS
#undef TINY
#undef TABLE
#undef NAME
#define REAL double
#define EPS DBL_EPSILON
#define TINY DBL_MIN
#define TABLE fastlr_simd_double
#define NAME(name) name##_double
#include "kernels.h"

/* ---- threads --------------------------------------------------------------------------------------- */
#define ROUNDS 200
typedef struct {
    team_barrier barrier;
    team_counter counter;
    int size;                   /* written by member 0, read by all after they have met */
    int done[TEAM_MAX];         /* pieces dealt out to each member */
    long part[2][TEAM_MAX];     /* by turns, as in slices.pyx: one meeting a round is enough */
    long sum[TEAM_MAX];
} team_work;

static void work(void *shared, int member, int size) {
    team_work *w = shared;
    if (member == 0) w->size = size;
    while (team_next(&w->counter) < ROUNDS) w->done[member]++;
    for (int round = 0; round < ROUNDS; round++) {
        w->part[round & 1][member] = round + member;
        team_meet(&w->barrier, size);
        for (int other = 0; other < w->size; other++) w->sum[member] += w->part[round & 1][other];
    }
}

static void check_team(void) {
    static const int SIZES[] = {1, 2, 3, 5, 8, TEAM_MAX, TEAM_MAX + 1};
    kernel = "team";
    EACH(n, SIZES) {
        team_work *w = calloc(1, sizeof *w);
        long pieces = 0, sum = 0;
        team_run(n, work, w);
        holds(w->size >= 1 && w->size <= n && w->size <= TEAM_MAX, "the size of the team");
        for (int member = 0; member < w->size; member++) pieces += w->done[member], sum += member * ROUNDS;
        sum += (long)w->size * ROUNDS * (ROUNDS - 1) / 2;
        holds(pieces == ROUNDS, "every piece is dealt out once");
        for (int member = 0; member < w->size; member++) holds(w->sum[member] == sum, "what all wrote is read by all");
        free(w);
    }
}

/* ---- levels ---------------------------------------------------------------------------------------- */
static int run_level(const char *level) {
    if (!strcmp(level, "team")) check_team();
    else if (!strcmp(level, "baseline"))
        check_all_float(&fastlr_baseline_float), check_all_double(&fastlr_baseline_double);
#if defined(__x86_64__)
    else if (!strcmp(level, "avx2")) {
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
        check_all_float(&fastlr_avx2_float), check_all_double(&fastlr_avx2_double);
    } else if (!strcmp(level, "avx512")) {
        if (!__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq") ||
            !__builtin_cpu_supports("avx512bw"))
            return 0;
        check_all_float(&fastlr_avx512_float), check_all_double(&fastlr_avx512_double);
    }
#endif
    else
        return 0;
    return 1;
}

int main(int count, char **words) {
#ifdef GUARD
    signal(SIGSEGV, touched);
#endif
    for (int i = 1; i < count; i++) {
        n_checks = 0;
        if (run_level(words[i]))
            printf("%s: %ld checks\n", words[i], n_checks);
        else
            printf("%s: not here\n", words[i]);
    }
    if (n_failed) printf("%ld FAILED\n", n_failed);
    return n_failed != 0;
}
