// Unpacking integer groups, whose layout intgroup.go explains. Included by unpack.h.

// Puts a plane of the given width below the codes that are there, four at a time: the bytes of codes are weights.
FN void append_plane(uint32_t *restrict codes, const uint8_t *restrict src, const int group, const int width) {
  const int words = group * width / 32;
  const uint32_t mask = 0x01010101u * ((1u << width) - 1);
  for (int run = 0; run < 8 / width; run++)
    for (int i = 0; i < words; i++)
      codes[run * words + i] = codes[run * words + i] << width | (u32_at(src + 4 * i) >> (run * width) & mask);
}

FN void unpack_int_group(float *restrict dst, const uint8_t *restrict src, int bits, const int group, int symmetric) {
  const float scale = half_at(src);
  // Codes of eight bits become signed bytes. Code less zero is a whole number, and exact.
  const int centre = bits == 8 ? 128 : 0;
  const float offset = (float)(centre - (symmetric ? 1 << (bits - 1) : src[2]));
  src += symmetric ? 2 : 3;
  uint32_t codes[32] = {0};
  if (bits == 8) {
    append_plane(codes, src, group, 8);
    for (int i = 0; i < group / 4; i++) codes[i] ^= 0x80808080;
  }
  if (bits & 4) {
    append_plane(codes, src, group, 4);
    src += group / 2;
  }
  if (bits & 2) {
    append_plane(codes, src, group, 2);
    src += group / 4;
  }
  if (bits & 1) append_plane(codes, src, group, 1);
  for (int i = 0; i < group; i += LANES) {
    const vec code = v_bytes((const int8_t *)codes + i);
    v_store(dst + i, v_mul(v_set(scale), v_add(code, v_set(offset))));
  }
}

FN void unpack_int(float *dst, int number, const uint8_t *src, int64_t weights) {
  const int bits = 2 + number / 6, symmetric = number % 2;
  const int size = (symmetric ? 2 : 3) + (32 << number / 2 % 3) * bits / 8;
  switch (number / 2 % 3) {
#define GROUPS_OF(group)                                                 \
  for (int64_t i = 0; i < weights; i += group, src += size)              \
    unpack_int_group(dst + i, src, bits, group, symmetric);              \
  break
    case 0: GROUPS_OF(32);
    case 1: GROUPS_OF(64);
    case 2: GROUPS_OF(128);
#undef GROUPS_OF
  }
}
