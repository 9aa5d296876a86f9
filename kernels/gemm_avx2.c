// Packing for the multiply with AVX2 and FMA (gemm_6x16.h): 8 × 8 transpositions.
#if defined(__x86_64__)
#define ISA_AVX2
#include "vec.h"

FN vec broadcast(const float *x, int t) { return v_set(x[t]); }

#include "gemm_6x16.h"

// r[i] lane j <-> r[j] lane i, 8 × 8.
FN void transpose(__m256 r[8]) {
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
FN __m256 load_first(const float *x, int64_t n) {
  if (n >= 8) return _mm256_loadu_ps(x);
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(x, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}

FN void load_block(__m256 r[8], const float *x, int64_t stride, int64_t rows, int64_t cols) {
  for (int i = 0; i < 8; i++) r[i] = i < rows ? load_first(x + i * stride, cols) : _mm256_setzero_ps();
}

TARGET static void pack_x(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols) {
  float *out = (float *)dst;
  for (int64_t k = 0; k < cols; k += 8) {
    __m256 r[8];
    load_block(r, x + k, stride, tokens, cols - k);
    transpose(r);
    // Each store spills two lanes into the next unit, which is stored after it.
    for (int i = 0; i < 8; i++) _mm256_storeu_ps(out + (k + i) * TILE, r[i]);
  }
}

TARGET static void pack_w(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols) {
  float *out = (float *)dst;
  for (int64_t k = 0; k < cols; k += 8)
    for (int half = 0; half < 16; half += 8) {
      __m256 r[8];
      load_block(r, w + half * stride + k, stride, rows - half, cols - k);
      transpose(r);
      for (int i = 0; i < 8; i++) _mm256_store_ps(out + (k + i) * PANEL + half, r[i]);
    }
}

const struct gemm gemm_avx2 = {TILE, PANEL, 1, pack_x, pack_w, multiply, peak};
#endif
