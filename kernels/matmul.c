// The driver of the matrix multiply: for each panel of W unpack, pack, and run the register tile over all tokens.
#include <string.h>

#include "kernels.h"

enum {
  DEPTH = 2048,     // units of a panel that stay in the second-level cache (256 KiB) while all tokens pass by
  CACHE_LINE = 64,  // bytes
};

void finch_peak(const struct gemm *g, float *sums, const uint32_t *x, const uint32_t *w, int64_t units) {
  g->peak(sums, x, w, units);
}

void finch_pack(const struct gemm *g, uint32_t *dst, const float *x, int64_t tokens, int64_t cols) {
  const int64_t depth = round_up(units_of(g, cols), GROUP);
  for (int64_t t = 0; t < tokens; t += g->tile)
    g->pack_x(dst + t * depth, x + t * cols, cols, min64(g->tile, tokens - t), cols);
}

// Where the blocks of a dense row lie, from a column on, after the beginning of the data.
static int64_t offset_of(const struct matrix *m, int64_t row, int64_t col) {
  return (row * m->cols + col) / m->block_weights * m->block_bytes;
}

// Asks for n columns of a dense row, which may be beyond the last: they are wanted soon, and a processor that sees 16 rows read
// piece by piece in turn does not foresee it. With few tokens, waiting for them takes up to half of the time.
static void fetch(const struct matrix *m, int64_t row, int64_t col, int64_t n) {
  const uintptr_t first = (uintptr_t)m->data + offset_of(m, row, col);
  for (int64_t i = 0; i < n / m->block_weights * m->block_bytes; i += CACHE_LINE)
    __builtin_prefetch((const void *)(first + i));
}

// Columns [start, start + n) of a dense row, or a whole sparse row, as floats.
static void unpack_row(const struct isa *isa, float *dst, const struct matrix *m, int64_t row, int64_t start, int64_t n,
                       float *stored) {
  if (m->mask == NULL) {
    isa->unpack(dst, m->format, m->data + offset_of(m, row, start), n);
    return;
  }
  const int64_t first = m->row_start[row], end = m->row_start[row + 1];
  isa->unpack(stored, m->format, m->data + first * m->block_bytes, (end - first) * m->block_weights);
  isa->expand(dst, stored, m->mask + row * ((m->cols + 7) / 8), m->cols);
}

// panel [units][g->panel] from the units from start on of rows [first, end) of W. A dense row comes in chunks that stay in the
// first-level cache; a sparse row comes whole, since only its beginning is known.
// rows is scratch: GROUP rows of width + GROUP floats (the gap keeps them out of one cache set), then the stored weights.
static void pack_panel(const struct path *p, uint32_t *panel, const struct matrix *m, int64_t start, int64_t units,
                       int64_t first, int64_t end, float *rows) {
  const struct gemm *g = p->gemm;
  const int64_t from = start * g->per, to = min64(from + units * g->per, m->cols);
  const int64_t width = m->mask == NULL ? CHUNK : m->cols;
  const int64_t stride = round_up(width, GROUP) + GROUP;
  float *stored = rows + GROUP * stride;
  for (int64_t group = 0; group < g->panel; group += GROUP) {
    const int64_t count = min64(GROUP, end - first - group);
    for (int64_t col = from; col < to; col += width) {
      const int64_t n = min64(width, to - col);
      for (int64_t r = 0; r < count; r++) {
        const int64_t row = first + group + r;
        if (m->mask == NULL) fetch(m, col + n < to ? row : row + GROUP, col + n < to ? col + n : from, n);
        unpack_row(p->isa, rows + r * stride, m, row, col, n, stored);
      }
      g->pack_w(panel + (col - from) / g->per * g->panel + group, rows, stride, count, n);
    }
  }
}

// dst [tokens, end - first] with the given row stride: outputs first to end of W for the packed x. The columns are taken in
// slabs, so that of a wide W neither a panel nor the x that it meets outgrows the cache; a sparse W is one slab.
void finch_multiply(const struct path *p, float *dst, int64_t stride, const uint32_t *x, int64_t tokens, int64_t first,
                    int64_t end, int64_t cols, int format, int64_t block_weights, int64_t block_bytes,
                    const uint8_t *data, const uint8_t *mask, const uint32_t *row_start, uint32_t *panel, float *rows) {
  const struct gemm *g = p->gemm;
  const struct matrix m = {cols, format, block_weights, block_bytes, data, mask, row_start};
  const int64_t units = units_of(g, cols), depth = round_up(units, GROUP);
  const int64_t slab = mask == NULL ? DEPTH : round_up(units, DEPTH);
  int64_t start = 0;
  do {  // at least once: without columns the sums are zero
    const int64_t stop = min64(start + slab, units);
    for (int64_t n = first; n < end; n += g->panel) {
      const int64_t outputs = min64(g->panel, end - n);
      pack_panel(p, panel, &m, start, stop - start, n, n + outputs, rows);
      int64_t k = start;
      do {
        for (int64_t t = 0; t < tokens; t += g->tile)
          g->multiply(dst + t * stride + n - first, stride, x + t * depth + k * g->tile, panel + (k - start) * g->panel,
                      min64(DEPTH, stop - k), min64(g->tile, tokens - t), outputs, k > 0);
        k += DEPTH;
      } while (k < stop);
    }
    start += slab;
  } while (start < units);
}
