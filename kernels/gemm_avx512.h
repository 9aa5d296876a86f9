// What the two AVX-512 multiplies share: tile size, transposition, loads and stores of a tile.
#include <immintrin.h>

#include "kernels.h"

#define AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#define AVX512_INLINE static inline __attribute__((always_inline)) AVX512

enum { TILE = 12, PANEL = 32 };

// r[i] lane j <-> r[j] lane i, 16 × 16 units.
AVX512_INLINE void transpose(__m512i r[16]) {
  __m512i s[16];
  for (int i = 0; i < 16; i += 2) {
    s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(s[i], s[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(s[i + 1], s[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(s[i + 1], s[i + 3]);
  }
  // r[4g + c] now holds column c + 4·lane of rows 4g to 4g + 3 in each 128-bit lane.
  for (int c = 0; c < 4; c++) {
    s[c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88);
    s[4 + c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
    s[8 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
    s[12 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
  }
  for (int c = 0; c < 4; c++) {
    r[c] = _mm512_shuffle_i32x4(s[c], s[8 + c], 0x88);
    r[8 + c] = _mm512_shuffle_i32x4(s[c], s[8 + c], 0xdd);
    r[4 + c] = _mm512_shuffle_i32x4(s[4 + c], s[12 + c], 0x88);
    r[12 + c] = _mm512_shuffle_i32x4(s[4 + c], s[12 + c], 0xdd);
  }
}

// The accumulators of a tile: dst [tokens, outputs] where add, else zero.
AVX512_INLINE void load_tile(__m512 sum[TILE][2], const float *dst, int64_t stride, int tokens, int64_t outputs, int add) {
  const __mmask16 low = outputs >= 16 ? 0xffff : (1u << outputs) - 1;
  const __mmask16 high = outputs >= 32 ? 0xffff : outputs > 16 ? (1u << (outputs - 16)) - 1 : 0;
#pragma GCC unroll 12
  for (int t = 0; t < tokens; t++) {
    sum[t][0] = add ? _mm512_maskz_loadu_ps(low, dst + t * stride) : _mm512_setzero_ps();
    sum[t][1] = add ? _mm512_maskz_loadu_ps(high, dst + t * stride + 16) : _mm512_setzero_ps();
  }
}

AVX512_INLINE void store_tile(float *dst, int64_t stride, __m512 sum[TILE][2], int tokens, int64_t outputs) {
  if (outputs == PANEL) {
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) {
      _mm512_storeu_ps(dst + t * stride, sum[t][0]);
      _mm512_storeu_ps(dst + t * stride + 16, sum[t][1]);
    }
    return;
  }
  const __mmask16 low = outputs >= 16 ? 0xffff : (1u << outputs) - 1;
  const __mmask16 high = outputs > 16 ? (1u << (outputs - 16)) - 1 : 0;
#pragma GCC unroll 12
  for (int t = 0; t < tokens; t++) {
    _mm512_mask_storeu_ps(dst + t * stride, low, sum[t][0]);
    _mm512_mask_storeu_ps(dst + t * stride + 16, high, sum[t][1]);
  }
}

// Calls TILE_OF(n) with the number of tokens as a constant, so that the accumulators become registers.
#define TILE_SWITCH(tokens)      \
  switch (tokens) {              \
    case 1: TILE_OF(1); break;   \
    case 2: TILE_OF(2); break;   \
    case 3: TILE_OF(3); break;   \
    case 4: TILE_OF(4); break;   \
    case 5: TILE_OF(5); break;   \
    case 6: TILE_OF(6); break;   \
    case 7: TILE_OF(7); break;   \
    case 8: TILE_OF(8); break;   \
    case 9: TILE_OF(9); break;   \
    case 10: TILE_OF(10); break; \
    case 11: TILE_OF(11); break; \
    case 12: TILE_OF(12); break; \
  }
