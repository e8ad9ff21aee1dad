"""Chooses the instruction set, once, at import."""

import os

cdef extern from *:
    """
    #include "simd.h"
    #if defined(__x86_64__)
    /* The best level this processor and operating system can run: 0 baseline, 1 AVX2 + FMA, 2 AVX-512. */
    static int fastlr_best_level(void) {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
            return 2;
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
    }
    static const fastlr_simd_float *const fastlr_floats[] = {
        &fastlr_baseline_float, &fastlr_avx2_float, &fastlr_avx512_float};
    static const fastlr_simd_double *const fastlr_doubles[] = {
        &fastlr_baseline_double, &fastlr_avx2_double, &fastlr_avx512_double};
    #else
    static int fastlr_best_level(void) { return 0; }
    static const fastlr_simd_float *const fastlr_floats[] = {&fastlr_baseline_float};
    static const fastlr_simd_double *const fastlr_doubles[] = {&fastlr_baseline_double};
    #endif
    """
    int fastlr_best_level() nogil
    const SimdFloat* const fastlr_floats[]
    const SimdDouble* const fastlr_doubles[]

LEVELS = ("baseline", "avx2", "avx512")


def _chosen_level():
    """The best level, or the lower one that the environment variable FASTLR_ISA names."""
    best = fastlr_best_level()
    wanted = os.environ.get("FASTLR_ISA")
    if not wanted:
        return best
    if wanted not in LEVELS:
        raise ImportError(f"FASTLR_ISA must be one of {', '.join(LEVELS)}; found {wanted!r}.")
    if LEVELS.index(wanted) > best:
        raise ImportError(
            f"FASTLR_ISA={wanted} asks for instructions that this processor lacks; "
            f"its best level is {LEVELS[best]}."
        )
    return LEVELS.index(wanted)


cdef int _level = _chosen_level()
simd_float = fastlr_floats[_level]
simd_double = fastlr_doubles[_level]

#: Name of the instruction set in use: "baseline", "avx2" or "avx512".
ISA = LEVELS[_level]
