// fp32 multiply with AVX-512: every output is one chain of fused multiply-adds over the columns in order, as in
// gemm_avx2.c, and so bit-identical to it.
#if defined(__x86_64__)
#include "gemm_avx512.h"

AVX512 static void pack_x(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols) {
  for (int64_t k = 0; k < cols; k += 16) {
    const __mmask16 in = cols - k >= 16 ? 0xffff : (1u << (cols - k)) - 1;
    __m512i r[16];
    for (int t = 0; t < 16; t++)
      r[t] = t < tokens ? _mm512_maskz_loadu_epi32(in, x + t * stride + k) : _mm512_setzero_si512();
    transpose(r);
    // Each store spills four lanes into the next unit, which is stored after it.
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(dst + (k + i) * TILE, r[i]);
  }
}

AVX512 static void pack_w(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols) {
  for (int64_t k = 0; k < cols; k += 16) {
    const __mmask16 in = cols - k >= 16 ? 0xffff : (1u << (cols - k)) - 1;
    __m512i r[16];
    for (int t = 0; t < 16; t++)
      r[t] = t < rows ? _mm512_maskz_loadu_epi32(in, w + t * stride + k) : _mm512_setzero_si512();
    transpose(r);
    for (int i = 0; i < 16; i++) _mm512_store_si512(dst + (k + i) * PANEL, r[i]);
  }
}

AVX512_INLINE void tile(const int tokens, float *dst, int64_t stride, const float *x, const float *w, int64_t units,
                        int64_t outputs, int add) {
  __m512 sum[TILE][2];
  load_tile(sum, dst, stride, tokens, outputs, add);
  for (int64_t k = 0; k < units; k++, x += TILE, w += PANEL) {
    const __m512 w0 = _mm512_load_ps(w), w1 = _mm512_load_ps(w + 16);
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) {
      const __m512 a = _mm512_set1_ps(x[t]);
      sum[t][0] = _mm512_fmadd_ps(a, w0, sum[t][0]);
      sum[t][1] = _mm512_fmadd_ps(a, w1, sum[t][1]);
    }
  }
  store_tile(dst, stride, sum, tokens, outputs);
}

AVX512 static void multiply(float *dst, int64_t stride, const uint32_t *x, const uint32_t *w, int64_t units,
                            int64_t tokens, int64_t outputs, int add) {
#define TILE_OF(n) tile(n, dst, stride, (const float *)x, (const float *)w, units, outputs, add)
  TILE_SWITCH(tokens)
#undef TILE_OF
}

AVX512 static void peak(float *sums, const uint32_t *x, const uint32_t *w, int64_t units) {
  __m512 sum[TILE][2];
  load_tile(sum, sums, PANEL, TILE, PANEL, 1);
  const __m512 a = _mm512_castsi512_ps(_mm512_set1_epi32((int)*x)), w0 = _mm512_loadu_ps(w), w1 = _mm512_loadu_ps(w + 16);
  for (int64_t k = 0; k < units; k++) {
#pragma GCC unroll 12
    for (int t = 0; t < TILE; t++) {
      sum[t][0] = _mm512_fmadd_ps(a, w0, sum[t][0]);
      sum[t][1] = _mm512_fmadd_ps(a, w1, sum[t][1]);
    }
  }
  store_tile(sums, PANEL, sum, TILE, PANEL);
}

const struct gemm gemm_avx512 = {TILE, PANEL, 1, pack_x, pack_w, multiply, peak};
#endif
