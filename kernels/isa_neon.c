// What is written once over vec.h, for NEON.
#if defined(__aarch64__)
#define ISA_NEON
#include "vec.h"

#include "elementwise.h"
#include "gelu.h"
#include "head.h"
#include "unpack.h"

const struct isa isa_neon = {
    &gemm_neon, unpack, expand, softmax, softcap, rms_norm, layer_norm, rope, swiglu, gelu, gelu_tanh, geglu, add, add_rows,
    head,
};
#endif
