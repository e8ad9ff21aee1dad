/* Compiles body.h for float and double at one instruction set. The including file defines ISA (a name)
 * and VECTOR_BYTES; its compiler flags choose the instructions. */
#if !defined(__GNUC__) && !defined(__clang__)
#error "fastlr's kernels use GCC vector extensions: build with GCC or Clang (on Windows, clang-cl)"
#endif
/* GCC's bug 54412: vectors of 32 bytes go to a stack that Windows aligns to 16, and the program ends. */
#if defined(_WIN32) && !defined(__clang__) && VECTOR_BYTES > 16
#error "GCC misplaces wide vectors on Windows: build fastlr with Clang (clang-cl)"
#endif
#include <math.h>
#include <string.h>

#include "simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Stands before loops whose number of turns, 16 at most, is known when they are compiled: sums that are to stay in
 * registers need them unrolled. Clang ignores GCC's word for it, and was three times slower. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))
#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define REAL float
#define TABLE fastlr_simd_float
#define INTEGER int32_t
#define NAME(function) PASTE(function, ISA, float)
#define MANTISSA 23
#include "body.h"
#undef REAL
#undef INTEGER
#undef NAME
#undef MANTISSA
#undef TABLE

#define REAL double
#define TABLE fastlr_simd_double
#define INTEGER int64_t
#define NAME(function) PASTE(function, ISA, double)
#define MANTISSA 52
#define IS_DOUBLE
#include "body.h"
