// Unpacking, written once for all instruction sets over vec.h and fixed-length byte loops that the compiler vectorises.
// The block layouts are explained in unpack.go, its siblings and intgroup.go, whose results these are, bit for bit.

FN uint16_t u16_at(const uint8_t *src) {
  uint16_t x;
  memcpy(&x, src, sizeof x);
  return x;
}

FN uint32_t u32_at(const uint8_t *src) {
  uint32_t x;
  memcpy(&x, src, sizeof x);
  return x;
}

FN float half_of(uint16_t h) {
  // Without branches: normal numbers, infinity and NaN by rebiasing the exponent, subnormals by subtracting one half.
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = (uint32_t)(h & 0x7fff);
  const uint32_t rebiased = (magnitude << 13) + (224u << 23), shifted = magnitude | (126u << 23);
  float normal, subnormal;
  memcpy(&normal, &rebiased, sizeof normal);
  memcpy(&subnormal, &shifted, sizeof subnormal);
  normal *= 0x1p-112f;
  subnormal -= 0.5f;
  uint32_t normal_bits, subnormal_bits;
  memcpy(&normal_bits, &normal, sizeof normal_bits);
  memcpy(&subnormal_bits, &subnormal, sizeof subnormal_bits);
  const uint32_t bits = sign | (magnitude < 0x400 ? subnormal_bits : normal_bits);
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

FN float half_at(const uint8_t *src) { return half_of(u16_at(src)); }

FN void unpack_f16(float *dst, const uint8_t *src, int64_t n) {
  int64_t i = 0;
#if defined(ISA_AVX512) || defined(ISA_AVX2)
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + 2 * i))));
#elif defined(ISA_NEON)
  for (; i + 4 <= n; i += 4) vst1q_f32(dst + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(src + 2 * i))));
#endif
  for (; i < n; i++) dst[i] = half_at(src + 2 * i);
}

FN void unpack_bf16(float *dst, const uint8_t *src, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t bits = (uint32_t)u16_at(src + 2 * i) << 16;
    memcpy(dst + i, &bits, sizeof bits);
  }
}

// Codes come first as bytes, then as floats: mixed in one loop, the compiler makes poor vectors of them.
FN void scale_codes(float *restrict dst, const int8_t *restrict codes, int n, float scale, float offset) {
  for (int i = 0; i < n; i += LANES)
    v_store(dst + i, v_add(v_mul(v_set(scale), v_bytes(codes + i)), v_set(offset)));
}

// Without offset: adding zero would turn -0 into 0.
FN void scale_centred(float *restrict dst, const int8_t *restrict codes, int n, float scale) {
  for (int i = 0; i < n; i += LANES) v_store(dst + i, v_mul(v_set(scale), v_bytes(codes + i)));
}

FN void nibbles(int8_t *restrict codes, const uint8_t *restrict src, int centre) {
#pragma GCC unroll 1
  for (int i = 0; i < 16; i++) codes[i] = (int8_t)((src[i] & 15) - centre);
#pragma GCC unroll 1
  for (int i = 0; i < 16; i++) codes[16 + i] = (int8_t)((src[i] >> 4) - centre);
}

// Eight bytes whose top bits are the bits of a byte: copy it eight times, keep bit i of copy i, turn what is left into 128.
FN uint64_t top_bits(uint8_t bits) {
  const uint64_t kept = (uint64_t)bits * 0x0101010101010101 & 0x8040201008040201;
  return kept + 0x7f7f7f7f7f7f7f7f & 0x8080808080808080;
}

// Adds the 32 fifth bits at src, eight at a time.
FN void fifth_bits(int8_t *restrict codes, const uint8_t *restrict src) {
  for (int i = 0; i < 4; i++) {
    uint64_t eight;
    memcpy(&eight, codes + 8 * i, sizeof eight);
    eight += top_bits(src[i]) >> 3;
    memcpy(codes + 8 * i, &eight, sizeof eight);
  }
}

FN void subtract_16(int8_t codes[32]) {
  for (int i = 0; i < 32; i++) codes[i] = (int8_t)(codes[i] - 16);
}

FN void unpack_q4_0(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[32];
  nibbles(codes, src + 2, 8);
  scale_centred(dst, codes, 32, half_at(src));
}

FN void unpack_q4_1(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[32];
  nibbles(codes, src + 4, 0);
  scale_codes(dst, codes, 32, half_at(src), half_at(src + 2));
}

FN void unpack_q5_0(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[32];
  nibbles(codes, src + 6, 0);
  fifth_bits(codes, src + 2);
  subtract_16(codes);
  scale_centred(dst, codes, 32, half_at(src));
}

FN void unpack_q5_1(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[32];
  nibbles(codes, src + 8, 0);
  fifth_bits(codes, src + 4);
  scale_codes(dst, codes, 32, half_at(src), half_at(src + 2));
}

FN void unpack_q8_0(float *restrict dst, const uint8_t *restrict src) {
  scale_centred(dst, (const int8_t *)src + 2, 32, half_at(src));
}

// Replaces every code by its entry in a table.
FN void look_up(int8_t codes[32], const int8_t table[16]) {
#if defined(ISA_AVX512) || defined(ISA_AVX2)
  const __m128i entries = _mm_loadu_si128((const __m128i *)table);
  for (int i = 0; i < 32; i += 16) {
    __m128i *at = (__m128i *)(codes + i);
    _mm_storeu_si128(at, _mm_shuffle_epi8(entries, _mm_loadu_si128(at)));
  }
#elif defined(ISA_NEON)
  const int8x16_t entries = vld1q_s8(table);
  for (int i = 0; i < 32; i += 16) vst1q_s8(codes + i, vqtbl1q_s8(entries, vld1q_u8((const uint8_t *)codes + i)));
#else
  for (int i = 0; i < 32; i++) codes[i] = table[codes[i]];
#endif
}

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

FN void unpack_iq4_nl(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[32];
  nibbles(codes, src + 2, 0);
  look_up(codes, iq4_values);
  scale_centred(dst, codes, 32, half_at(src));
}

FN void unpack_q2_k(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src + 80), dmin = half_at(src + 82);
  int8_t codes[256];
  for (int run = 0; run < 8; run++) {
    const uint8_t *packed = src + 16 + run / 4 * 32;
    for (int i = 0; i < 32; i++) codes[run * 32 + i] = (int8_t)(packed[i] >> (run % 4 * 2) & 3);
  }
  for (int group = 0; group < 16; group++)
    scale_codes(dst + group * 16, codes + group * 16, 16, d * (float)(src[group] & 15), -(dmin * (float)(src[group] >> 4)));
}

FN void unpack_q3_k(float *restrict dst, const uint8_t *restrict src) {
  const uint8_t *scales = src + 96;
  const float d = half_at(src + 108);
  int8_t codes[256];
  for (int run = 0; run < 8; run++) {
    const uint8_t *low = src + 32 + run / 4 * 32;
    const int shift = run % 4 * 2;
    for (int i = 0; i < 32; i++)
      codes[run * 32 + i] = (int8_t)((low[i] >> shift & 3 | (src[i] >> run & 1) << 2) - 4);
  }
  for (int group = 0; group < 16; group++) {
    const int low = scales[group % 8] >> (group / 8 * 4) & 15, top = scales[8 + group % 4] >> (group / 4 * 2) & 3;
    scale_centred(dst + group * 16, codes + group * 16, 16, d * (float)((low | top << 4) - 32));
  }
}

// The six-bit scales and minima of q4_k and q5_k.
FN void scale_min(const uint8_t *packed, int group, int *scale, int *minimum) {
  if (group < 4) {
    *scale = packed[group] & 63;
    *minimum = packed[group + 4] & 63;
  } else {
    *scale = packed[group + 4] & 15 | packed[group - 4] >> 6 << 4;
    *minimum = packed[group + 4] >> 4 | packed[group] >> 6 << 4;
  }
}

FN void unpack_q4_k(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src), dmin = half_at(src + 2);
  for (int group = 0; group < 8; group++) {
    int scale, minimum;
    scale_min(src + 4, group, &scale, &minimum);
    const uint8_t *packed = src + 16 + group / 2 * 32;
    int8_t codes[32];
    for (int i = 0; i < 32; i++) codes[i] = (int8_t)(packed[i] >> (group % 2 * 4) & 15);
    scale_codes(dst + group * 32, codes, 32, d * (float)scale, -(dmin * (float)minimum));
  }
}

FN void unpack_q5_k(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src), dmin = half_at(src + 2);
  const uint8_t *high = src + 16;
  for (int group = 0; group < 8; group++) {
    int scale, minimum;
    scale_min(src + 4, group, &scale, &minimum);
    const uint8_t *packed = src + 48 + group / 2 * 32;
    int8_t codes[32];
    for (int i = 0; i < 32; i++)
      codes[i] = (int8_t)(packed[i] >> (group % 2 * 4) & 15 | (high[i] >> group & 1) << 4);
    scale_codes(dst + group * 32, codes, 32, d * (float)scale, -(dmin * (float)minimum));
  }
}

FN void unpack_q6_k(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src + 208);
  int8_t codes[256];
  for (int run = 0; run < 8; run++) {
    const int quarter = run % 4, low_shift = quarter / 2 * 4, high_shift = quarter * 2;
    const uint8_t *low = src + run / 4 * 64 + quarter % 2 * 32, *high = src + 128 + run / 4 * 32;
    for (int i = 0; i < 32; i++)
      codes[run * 32 + i] = (int8_t)((low[i] >> low_shift & 15 | (high[i] >> high_shift & 3) << 4) - 32);
  }
  for (int group = 0; group < 16; group++)
    scale_centred(dst + group * 16, codes + group * 16, 16, d * (float)(int8_t)src[192 + group]);
}

#include "unpack_int.h"
#include "unpack_iq.h"
#include "unpack_tq.h"

#define BLOCKS(unpack_block, block_weights, block_bytes)                 \
  for (int64_t i = 0; i < weights; i += block_weights, src += block_bytes) \
    unpack_block(dst + i, src);                                          \
  break

TARGET static void unpack(float *dst, int format, const uint8_t *src, int64_t weights) {
  switch (format) {
    case F32: memcpy(dst, src, weights * sizeof *dst); break;
    case F16: unpack_f16(dst, src, weights); break;
    case BF16: unpack_bf16(dst, src, weights); break;
    case Q4_0: BLOCKS(unpack_q4_0, 32, 18);
    case Q4_1: BLOCKS(unpack_q4_1, 32, 20);
    case Q5_0: BLOCKS(unpack_q5_0, 32, 22);
    case Q5_1: BLOCKS(unpack_q5_1, 32, 24);
    case Q8_0: BLOCKS(unpack_q8_0, 32, 34);
    case Q2_K: BLOCKS(unpack_q2_k, 256, 84);
    case Q3_K: BLOCKS(unpack_q3_k, 256, 110);
    case Q4_K: BLOCKS(unpack_q4_k, 256, 144);
    case Q5_K: BLOCKS(unpack_q5_k, 256, 176);
    case Q6_K: BLOCKS(unpack_q6_k, 256, 210);
    case IQ4_NL: BLOCKS(unpack_iq4_nl, 32, 18);
    case IQ4_XS: BLOCKS(unpack_iq4_xs, 256, 136);
    case IQ3_XXS: BLOCKS(unpack_iq3_xxs, 256, 98);
    case IQ3_S: BLOCKS(unpack_iq3_s, 256, 110);
    case IQ2_XXS: BLOCKS(unpack_iq2_xxs, 256, 66);
    case IQ2_XS: BLOCKS(unpack_iq2_xs, 256, 74);
    case IQ2_S: BLOCKS(unpack_iq2_s, 256, 82);
    case IQ1_S: BLOCKS(unpack_iq1_s, 256, 50);
    case IQ1_M: BLOCKS(unpack_iq1_m, 256, 56);
    case TQ1_0: BLOCKS(unpack_tq1_0, 256, 54);
    case TQ2_0: BLOCKS(unpack_tq2_0, 256, 66);
    case Q1_0: BLOCKS(unpack_q1_0, 128, 18);
    case Q2_0: BLOCKS(unpack_q2_0, 64, 18);
    case MXFP4: BLOCKS(unpack_mxfp4, 32, 17);
    case NVFP4: BLOCKS(unpack_nvfp4, 64, 36);
    case Q8_K: BLOCKS(unpack_q8_k, 256, 292);
    default: unpack_int(dst, format - INT_GROUPS, src, weights);
  }
}

// Spreads the stored weights of a sparse row over its columns: a weight where mask has a bit, zero elsewhere.
// Reads up to one vector past the last stored weight.
TARGET static void expand(float *dst, const float *stored, const uint8_t *mask, int64_t cols) {
  int64_t i = 0;
#if defined(ISA_AVX512) || defined(ISA_NEON)
  for (; i + LANES <= cols; i += LANES) {
    const uint32_t bits = mask[i / 8] | (uint32_t)mask[i / 8 + 1] << 8;
    v_store(dst + i, v_expand(stored, bits));
    stored += __builtin_popcount(bits);
  }
#endif
  for (; i < cols; i++) {
    const int bit = mask[i / 8] >> (i % 8) & 1;
    dst[i] = bit ? *stored : 0;
    stored += bit;
  }
}
