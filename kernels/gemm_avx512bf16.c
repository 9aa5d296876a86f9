// bf16 multiply with vdpbf16ps: x and W are rounded to bf16 (to nearest even), products of neighbouring columns are
// added in pairs, sums are fp32. The instruction takes denormals for zero.
#if defined(__x86_64__)
#include "gemm_avx512.h"

#define BF16 __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

// 32 columns as 16 units.
BF16 static inline __attribute__((always_inline)) __m512i load_pairs(const float *x, __mmask32 in) {
  const __m512 low = _mm512_maskz_loadu_ps((__mmask16)in, x);
  const __m512 high = _mm512_maskz_loadu_ps((__mmask16)(in >> 16), x + 16);
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

BF16 static void pack_x(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols) {
  for (int64_t k = 0; k < cols; k += 32) {
    const __mmask32 in = cols - k >= 32 ? 0xffffffff : (1u << (cols - k)) - 1;
    __m512i r[16];
    for (int t = 0; t < 16; t++) r[t] = t < tokens ? load_pairs(x + t * stride + k, in) : _mm512_setzero_si512();
    transpose(r);
    // Each store spills four lanes into the next unit, which is stored after it.
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(dst + (k / 2 + i) * TILE, r[i]);
  }
}

BF16 static void pack_w(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols) {
  for (int64_t k = 0; k < cols; k += 32) {
    const __mmask32 in = cols - k >= 32 ? 0xffffffff : (1u << (cols - k)) - 1;
    __m512i r[16];
    for (int t = 0; t < 16; t++) r[t] = t < rows ? load_pairs(w + t * stride + k, in) : _mm512_setzero_si512();
    transpose(r);
    for (int i = 0; i < 16; i++) _mm512_store_si512(dst + (k / 2 + i) * PANEL, r[i]);
  }
}

BF16 static inline __attribute__((always_inline)) void tile(const int tokens, float *dst, int64_t stride,
                                                            const uint32_t *x, const uint32_t *w, int64_t units,
                                                            int64_t outputs, int add) {
  __m512 sum[TILE][2];
  load_tile(sum, dst, stride, tokens, outputs, add);
  for (int64_t k = 0; k < units; k++, x += TILE, w += PANEL) {
    const __m512bh w0 = (__m512bh)_mm512_load_si512(w), w1 = (__m512bh)_mm512_load_si512(w + 16);
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) {
      const __m512bh a = (__m512bh)_mm512_set1_epi32((int)x[t]);
      sum[t][0] = _mm512_dpbf16_ps(sum[t][0], a, w0);
      sum[t][1] = _mm512_dpbf16_ps(sum[t][1], a, w1);
    }
  }
  store_tile(dst, stride, sum, tokens, outputs);
}

BF16 static void multiply(float *dst, int64_t stride, const uint32_t *x, const uint32_t *w, int64_t units,
                          int64_t tokens, int64_t outputs, int add) {
#define TILE_OF(n) tile(n, dst, stride, x, w, units, outputs, add)
  TILE_SWITCH(tokens)
#undef TILE_OF
}

BF16 static void peak(float *sums, const uint32_t *x, const uint32_t *w, int64_t units) {
  __m512 sum[TILE][2];
  load_tile(sum, sums, PANEL, TILE, PANEL, 1);
  const __m512bh a = (__m512bh)_mm512_set1_epi32((int)*x), w0 = (__m512bh)_mm512_loadu_si512(w), w1 = (__m512bh)_mm512_loadu_si512(w + 16);
  for (int64_t k = 0; k < units; k++) {
#pragma GCC unroll 12
    for (int t = 0; t < TILE; t++) {
      sum[t][0] = _mm512_dpbf16_ps(sum[t][0], a, w0);
      sum[t][1] = _mm512_dpbf16_ps(sum[t][1], a, w1);
    }
  }
  store_tile(sums, PANEL, sum, TILE, PANEL);
}

const struct gemm gemm_avx512bf16 = {TILE, PANEL, 2, pack_x, pack_w, multiply, peak};
#endif
