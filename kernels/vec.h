// vec: 16 floats, the unit in which elementwise.h, head.h and unpack.h are written once for all instruction sets: one
// AVX-512 register, two AVX2 registers, four NEON registers, or an array. The lanes and the order of every reduction are the
// same in all four, so all but the portable results are bit-identical; those differ only where v_fma rounds twice.
//
// A file defines ISA_AVX512, ISA_AVX2, ISA_NEON or none, and includes this header once.
#include <math.h>
#include <string.h>

#include "kernels.h"

enum { LANES = 16 };

#if defined(ISA_AVX512)
#include "vec_avx512.h"
#elif defined(ISA_AVX2)
#include "vec_avx2.h"
#elif defined(ISA_NEON)
#include "vec_neon.h"
#else
#include "vec_portable.h"
#endif

// The first n < LANES floats, the rest filled.
FN vec v_load_first(const float *x, int64_t n, float fill) {
  float lanes[LANES];
  for (int i = 0; i < LANES; i++) lanes[i] = i < n ? x[i] : fill;
  return v_load(lanes);
}

FN void v_store_first(float *x, vec v, int64_t n) {
  float lanes[LANES];
  v_store(lanes, v);
  for (int i = 0; i < LANES; i++)
    if (i < n) x[i] = lanes[i];
}

// x[i] to x[i + 15], cut off at n.
FN vec v_load_at(const float *x, int64_t i, int64_t n, float fill) {
  return n - i >= LANES ? v_load(x + i) : v_load_first(x + i, n - i, fill);
}

FN void v_store_at(float *x, int64_t i, int64_t n, vec v) {
  if (n - i >= LANES)
    v_store(x + i, v);
  else
    v_store_first(x + i, v, n - i);
}

// Pairwise, lane i with lane i + 8, then 4, 2, 1.
FN float v_sum(vec v) {
  float lanes[LANES];
  v_store(lanes, v);
  for (int step = LANES / 2; step > 0; step /= 2)
    for (int i = 0; i < step; i++) lanes[i] += lanes[i + step];
  return lanes[0];
}

// The largest lane; NaN lanes may be passed over.
FN float v_highest(vec v) {
  float lanes[LANES];
  v_store(lanes, v);
  for (int step = LANES / 2; step > 0; step /= 2)
    for (int i = 0; i < step; i++) lanes[i] = lanes[i] > lanes[i + step] ? lanes[i] : lanes[i + step];
  return lanes[0];
}

FN double d_sum(vecd v) {
  double lanes[LANES];
  d_store(lanes, v);
  for (int step = LANES / 2; step > 0; step /= 2)
    for (int i = 0; i < step; i++) lanes[i] += lanes[i + step];
  return lanes[0];
}

FN vecd d_mul(vecd a, vecd b) { return d_fma(a, b, d_zero()); }

// e^x = 2^n · v_exp_parts, n an integer. Cody and Waite's reduction: the high part of ln 2 has ten bits, so that n times it
// is exact even without FMA; then a polynomial of degree 6, minimax on |r| <= ln2/2 with relative error 4e-9.
FN vec v_exp_parts(vec x, vec *n) {
  *n = v_round(v_mul(x, v_set(1.44269504f)));
  vec r = v_fma(*n, v_set(-0.693359375f), x);
  r = v_fma(*n, v_set(2.12194440e-4f), r);
  vec p = v_set(0.0013814539f);
  p = v_fma(p, r, v_set(0.0083687454f));
  p = v_fma(p, r, v_set(0.041668389f));
  p = v_fma(p, r, v_set(0.16666521f));
  p = v_fma(p, r, v_set(0.49999994f));
  return v_add(v_fma(v_mul(r, r), p, r), v_set(1));
}

// e^x to about one unit in the last place; 0 below -104, infinity above 89, NaN for NaN.
FN vec v_exp(vec x) {
  x = v_max(v_set(-104), v_min(v_set(89), x));  // in this order NaN passes
  vec n;
  const vec p = v_exp_parts(x, &n);
  return v_scale(p, n);
}

FN vec v_abs(vec x) { return v_max(x, v_sub(v_set(0), x)); }

// tanh x to about two units in the last place. Below 0.6 a polynomial, minimax with relative error 3e-9, since 1 - e^-2x
// would cancel there.
FN vec v_tanh(vec x) {
  const vec square = v_mul(x, x), magnitude = v_abs(x);
  vec p = v_set(-0.0058951583f);
  p = v_fma(p, square, v_set(0.020795972f));
  p = v_fma(p, square, v_set(-0.053783830f));
  p = v_fma(p, square, v_set(0.13331924f));
  p = v_fma(p, square, v_set(-0.33333298f));
  const vec near = v_fma(v_mul(p, square), x, x);
  const vec far = v_sub(v_set(1), v_div(v_set(2), v_add(v_exp(v_add(magnitude, magnitude)), v_set(1))));
  const vec signed_far = v_select(m_lt(x, v_set(0)), v_sub(v_set(0), far), far);
  return v_select(m_lt(magnitude, v_set(0.6f)), near, signed_far);
}
