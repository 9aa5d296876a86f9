// Packing for the multiply with NEON (gemm_6x16.h): 4 × 4 transpositions.
#if defined(__aarch64__)
#define ISA_NEON
#include "vec.h"

// From a lane of the two registers that hold the unit: a register for each token would be one too many for 32.
FN vec broadcast(const float *x, int t) { return v_set(t < 4 ? vld1q_f32(x)[t] : vld1_f32(x + 4)[t - 4]); }

#include "gemm_6x16.h"

// r[i] lane j <-> r[j] lane i, 4 × 4.
FN void transpose(float32x4_t r[4]) {
  const float64x2_t low01 = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1]));
  const float64x2_t high01 = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
  const float64x2_t low23 = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
  const float64x2_t high23 = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
  r[0] = vreinterpretq_f32_f64(vtrn1q_f64(low01, low23));
  r[1] = vreinterpretq_f32_f64(vtrn1q_f64(high01, high23));
  r[2] = vreinterpretq_f32_f64(vtrn2q_f64(low01, low23));
  r[3] = vreinterpretq_f32_f64(vtrn2q_f64(high01, high23));
}

// The first n of four floats, zeros after them.
FN float32x4_t load_first(const float *x, int64_t n) {
  if (n >= 4) return vld1q_f32(x);
  float lanes[4] = {0};
  memcpy(lanes, x, n * sizeof *x);
  return vld1q_f32(lanes);
}

// Four columns of four rows, transposed; missing ones are zero.
FN void load_block(float32x4_t r[4], const float *x, int64_t stride, int64_t rows, int64_t cols) {
  for (int i = 0; i < 4; i++) r[i] = i < rows ? load_first(x + i * stride, cols) : vdupq_n_f32(0);
  transpose(r);
}

static void pack_x(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols) {
  float *out = (float *)dst;
  for (int64_t k = 0; k < cols; k += 4) {
    float32x4_t first[4], last[4];
    load_block(first, x + k, stride, tokens, cols - k);
    load_block(last, x + 4 * stride + k, stride, tokens - 4, cols - k);
    for (int i = 0; i < 4; i++, out += TILE) {
      vst1q_f32(out, first[i]);
      vst1_f32(out + 4, vget_low_f32(last[i]));
    }
  }
}

static void pack_w(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols) {
  float *out = (float *)dst;
  for (int64_t k = 0; k < cols; k += 4, out += 4 * PANEL)
    for (int first = 0; first < GROUP; first += 4) {
      float32x4_t r[4];
      load_block(r, w + first * stride + k, stride, rows - first, cols - k);
      for (int i = 0; i < 4; i++) vst1q_f32(out + i * PANEL + first, r[i]);
    }
}

const struct gemm gemm_neon = {TILE, PANEL, 1, pack_x, pack_w, multiply, peak};
#endif
