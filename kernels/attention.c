// Causal grouped-query attention, one tile of queries at a time: their scores against all keys they see, softmax, and the
// weighted sum of values. Memory is a tile × keys, never tokens × keys; the two products use the fp32 multiply.
//
// A query's result depends on its own position and on nothing else of the call: every score is one chain over dim, the
// softmax has a fixed lane order from the first key that the query sees, and the sum of values is one chain over those keys
// in order.
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

// One head of a call: what its tiles share.
struct head {
  const struct isa *isa;
  const struct attention *a;
  int64_t stride;  // of queries and results
  float *scratch;
  struct layout at;
};

// The first key that a query sees which sees none from end on.
static int64_t first_seen(const struct attention *a, int64_t end) { return end > a->window ? end - a->window : 0; }

// dst [count, dim] (+)= values first to end, weighted by the scores of queries that all see them, from query i of the tile on.
static void weigh(const struct head *h, float *dst, int64_t i, int64_t count, int64_t first, int64_t end, int add) {
  const struct gemm *g = h->isa->f32;
  const int64_t keys = h->a->keys, dim = h->a->dim;
  uint32_t *packed = (uint32_t *)(h->scratch + h->at.packed);
  const uint32_t *values = (const uint32_t *)(h->scratch + h->at.values);
  g->pack_x(packed, h->scratch + h->at.scores + i * h->at.score_stride + first, h->at.score_stride, count, end - first);
  for (int64_t d = 0; d < dim; d += g->panel)
    g->multiply(dst + i * h->stride + d, h->stride, packed, values + d * keys + first * g->panel, end - first, count,
                min64(g->panel, dim - d), add);
}

// dst [count, dim] for the queries at positions limit - 1, limit, …, no more of them than the window is wide: the first one
// sees the keys before limit, each next one one more, and one less if the window cuts its first.
static void attend_tile(const struct head *h, float *dst, const float *q, int64_t count, int64_t limit) {
  const struct attention *a = h->a;
  const struct gemm *g = h->isa->f32;
  const int64_t depth = round_up(a->dim, GROUP), visible = limit + count - 1;
  const uint32_t *packed_keys = (const uint32_t *)(h->scratch + h->at.keys);
  uint32_t *packed = (uint32_t *)(h->scratch + h->at.packed);
  float *scores = h->scratch + h->at.scores;

  const int64_t first = first_seen(a, limit), shared = first_seen(a, visible);
  g->pack_x(packed, q, h->stride, count, a->dim);
  for (int64_t key = first / g->panel * g->panel; key < visible; key += g->panel)
    g->multiply(scores + key, h->at.score_stride, packed, packed_keys + key * depth, a->dim, count, g->panel, 0);

  float inverse[TILE_MAX];
  for (int64_t i = 0; i < count; i++) {
    const int64_t from = first_seen(a, limit + i);
    inverse[i] = h->isa->softmax(scores + i * h->at.score_stride + from, limit + i - from, a->scale, a->softcap);
  }

  // For each query the keys that only it and earlier ones see; those that all see, together; then for each query those that
  // only it and later ones see.
  const int cut = first < shared;
  for (int64_t i = 0; cut && i < count; i++) weigh(h, dst, i, 1, first_seen(a, limit + i), shared, 0);
  weigh(h, dst, 0, count, shared, limit, cut);
  for (int64_t i = 1; i < count; i++) weigh(h, dst, i, 1, limit, limit + i, 1);
  for (int64_t i = 0; i < count; i++)
    for (int64_t d = 0; d < a->dim; d++) dst[i * h->stride + d] *= inverse[i];
}

// dst, q [tokens, heads, dim]; k, v [keys, kv_heads, dim]. Query i is at position keys - tokens + i.
void finch_attention(const struct isa *isa, float *dst, const float *q, const float *k, const float *v,
                     const struct attention *a, float *scratch) {
  const struct gemm *g = isa->f32;
  const struct head h = {isa, a, a->heads * a->dim, scratch, lay_out(g, a->keys, a->dim)};
  const int64_t share = a->heads / a->kv_heads, tile = min64(g->tile, a->window);
  for (int64_t head = 0; head < a->heads; head++) {
    if (head % share == 0) {
      const int64_t kv = head / share * a->dim;
      pack_keys(g, (uint32_t *)(scratch + h.at.keys), k + kv, a->kv_heads * a->dim, a->keys, a->dim);
      pack_values(g, scratch + h.at.values, v + kv, a->kv_heads * a->dim, a->keys, a->dim);
    }
    for (int64_t t = 0; t < a->tokens; t += tile)
      attend_tile(&h, dst + t * h.stride + head * a->dim, q + t * h.stride + head * a->dim, min64(tile, a->tokens - t),
                  a->keys - a->tokens + t + 1);
  }
}
