#if defined(__x86_64__) /* macOS may compile for two processors at once */
#define ISA avx2
#define VECTOR_BYTES 32
#include "isa.h"
#endif
