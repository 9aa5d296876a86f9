// Unpacking ggml's IQ formats, whose layouts unpack_iq.go explains. Included by unpack.h.
//
// Eight weights come from the code book as 16 bits. They are spread over the eight bytes of a word and turned into values
// there: the packed books stay in the first-level cache, and no byte carries into the next.

enum { IQ_GROUP = 32 };

#define EACH_BYTE(value) (0x0101010101010101 * (uint64_t)(value))

// The eight 2-bit fields of an entry as bytes.
FN uint64_t eight_pairs(uint16_t entry) {
  uint64_t x = entry;
  x = (x | x << 24) & 0x000000ff000000ff;
  x = (x | x << 12) & 0x000f000f000f000f;
  return (x | x << 6) & EACH_BYTE(3);
}

// The four 4-bit fields of two entries each as bytes.
FN uint64_t eight_nibbles(uint16_t first, uint16_t second) {
  uint64_t x = first | (uint64_t)second << 32;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  return (x | x << 4) & EACH_BYTE(15);
}

// 0, 1, 2 stand for 8, 25, 43.
FN uint64_t iq2_values(uint16_t entry) {
  const uint64_t c = eight_pairs(entry);
  return c * 17 + (c >> 1 & EACH_BYTE(1)) + EACH_BYTE(8);
}

// 0, 1, …, 7 stand for 4, 12, …, 52 and 62.
FN uint64_t iq3_xxs_values(uint8_t first, uint8_t second) {
  const uint64_t c = eight_nibbles(iq3_xxs_grid[first], iq3_xxs_grid[second]);
  return c * 8 + EACH_BYTE(4) + (c + EACH_BYTE(1) >> 2 & EACH_BYTE(2));
}

// Stores values, all above 0, those with a sign bit negated.
FN void store_signed(int8_t *codes, uint64_t values, uint8_t signs) {
  const uint64_t ones = top_bits(signs) >> 7;
  values = (values ^ ones * 0xff) + ones;
  memcpy(codes, &values, sizeof values);
}

// An even number of eight weights is negative, so that seven bits say which.
FN uint8_t even_signs(uint32_t seven) { return (uint8_t)(seven & 127 | (uint32_t)__builtin_parity(seven & 127) << 7); }

FN void unpack_iq2_xxs(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  for (int group = 0; group < 8; group++) {
    const uint8_t *packed = src + 2 + group * 8;
    const uint32_t signs = u32_at(packed + 4);
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++)
      store_signed(codes + i * 8, iq2_values(iq2_xxs_grid[packed[i]]), even_signs(signs >> 7 * i));
    scale_centred(dst + group * IQ_GROUP, codes, IQ_GROUP, d * (0.5f + (float)(signs >> 28)) * 0.25f);
  }
}

// Scales the two halves of a group by the nibbles of a byte.
FN void scale_halves(float *restrict dst, const int8_t *restrict codes, float d, uint8_t scales) {
  scale_centred(dst, codes, 16, d * (0.5f + (float)(scales & 15)) * 0.25f);
  scale_centred(dst + 16, codes + 16, 16, d * (0.5f + (float)(scales >> 4)) * 0.25f);
}

FN void unpack_iq2_xs(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  for (int group = 0; group < 8; group++) {
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++) {
      const uint16_t packed = u16_at(src + 2 + group * 8 + i * 2);
      store_signed(codes + i * 8, iq2_values(iq2_xs_grid[packed & 511]), even_signs(packed >> 9));
    }
    scale_halves(dst + group * IQ_GROUP, codes, d, src[66 + group]);
  }
}

FN void unpack_iq2_s(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  for (int group = 0; group < 8; group++) {
    const uint8_t *low = src + 2 + group * 4, *signs = low + 32;
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++)
      store_signed(codes + i * 8, iq2_values(iq2_s_grid[low[i] | (src[66 + group] >> 2 * i & 3) << 8]), signs[i]);
    scale_halves(dst + group * IQ_GROUP, codes, d, src[74 + group]);
  }
}

FN void unpack_iq3_xxs(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  for (int group = 0; group < 8; group++) {
    const uint8_t *packed = src + 2 + group * 8;
    const uint32_t signs = u32_at(src + 66 + group * 4);
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++)
      store_signed(codes + i * 8, iq3_xxs_values(packed[2 * i], packed[2 * i + 1]), even_signs(signs >> 7 * i));
    scale_centred(dst + group * IQ_GROUP, codes, IQ_GROUP, d * (0.5f + (float)(signs >> 28)) * 0.5f);
  }
}

// 0, 1, …, 7 stand for 1, 3, …, 15.
FN void unpack_iq3_s(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  for (int group = 0; group < 8; group++) {
    const uint8_t *low = src + 2 + group * 8, *signs = src + 74 + group * 4;
    const int high = src[66 + group], scale = src[106 + group / 2] >> (group % 2 * 4) & 15;
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++) {
      const int first = low[2 * i] | (high >> 2 * i & 1) << 8, second = low[2 * i + 1] | (high >> (2 * i + 1) & 1) << 8;
      store_signed(codes + i * 8, eight_nibbles(iq3_s_grid[first], iq3_s_grid[second]) * 2 + EACH_BYTE(1), signs[i]);
    }
    scale_centred(dst + group * IQ_GROUP, codes, IQ_GROUP, d * (float)(1 + 2 * scale));
  }
}

// Stores 8·(c − 1 ± 1/8) for the eight indices c of an entry. Through the sign bit, so that no byte borrows.
FN void store_shifted(int8_t *codes, int entry, int down) {
  const uint64_t values = (eight_pairs(iq1_grid[entry]) * 8 + (down ? EACH_BYTE(0x77) : EACH_BYTE(0x79))) ^ EACH_BYTE(0x80);
  memcpy(codes, &values, sizeof values);
}

FN void unpack_iq1_s(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  for (int group = 0; group < 8; group++) {
    const uint8_t *low = src + 2 + group * 4;
    const int high = u16_at(src + 34 + group * 2);
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++) store_shifted(codes + i * 8, low[i] | (high >> 3 * i & 7) << 8, high >> 15);
    scale_centred(dst + group * IQ_GROUP, codes, IQ_GROUP, d * (float)(2 * (high >> 12 & 7) + 1) * 0.125f);
  }
}

FN void unpack_iq1_m(float *restrict dst, const uint8_t *restrict src) {
  const uint8_t *scales = src + 48;
  const float d = half_of((uint16_t)(scales[1] >> 4 | scales[3] & 0xf0 | (scales[5] & 0xf0) << 4 | (scales[7] & 0xf0) << 8));
  for (int group = 0; group < 8; group++) {
    const int packed = u16_at(scales + group / 2 * 2) >> group % 2 * 6;
    int8_t codes[IQ_GROUP];
    for (int i = 0; i < 4; i++) {
      const int high = src[32 + group * 2 + i / 2] >> i % 2 * 4;
      store_shifted(codes + i * 8, src[group * 4 + i] | (high & 7) << 8, high & 8);
    }
    scale_centred(dst + group * IQ_GROUP, codes, 16, d * (float)(2 * (packed & 7) + 1) * 0.125f);
    scale_centred(dst + group * IQ_GROUP + 16, codes + 16, 16, d * (float)(2 * (packed >> 3 & 7) + 1) * 0.125f);
  }
}

FN void unpack_iq4_xs(float *restrict dst, const uint8_t *restrict src) {
  const float d = half_at(src);
  const int high = u16_at(src + 2);
  for (int group = 0; group < 8; group++) {
    const int low = src[4 + group / 2] >> group % 2 * 4 & 15;
    int8_t codes[IQ_GROUP];
    nibbles(codes, src + 8 + group * 16, 0);
    look_up(codes, iq4_values);
    scale_centred(dst + group * IQ_GROUP, codes, IQ_GROUP, d * (float)((low | (high >> 2 * group & 3) << 4) - 32));
  }
}
