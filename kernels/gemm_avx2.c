// fp32 multiply with AVX2 and FMA: every output is one chain of fused multiply-adds over the columns in order, as in
// gemm_avx512.c, and so bit-identical to it.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE static inline __attribute__((always_inline)) AVX2

enum { TILE = 6, PANEL = 16 };

// r[i] lane j <-> r[j] lane i, 8 × 8.
AVX2_INLINE void transpose(__m256 r[8]) {
  __m256 s[8];
  for (int i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
  }
  for (int c = 0; c < 4; c++) {
    const __m256 low = r[c], high = r[4 + c];
    r[c] = _mm256_permute2f128_ps(low, high, 0x20);
    r[4 + c] = _mm256_permute2f128_ps(low, high, 0x31);
  }
}

// The first n of eight floats, zeros after them.
AVX2_INLINE __m256 load_first(const float *x, int64_t n) {
  if (n >= 8) return _mm256_loadu_ps(x);
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(x, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}

AVX2_INLINE void load_block(__m256 r[8], const float *x, int64_t stride, int64_t rows, int64_t cols) {
  for (int i = 0; i < 8; i++) r[i] = i < rows ? load_first(x + i * stride, cols) : _mm256_setzero_ps();
}

AVX2 static void pack_x(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols) {
  float *out = (float *)dst;
  for (int64_t k = 0; k < cols; k += 8) {
    __m256 r[8];
    load_block(r, x + k, stride, tokens, cols - k);
    transpose(r);
    // Each store spills two lanes into the next unit, which is stored after it.
    for (int i = 0; i < 8; i++) _mm256_storeu_ps(out + (k + i) * TILE, r[i]);
  }
}

AVX2 static void pack_w(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols) {
  float *out = (float *)dst;
  for (int64_t k = 0; k < cols; k += 8)
    for (int half = 0; half < 16; half += 8) {
      __m256 r[8];
      load_block(r, w + half * stride + k, stride, rows - half, cols - k);
      transpose(r);
      for (int i = 0; i < 8; i++) _mm256_store_ps(out + (k + i) * PANEL + half, r[i]);
    }
}

AVX2_INLINE void tile(const int tokens, float *dst, int64_t stride, const float *x, const float *w, int64_t units) {
  __m256 sum[TILE][2];
#pragma GCC unroll 6
  for (int t = 0; t < tokens; t++) {
    sum[t][0] = _mm256_loadu_ps(dst + t * stride);
    sum[t][1] = _mm256_loadu_ps(dst + t * stride + 8);
  }
  for (int64_t k = 0; k < units; k++, x += TILE, w += PANEL) {
    const __m256 w0 = _mm256_load_ps(w), w1 = _mm256_load_ps(w + 8);
#pragma GCC unroll 6
    for (int t = 0; t < tokens; t++) {
      const __m256 a = _mm256_broadcast_ss(x + t);
      sum[t][0] = _mm256_fmadd_ps(a, w0, sum[t][0]);
      sum[t][1] = _mm256_fmadd_ps(a, w1, sum[t][1]);
    }
  }
#pragma GCC unroll 6
  for (int t = 0; t < tokens; t++) {
    _mm256_storeu_ps(dst + t * stride, sum[t][0]);
    _mm256_storeu_ps(dst + t * stride + 8, sum[t][1]);
  }
}

// Accumulators start and end in a whole tile in memory, so that row tails need no masks.
AVX2 static void multiply(float *dst, int64_t stride, const uint32_t *x, const uint32_t *w, int64_t units,
                          int64_t tokens, int64_t outputs, int add) {
  float sums[TILE * PANEL] = {0};
  if (add)
    for (int64_t t = 0; t < tokens; t++) memcpy(sums + t * PANEL, dst + t * stride, outputs * sizeof *sums);
  const float *xs = (const float *)x, *ws = (const float *)w;
  switch (tokens) {
    case 1: tile(1, sums, PANEL, xs, ws, units); break;
    case 2: tile(2, sums, PANEL, xs, ws, units); break;
    case 3: tile(3, sums, PANEL, xs, ws, units); break;
    case 4: tile(4, sums, PANEL, xs, ws, units); break;
    case 5: tile(5, sums, PANEL, xs, ws, units); break;
    case 6: tile(6, sums, PANEL, xs, ws, units); break;
  }
  for (int64_t t = 0; t < tokens; t++) memcpy(dst + t * stride, sums + t * PANEL, outputs * sizeof *sums);
}

AVX2 static void peak(float *sums, const uint32_t *x, const uint32_t *w, int64_t units) {
  __m256 sum[TILE][2];
#pragma GCC unroll 6
  for (int t = 0; t < TILE; t++) {
    sum[t][0] = _mm256_loadu_ps(sums + t * PANEL);
    sum[t][1] = _mm256_loadu_ps(sums + t * PANEL + 8);
  }
  const float *xs = (const float *)x, *ws = (const float *)w;
  const __m256 a = _mm256_broadcast_ss(xs), w0 = _mm256_loadu_ps(ws), w1 = _mm256_loadu_ps(ws + 8);
  for (int64_t k = 0; k < units; k++) {
#pragma GCC unroll 6
    for (int t = 0; t < TILE; t++) {
      sum[t][0] = _mm256_fmadd_ps(a, w0, sum[t][0]);
      sum[t][1] = _mm256_fmadd_ps(a, w1, sum[t][1]);
    }
  }
#pragma GCC unroll 6
  for (int t = 0; t < TILE; t++) {
    _mm256_storeu_ps(sums + t * PANEL, sum[t][0]);
    _mm256_storeu_ps(sums + t * PANEL + 8, sum[t][1]);
  }
}

const struct gemm gemm_avx2 = {TILE, PANEL, 1, pack_x, pack_w, multiply, peak};
#endif
