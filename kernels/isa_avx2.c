// What is written once over vec.h, for AVX2 with FMA.
#if defined(__x86_64__)
#define ISA_AVX2
#include "vec.h"

#include "elementwise.h"
#include "gelu.h"
#include "head.h"
#include "unpack.h"

const struct isa isa_avx2 = {
    &gemm_avx2, unpack, expand, softmax, softcap, rms_norm, layer_norm, rope, swiglu, gelu, gelu_tanh, geglu, add, add_rows,
    head,
};
#endif
