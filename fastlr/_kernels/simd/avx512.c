#if defined(__x86_64__) /* macOS may compile for two processors at once */
#define ISA avx512
#define VECTOR_BYTES 64
#include "isa.h"
#endif
