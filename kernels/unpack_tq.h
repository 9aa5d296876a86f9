// Unpacking ggml's binary, ternary and 4-bit float formats, whose layouts unpack_tq.go explains. Included by unpack.h.

// Digits of base 3: byte·3^n holds the n-th digit in its fraction of 256.
FN void trits(int8_t *restrict codes, const uint8_t *restrict src, int bytes, int digits) {
  for (int n = 0, power = 1; n < digits; n++, power *= 3)
    for (int i = 0; i < bytes; i++) codes[n * bytes + i] = (int8_t)(((src[i] * power & 0xff) * 3 >> 8) - 1);
}

FN void unpack_tq1_0(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[256];
  trits(codes, src, 32, 5);
  trits(codes + 160, src + 32, 16, 5);
  trits(codes + 240, src + 48, 4, 4);
  scale_centred(dst, codes, 256, half_at(src + 52));
}

FN void unpack_tq2_0(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[256];
  for (int run = 0; run < 8; run++) {
    const uint8_t *packed = src + run / 4 * 32;
    for (int i = 0; i < 32; i++) codes[run * 32 + i] = (int8_t)((packed[i] >> (run % 4 * 2) & 3) - 1);
  }
  scale_centred(dst, codes, 256, half_at(src + 64));
}

FN void unpack_q1_0(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[128];
  for (int i = 0; i < 16; i++) {
    const uint64_t eight = ~((top_bits(src[2 + i]) >> 7) * 0xff) | EACH_BYTE(1);  // 1, or −1 for a clear bit
    memcpy(codes + 8 * i, &eight, sizeof eight);
  }
  scale_centred(dst, codes, 128, half_at(src));
}

FN void unpack_q2_0(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[64];
  for (int i = 0; i < 8; i++) {
    const uint64_t eight = eight_pairs(u16_at(src + 2 + 2 * i));
    memcpy(codes + 8 * i, &eight, sizeof eight);
  }
  for (int i = 0; i < 64; i++) codes[i] = (int8_t)(codes[i] - 1);
  scale_centred(dst, codes, 64, half_at(src));
}

// Twice the values of a float with two bits of exponent and one of mantissa.
static const int8_t e2m1_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 2^(e − 128): half of what the byte stands for, for doubled values.
FN float e8m0_half(uint8_t e) {
  const uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

FN void unpack_mxfp4(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[32];
  nibbles(codes, src + 1, 0);
  look_up(codes, e2m1_values);
  scale_centred(dst, codes, 32, e8m0_half(src[0]));
}

// Half of an unsigned float with four bits of exponent and three of mantissa. The top bit means nothing.
FN float ue4m3_half(uint8_t x) {
  if (x == 0x7f) return 0;
  const int exponent = x >> 3 & 15, mantissa = x & 7;
  if (exponent == 0) return (float)mantissa * 0x1p-10f;
  const uint32_t bits = (uint32_t)(exponent + 127 - 8) << 23 | (uint32_t)mantissa << 20;
  float half;
  memcpy(&half, &bits, sizeof half);
  return half;
}

FN void unpack_nvfp4(float *restrict dst, const uint8_t *restrict src) {
  int8_t codes[64];
  for (int group = 0; group < 4; group++) {
    uint64_t packed;
    memcpy(&packed, src + 4 + group * 8, sizeof packed);
    const uint64_t sixteen[2] = {packed & EACH_BYTE(15), packed >> 4 & EACH_BYTE(15)};
    memcpy(codes + group * 16, sixteen, sizeof sixteen);
  }
  look_up(codes, e2m1_values);
  look_up(codes + 32, e2m1_values);
  for (int group = 0; group < 4; group++) scale_centred(dst + group * 16, codes + group * 16, 16, ue4m3_half(src[group]));
}

FN void unpack_q8_k(float *restrict dst, const uint8_t *restrict src) {
  float d;
  memcpy(&d, src, sizeof d);
  scale_centred(dst, (const int8_t *)src + 4, 256, d);
}
