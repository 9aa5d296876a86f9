// Causal grouped-query attention, one tile of queries at a time: their scores against all keys they see, softmax, and the
// weighted sum of values. Memory is a tile × keys, never tokens × keys; the two products use the fp32 multiply.
//
// A query's result depends on its own position and on nothing else of the call: every score is one chain over dim, the
// softmax has a fixed lane order, and the sum of values is one chain over the visible keys in order.
#include <string.h>

#include "kernels.h"

// Offsets into the scratch, in floats.
struct layout {
  int64_t keys;    // [key panel][dim][panel]
  int64_t values;  // [dim panel][keys][panel]
  int64_t packed;  // [dim or keys][tile]
  int64_t scores;  // [tile][score_stride]
  int64_t score_stride;
  int64_t size;
};

static struct layout lay_out(const struct gemm *g, int64_t keys, int64_t dim) {
  const int64_t keys_up = round_up(keys, PANEL_MAX), dim_up = round_up(dim, PANEL_MAX);
  struct layout l;
  l.score_stride = keys_up + GROUP;  // the gap keeps a tile's rows out of one cache set
  l.keys = 0;
  l.values = l.keys + keys_up * dim_up;
  l.packed = l.values + keys_up * dim_up;
  l.scores = l.packed + (keys_up > dim_up ? keys_up : dim_up) * TILE_MAX + GROUP;
  l.size = l.scores + g->tile * l.score_stride;
  return l;
}

int64_t finch_attention_scratch(const struct isa *isa, int64_t keys, int64_t dim) {
  return lay_out(isa->f32, keys, dim).size;
}

static void pack_keys(const struct gemm *g, uint32_t *dst, const float *k, int64_t stride, int64_t keys, int64_t dim) {
  const int64_t depth = round_up(dim, GROUP);
  for (int64_t first = 0; first < keys; first += g->panel, dst += depth * g->panel)
    for (int64_t group = 0; group < g->panel; group += GROUP) {
      const int64_t count = keys - first - group;  // none in the last panel's second group, at times: zeros
      g->pack_w(dst + group, k + (first + (count > 0 ? group : 0)) * stride, stride,
                count < 0 ? 0 : min64(GROUP, count), dim);
    }
}

static void pack_values(const struct gemm *g, float *dst, const float *v, int64_t stride, int64_t keys, int64_t dim) {
  for (int64_t first = 0; first < dim; first += g->panel) {
    const int64_t width = min64(g->panel, dim - first);
    for (int64_t key = 0; key < keys; key++, dst += g->panel) {
      memcpy(dst, v + key * stride + first, width * sizeof *dst);
      memset(dst + width, 0, (g->panel - width) * sizeof *dst);
    }
  }
}

// dst [count, dim] for the queries at positions limit - 1, limit, …: the first one sees limit keys, each next one more.
static void attend_tile(const struct isa *isa, float *dst, const float *q, int64_t stride, int64_t count, int64_t limit,
                        int64_t keys, int64_t dim, float scale, float *scratch, const struct layout *l) {
  const struct gemm *g = isa->f32;
  const int64_t depth = round_up(dim, GROUP), visible = limit + count - 1;
  const uint32_t *packed_keys = (const uint32_t *)(scratch + l->keys);
  const uint32_t *packed_values = (const uint32_t *)(scratch + l->values);
  uint32_t *packed = (uint32_t *)(scratch + l->packed);
  float *scores = scratch + l->scores;

  g->pack_x(packed, q, stride, count, dim);
  for (int64_t key = 0; key < visible; key += g->panel)
    g->multiply(scores + key, l->score_stride, packed, packed_keys + key * depth, dim, count, g->panel, 0);

  float inverse[TILE_MAX];
  for (int64_t i = 0; i < count; i++) inverse[i] = isa->softmax(scores + i * l->score_stride, limit + i, scale);

  // The keys that all see, together; then for each query those that only it and later ones see.
  g->pack_x(packed, scores, l->score_stride, count, limit);
  for (int64_t d = 0; d < dim; d += g->panel)
    g->multiply(dst + d, stride, packed, packed_values + d * keys, limit, count, min64(g->panel, dim - d), 0);
  for (int64_t i = 1; i < count; i++) {
    g->pack_x(packed, scores + i * l->score_stride + limit, l->score_stride, 1, i);
    for (int64_t d = 0; d < dim; d += g->panel)
      g->multiply(dst + i * stride + d, stride, packed, packed_values + d * keys + limit * g->panel, i, 1,
                  min64(g->panel, dim - d), 1);
  }
  for (int64_t i = 0; i < count; i++)
    for (int64_t d = 0; d < dim; d++) dst[i * stride + d] *= inverse[i];
}

// dst, q [tokens, heads, dim]; k, v [keys, kv_heads, dim]. Query i is at position keys - tokens + i.
void finch_attention(const struct isa *isa, float *dst, const float *q, const float *k, const float *v, int64_t tokens,
                     int64_t keys, int64_t heads, int64_t kv_heads, int64_t dim, float scale, float *scratch) {
  const struct gemm *g = isa->f32;
  const struct layout l = lay_out(g, keys, dim);
  const int64_t share = heads / kv_heads, stride = heads * dim;
  for (int64_t h = 0; h < heads; h++) {
    if (h % share == 0) {
      const int64_t kv = h / share * dim;
      pack_keys(g, (uint32_t *)(scratch + l.keys), k + kv, kv_heads * dim, keys, dim);
      pack_values(g, scratch + l.values, v + kv, kv_heads * dim, keys, dim);
    }
    for (int64_t t = 0; t < tokens; t += g->tile)
      attend_tile(isa, dst + t * stride + h * dim, q + t * stride + h * dim, stride, min64(g->tile, tokens - t),
                  keys - tokens + t + 1, keys, dim, scale, scratch, &l);
  }
}
