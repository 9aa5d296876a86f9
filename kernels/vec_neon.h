// vec.h for NEON: four registers. Every arm64 has it, so functions need no target attribute.
#include <arm_neon.h>

#define TARGET
#define FN static inline __attribute__((always_inline))

typedef struct {
  float32x4_t q0, q1, q2, q3;
} vec;
typedef struct {
  uint32x4_t q0, q1, q2, q3;
} vmask;  // all ones or all zeros per lane
typedef struct {
  float64x2_t pair[8];
} vecd;

#define EACH(op, ...) op(q0, __VA_ARGS__), op(q1, __VA_ARGS__), op(q2, __VA_ARGS__), op(q3, __VA_ARGS__)
#define ADD(q, a, b) vaddq_f32(a.q, b.q)
#define SUB(q, a, b) vsubq_f32(a.q, b.q)
#define MUL(q, a, b) vmulq_f32(a.q, b.q)
#define DIV(q, a, b) vdivq_f32(a.q, b.q)
#define FMA(q, a, b, c) vfmaq_f32(c.q, a.q, b.q)
#define MAX(q, a, b) vbslq_f32(vcgtq_f32(a.q, b.q), a.q, b.q)
#define MIN(q, a, b) vbslq_f32(vcltq_f32(a.q, b.q), a.q, b.q)
#define ROUND(q, a) vrndnq_f32(a.q)
#define SCALE(q, a, n) scale_quarter(a.q, n.q)
#define GE(q, a, b) vcgeq_f32(a.q, b.q)
#define LT(q, a, b) vcltq_f32(a.q, b.q)
#define SELECT(q, m, a, b) vbslq_f32(m.q, a.q, b.q)

FN vec v_set(float x) { return (vec){vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x)}; }
FN vec v_load(const float *x) { return (vec){vld1q_f32(x), vld1q_f32(x + 4), vld1q_f32(x + 8), vld1q_f32(x + 12)}; }
FN void v_store(float *x, vec v) {
  vst1q_f32(x, v.q0);
  vst1q_f32(x + 4, v.q1);
  vst1q_f32(x + 8, v.q2);
  vst1q_f32(x + 12, v.q3);
}
FN vec v_bytes(const int8_t *x) {
  const int8x16_t bytes = vld1q_s8(x);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  return (vec){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
               vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}
FN vec v_add(vec a, vec b) { return (vec){EACH(ADD, a, b)}; }
FN vec v_sub(vec a, vec b) { return (vec){EACH(SUB, a, b)}; }
FN vec v_mul(vec a, vec b) { return (vec){EACH(MUL, a, b)}; }
FN vec v_div(vec a, vec b) { return (vec){EACH(DIV, a, b)}; }
FN vec v_fma(vec a, vec b, vec c) { return (vec){EACH(FMA, a, b, c)}; }  // a·b + c
FN vec v_max(vec a, vec b) { return (vec){EACH(MAX, a, b)}; }            // b where either is NaN, unlike vmaxq_f32
FN vec v_min(vec a, vec b) { return (vec){EACH(MIN, a, b)}; }            // b where either is NaN
FN vec v_round(vec a) { return (vec){EACH(ROUND, a)}; }

// 2^n for a whole n from -126 to 127.
FN float32x4_t power(int32x4_t n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }

FN float32x4_t scale_quarter(float32x4_t a, float32x4_t n) {
  n = vmaxq_f32(vdupq_n_f32(-252), vminq_f32(vdupq_n_f32(254), n));
  const int32x4_t whole = vcvtnq_s32_f32(n), part = vshrq_n_s32(whole, 1);
  return vmulq_f32(vmulq_f32(a, power(part)), power(vsubq_s32(whole, part)));
}

// a · 2^n for an integer n, in two steps for the sake of denormal results.
FN vec v_scale(vec a, vec n) { return (vec){EACH(SCALE, a, n)}; }

FN vmask m_first(int64_t n) {
  const vec lane = {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}};
  const vec end = v_set((float)min64(n, LANES));
  return (vmask){EACH(LT, lane, end)};
}
FN vmask m_ge(vec a, vec b) { return (vmask){EACH(GE, a, b)}; }
FN vmask m_lt(vec a, vec b) { return (vmask){EACH(LT, a, b)}; }
FN vec v_select(vmask m, vec a, vec b) { return (vec){EACH(SELECT, m, a, b)}; }  // m ? a : b

// The floats at stored, one after the other, where bits has a bit, zeros elsewhere: for every four lanes a table look-up of
// bytes, in which an index outside of the table gives zero.
FN vec v_expand(const float *stored, uint32_t bits) {
#define F(i) 4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3
#define ZERO 255, 255, 255, 255
  static const uint8_t source[16][16] = {
      {ZERO, ZERO, ZERO, ZERO}, {F(0), ZERO, ZERO, ZERO}, {ZERO, F(0), ZERO, ZERO}, {F(0), F(1), ZERO, ZERO},
      {ZERO, ZERO, F(0), ZERO}, {F(0), ZERO, F(1), ZERO}, {ZERO, F(0), F(1), ZERO}, {F(0), F(1), F(2), ZERO},
      {ZERO, ZERO, ZERO, F(0)}, {F(0), ZERO, ZERO, F(1)}, {ZERO, F(0), ZERO, F(1)}, {F(0), F(1), ZERO, F(2)},
      {ZERO, ZERO, F(0), F(1)}, {F(0), ZERO, F(1), F(2)}, {ZERO, F(0), F(1), F(2)}, {F(0), F(1), F(2), F(3)},
  };
#undef F
#undef ZERO
  float32x4_t q[4];
  for (int i = 0; i < 4; i++) {
    const int before = __builtin_popcount(bits & ((1u << 4 * i) - 1));
    const uint8x16_t next = vreinterpretq_u8_f32(vld1q_f32(stored + before));
    q[i] = vreinterpretq_f32_u8(vqtbl1q_u8(next, vld1q_u8(source[bits >> 4 * i & 15])));
  }
  return (vec){q[0], q[1], q[2], q[3]};
}

FN vecd d_set(double x) {
  vecd all;
  for (int i = 0; i < 8; i++) all.pair[i] = vdupq_n_f64(x);
  return all;
}
FN vecd d_zero(void) { return d_set(0); }

FN vecd d_widen(vec v) {
  return (vecd){{vcvt_f64_f32(vget_low_f32(v.q0)), vcvt_high_f64_f32(v.q0), vcvt_f64_f32(vget_low_f32(v.q1)),
                 vcvt_high_f64_f32(v.q1), vcvt_f64_f32(vget_low_f32(v.q2)), vcvt_high_f64_f32(v.q2),
                 vcvt_f64_f32(vget_low_f32(v.q3)), vcvt_high_f64_f32(v.q3)}};
}

FN float32x4_t narrow(float64x2_t low, float64x2_t high) { return vcvt_high_f32_f64(vcvt_f32_f64(low), high); }
FN vec d_narrow(vecd v) {
  return (vec){narrow(v.pair[0], v.pair[1]), narrow(v.pair[2], v.pair[3]), narrow(v.pair[4], v.pair[5]),
               narrow(v.pair[6], v.pair[7])};
}

// a·b + c
FN vecd d_fma(vecd a, vecd b, vecd c) {
  for (int i = 0; i < 8; i++) c.pair[i] = vfmaq_f64(c.pair[i], a.pair[i], b.pair[i]);
  return c;
}

FN vecd d_add(vecd sum, vec v) {
  const vecd x = d_widen(v);
  for (int i = 0; i < 8; i++) sum.pair[i] = vaddq_f64(sum.pair[i], x.pair[i]);
  return sum;
}

// sum + v², the square exact
FN vecd d_add_square(vecd sum, vec v) {
  const vecd x = d_widen(v);
  for (int i = 0; i < 8; i++) sum.pair[i] = vfmaq_f64(sum.pair[i], x.pair[i], x.pair[i]);
  return sum;
}

// sum + p·(a − b)
FN vecd d_add_weighted(vecd sum, vec p, vec a, vec b) {
  const vecd factor = d_widen(p), first = d_widen(a), second = d_widen(b);
  for (int i = 0; i < 8; i++)
    sum.pair[i] = vfmaq_f64(sum.pair[i], factor.pair[i], vsubq_f64(first.pair[i], second.pair[i]));
  return sum;
}

FN void d_store(double *x, vecd v) {
  for (int i = 0; i < 8; i++) vst1q_f64(x + 2 * i, v.pair[i]);
}
