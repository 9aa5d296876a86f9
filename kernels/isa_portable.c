// What is written once over vec.h, in plain C.
#include "vec.h"

#include "elementwise.h"
#include "gelu.h"
#include "head.h"
#include "unpack.h"

const struct isa isa_portable = {
    &gemm_portable, unpack, expand, softmax, softcap, rms_norm, layer_norm, rope, swiglu, gelu, gelu_tanh, geglu, add, add_rows,
    head,
};
