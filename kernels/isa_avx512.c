// What is written once over vec.h, for AVX-512.
#if defined(__x86_64__)
#define ISA_AVX512
#include "vec.h"

#include "elementwise.h"
#include "gelu.h"
#include "head.h"
#include "unpack.h"

const struct isa isa_avx512 = {
    &gemm_avx512, unpack, expand, softmax, softcap, rms_norm, layer_norm, rope, swiglu, gelu, gelu_tanh, geglu, add, add_rows,
    head,
};
#endif
