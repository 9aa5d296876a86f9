// The table of paths, and the functions that Go calls for whichever path it selected.
#include "kernels.h"

static int always(void) { return 1; }

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the registers.
static int has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_avx512bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif

static const struct path paths[] = {
#if defined(__x86_64__)
    {"avx512bf16", has_avx512bf16, &gemm_avx512bf16, &isa_avx512},
    {"avx512", has_avx512, &gemm_avx512, &isa_avx512},
    {"avx2", has_avx2, &gemm_avx2, &isa_avx2},
#elif defined(__aarch64__)
    {"neon", always, &gemm_neon, &isa_neon},
#endif
    {"portable", always, &gemm_portable, &isa_portable},
};

const struct path *finch_path(int i) { return i < (int)(sizeof paths / sizeof *paths) ? &paths[i] : NULL; }

int finch_supported(const struct path *p) { return p->supported(); }

void finch_rms_norm(const struct isa *isa, float *dst, const float *x, const float *weight, int64_t tokens,
                    int64_t hidden, float eps) {
  isa->rms_norm(dst, x, weight, tokens, hidden, eps);
}

void finch_layer_norm(const struct isa *isa, float *dst, const float *x, const float *weight, const float *bias,
                      int64_t tokens, int64_t hidden, float eps) {
  isa->layer_norm(dst, x, weight, bias, tokens, hidden, eps);
}

void finch_rope(const struct isa *isa, float *x, int64_t tokens, int64_t heads, int64_t dim, int64_t pairs,
                const float *cosine, const float *sine, int interleaved) {
  isa->rope(x, tokens, heads, dim, pairs, cosine, sine, interleaved);
}

void finch_swiglu(const struct isa *isa, float *dst, const float *gate, const float *up, int64_t n) {
  isa->swiglu(dst, gate, up, n);
}

void finch_gelu(const struct isa *isa, float *dst, const float *x, int64_t n) { isa->gelu(dst, x, n); }

void finch_gelu_tanh(const struct isa *isa, float *dst, const float *x, int64_t n) { isa->gelu_tanh(dst, x, n); }

void finch_geglu(const struct isa *isa, float *dst, const float *gate, const float *up, int64_t n) {
  isa->geglu(dst, gate, up, n);
}

void finch_add(const struct isa *isa, float *dst, const float *x, int64_t n) { isa->add(dst, x, n); }

void finch_add_rows(const struct isa *isa, float *x, const float *bias, int64_t tokens, int64_t n) {
  isa->add_rows(x, bias, tokens, n);
}

void finch_head(const struct isa *isa, struct head_state *state, const float *s, const float *t, int64_t stride,
                int64_t tokens, int64_t first, int64_t n, int top_k) {
  isa->head(state, s, t, stride, tokens, first, n, top_k);
}

void finch_softcap(const struct isa *isa, float *x, int64_t stride, int64_t tokens, int64_t n, float cap) {
  for (int64_t t = 0; t < tokens; t++) isa->softcap(x + t * stride, n, 1, cap);
}

// Replaces the smallest of a heap by value and restores the order.
static void replace_smallest(float *heap, int64_t k, float value) {
  int64_t hole = 0;
  for (;;) {
    int64_t child = 2 * hole + 1;
    if (child >= k) break;
    if (child + 1 < k && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= value) break;
    heap[hole] = heap[child];
    hole = child;
  }
  heap[hole] = value;
}

void finch_top_k(float *heaps, int64_t k, const float *logits, int64_t stride, int64_t tokens, int64_t n) {
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t i = 0; i < n; i++)
      if (logits[t * stride + i] > heaps[t * k])  // never for NaN
        replace_smallest(heaps + t * k, k, logits[t * stride + i]);
}
