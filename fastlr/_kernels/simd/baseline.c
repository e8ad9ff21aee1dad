#define ISA baseline
#define VECTOR_BYTES 16
#include "isa.h"
