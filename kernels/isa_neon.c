// unpack.h, elementwise.h and head.h for NEON.
#if defined(__aarch64__)
#define ISA_NEON
#include "vec.h"

#include "elementwise.h"
#include "head.h"
#include "unpack.h"

const struct isa isa_neon = {&gemm_neon, unpack, expand, softmax, softcap, rms_norm, rope, swiglu, add, head};
#endif
