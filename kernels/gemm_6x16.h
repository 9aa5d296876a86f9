// The register tile of AVX2 and of NEON, written once over vec.h: 6 tokens × 16 outputs are 12 of AVX2's 16 registers and 24
// of NEON's 32, with room for a unit of W and a broadcast x. Every output is one chain of fused multiply-adds over the
// columns in order, as in gemm_avx512.c, and so bit-identical to it.
//
// The file that includes it says how x[t], t < 6, gets into all lanes: vec broadcast(const float *x, int t).
enum { TILE = 6, PANEL = LANES };

FN void tile(const int tokens, float *sums, const float *x, const float *w, int64_t units) {
  vec sum[TILE];
#pragma GCC unroll 6
  for (int t = 0; t < tokens; t++) sum[t] = v_load(sums + t * PANEL);
  for (int64_t k = 0; k < units; k++, x += TILE, w += PANEL) {
    const vec unit = v_load(w);
#pragma GCC unroll 6
    for (int t = 0; t < tokens; t++) sum[t] = v_fma(broadcast(x, t), unit, sum[t]);
  }
#pragma GCC unroll 6
  for (int t = 0; t < tokens; t++) v_store(sums + t * PANEL, sum[t]);
}

// Accumulators start and end in a whole tile in memory, so that row tails need no masks.
TARGET static void multiply(float *dst, int64_t stride, const uint32_t *x, const uint32_t *w, int64_t units,
                            int64_t tokens, int64_t outputs, int add) {
  float sums[TILE * PANEL] = {0};
  if (add)
    for (int64_t t = 0; t < tokens; t++) memcpy(sums + t * PANEL, dst + t * stride, outputs * sizeof *sums);
  const float *xs = (const float *)x, *ws = (const float *)w;
  switch (tokens) {  // a constant, so that the accumulators become registers
    case 1: tile(1, sums, xs, ws, units); break;
    case 2: tile(2, sums, xs, ws, units); break;
    case 3: tile(3, sums, xs, ws, units); break;
    case 4: tile(4, sums, xs, ws, units); break;
    case 5: tile(5, sums, xs, ws, units); break;
    case 6: tile(6, sums, xs, ws, units); break;
  }
  for (int64_t t = 0; t < tokens; t++) memcpy(dst + t * stride, sums + t * PANEL, outputs * sizeof *sums);
}

TARGET static void peak(float *sums, const uint32_t *x, const uint32_t *w, int64_t units) {
  vec sum[TILE];
#pragma GCC unroll 6
  for (int t = 0; t < TILE; t++) sum[t] = v_load(sums + t * PANEL);
  const vec a = broadcast((const float *)x, 0), unit = v_load((const float *)w);
  for (int64_t k = 0; k < units; k++) {
#pragma GCC unroll 6
    for (int t = 0; t < TILE; t++) sum[t] = v_fma(a, unit, sum[t]);
  }
#pragma GCC unroll 6
  for (int t = 0; t < TILE; t++) v_store(sums + t * PANEL, sum[t]);
}
