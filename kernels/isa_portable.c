// unpack.h, elementwise.h and head.h in plain C.
#include "vec.h"

#include "elementwise.h"
#include "head.h"
#include "unpack.h"

const struct isa isa_portable = {&gemm_portable, unpack, expand, softmax, softcap, rms_norm, rope, swiglu, add, head};
