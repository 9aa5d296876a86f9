// Plain C: the compiler vectorises over outputs with whatever the baseline of the architecture offers. Products are
// rounded before they are added, so results are the same on every machine.
#include <string.h>

#include "kernels.h"

enum { TILE = 4, PANEL = 16 };

static void pack_x(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols) {
  for (int64_t t = 0; t < TILE; t++)
    for (int64_t k = 0; k < cols; k++) {
      if (t < tokens)
        memcpy(&dst[k * TILE + t], &x[t * stride + k], sizeof *dst);
      else
        dst[k * TILE + t] = 0;
    }
}

static void pack_w(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < GROUP; r++)
    for (int64_t k = 0; k < cols; k++) {
      if (r < rows)
        memcpy(&dst[k * PANEL + r], &w[r * stride + k], sizeof *dst);
      else
        dst[k * PANEL + r] = 0;
    }
}

static void multiply(float *dst, int64_t stride, const uint32_t *x, const uint32_t *w, int64_t units, int64_t tokens,
                     int64_t outputs, int add) {
  for (int64_t t = 0; t < tokens; t++) {
    float sum[PANEL] = {0};
    if (add) memcpy(sum, dst + t * stride, outputs * sizeof *sum);
    for (int64_t k = 0; k < units; k++) {
      float a, b[PANEL];
      memcpy(&a, &x[k * TILE + t], sizeof a);
      memcpy(b, &w[k * PANEL], sizeof b);
      for (int n = 0; n < PANEL; n++) sum[n] += a * b[n];
    }
    memcpy(dst + t * stride, sum, outputs * sizeof *sum);
  }
}

static void peak(float *sums, const uint32_t *x, const uint32_t *w, int64_t units) {
  float a, b[PANEL];
  memcpy(&a, x, sizeof a);
  memcpy(b, w, sizeof b);
  for (int64_t t = 0; t < TILE; t += 2)  // two rows at a time, which fit the registers of every architecture
    for (int64_t k = 0; k < units; k++)
      for (int n = 0; n < PANEL; n++) {
        sums[t * PANEL + n] += a * b[n];
        sums[(t + 1) * PANEL + n] += a * b[n];
      }
}

const struct gemm gemm_portable = {TILE, PANEL, 1, pack_x, pack_w, multiply, peak};
