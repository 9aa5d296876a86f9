// The C side of package kernels. Go selects a path (paths.c) and calls the finch_* functions; the per-instruction-set
// functions are reached through struct gemm and struct isa only, so that no instruction runs that the CPU lacks.
// Nothing here allocates, keeps a pointer, or starts a thread. Layouts are row-major; sizes are in elements.
#ifndef FINCH_KERNELS_H
#define FINCH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// Products are rounded before they are added, except where the code says fma: otherwise results would differ between
// compilers. cgo refuses -ffp-contract=off; gcc does the same under -std=c11, clang under this pragma.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && !defined(__STRICT_ANSI__)
#error "compile with -std=c11"
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "blocks of weights are little-endian, and so must the machine be"
#endif

enum {
  GROUP = 16,        // rows that are packed together; a panel holds one or more groups
  CHUNK = 256,       // columns of a dense matrix that are unpacked at a time: a multiple of every format's block
  TILE_MAX = 12,     // the largest tile of any path
  PANEL_MAX = 32,    // the largest panel of any path
  COLUMN = 32,       // rows of a column (columns.c)
};

// The formats, numbered as the constants of format.go. From INT_GROUPS on they are those of intgroup.go.
enum {
  F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, IQ3_XXS, IQ3_S, IQ2_XXS,
  IQ2_XS, IQ2_S, IQ1_S, IQ1_M, TQ1_0, TQ2_0, Q1_0, Q2_0, MXFP4, NVFP4, Q8_K, INT_GROUPS,
};

// The code books of ggml's IQ formats: entries of eight 2-bit or, for iq3, four 4-bit indices, the first one lowest.
extern const uint16_t iq1_grid[2048], iq2_xxs_grid[256], iq2_xs_grid[512], iq2_s_grid[1024], iq3_xxs_grid[256],
    iq3_s_grid[512];

// One matrix multiply: packing and register tile. Packed operands consist of 32-bit units, each one float or two
// consecutive bf16. units(cols) is cols / weights per unit, rounded up; buffers hold it rounded up to GROUP.
struct gemm {
  int64_t tile;   // tokens of a register tile
  int64_t panel;  // rows of W, that is outputs, of a register tile
  int64_t per;    // weights per unit

  // dst [units][tile] from x [tokens, cols] with tokens <= tile; missing tokens become zero.
  // May write one vector more than the rounded-up size.
  void (*pack_x)(uint32_t *dst, const float *x, int64_t stride, int64_t tokens, int64_t cols);

  // GROUP columns of dst [units][panel] from w [rows, cols] with rows <= GROUP; missing rows become zero.
  void (*pack_w)(uint32_t *dst, const float *w, int64_t stride, int64_t rows, int64_t cols);

  // dst [tokens, outputs] (+)= x · w over the given number of units, one after the other for every output.
  void (*multiply)(float *dst, int64_t stride, const uint32_t *x, const uint32_t *w, int64_t units, int64_t tokens,
                   int64_t outputs, int add);

  // What multiply does to a whole tile in that many units, but on registers alone: sums [tile][panel] += x [tile] · w [panel],
  // again and again. The peak that a multiply can be measured by.
  void (*peak)(float *sums, const uint32_t *x, const uint32_t *w, int64_t units);
};

// What the head has gathered about one token after some blocks of the vocabulary. With e^s = 2^n · e^r, |r| <= ln2/2,
// sums are held in units of 2^scale, so that a new maximum rescales them exactly.
struct head_state {
  double sum;           // sum of e^s over the student's logits s
  double tail;          // the part of it outside the teacher's top k
  double teacher_sum;   // sum of e^t over the teacher's logits t; this and the next three in units of 2^teacher_scale
  double kl;            // sum of e^t (t - s)
  double top_kl;        // the part of it inside the teacher's top k
  double teacher_tail;  // sum of e^t outside the teacher's top k
  float scale;          // integer
  float teacher_scale;  // integer, given
  float kth;            // the teacher's k-th largest logit, given
  float max;            // the largest s
  float target_logit;   // s of the target, once seen
  float teacher_logit;  // t of the target, likewise
  int32_t top;          // the index of the largest s
  int32_t target;       // given; -1 for none
};

// Everything but the matrix multiply, for one instruction set.
struct isa {
  const struct gemm *f32;  // exact fp32 multiply, also used by attention

  void (*unpack)(float *dst, int format, const uint8_t *src, int64_t weights);
  void (*expand)(float *dst, const float *stored, const uint8_t *mask, int64_t cols);

  // z [n] = scale·row, of which softcap makes cap·tanh(z / cap) unless cap is 0; row becomes e^(z - max), and what softmax
  // returns is 1 / its sum.
  float (*softmax)(float *row, int64_t n, float scale, float cap);
  void (*softcap)(float *row, int64_t n, float scale, float cap);
  void (*rms_norm)(float *dst, const float *x, const float *weight, int64_t tokens, int64_t hidden, float eps);
  void (*layer_norm)(float *dst, const float *x, const float *weight, const float *bias, int64_t tokens, int64_t hidden,
                     float eps);  // bias may be NULL
  void (*rope)(float *x, int64_t tokens, int64_t heads, int64_t dim, int64_t pairs, const float *cosine,
               const float *sine, int interleaved);
  void (*swiglu)(float *dst, const float *gate, const float *up, int64_t n);
  void (*gelu)(float *dst, const float *x, int64_t n);
  void (*gelu_tanh)(float *dst, const float *x, int64_t n);
  void (*geglu)(float *dst, const float *gate, const float *up, int64_t n);
  void (*add)(float *dst, const float *x, int64_t n);
  void (*add_rows)(float *x, const float *bias, int64_t tokens, int64_t n);

  // Folds n logits per token, of vocabulary entries first, first + 1, …, into state [tokens]: student's s [tokens, n]
  // and, unless NULL, teacher's t of the same shape; top_k says whether to separate the teacher's top k.
  void (*head)(struct head_state *state, const float *s, const float *t, int64_t stride, int64_t tokens, int64_t first,
               int64_t n, int top_k);
};

struct path {
  const char *name;
  int (*supported)(void);
  const struct gemm *gemm;
  const struct isa *isa;
};

extern const struct gemm gemm_portable;
extern const struct isa isa_portable;
#if defined(__x86_64__)
extern const struct gemm gemm_avx2, gemm_avx512, gemm_avx512bf16;
extern const struct isa isa_avx2, isa_avx512;
#elif defined(__aarch64__)
extern const struct gemm gemm_neon;
extern const struct isa isa_neon;
#endif

// A matrix as format.go describes it; format numbers are those of Format.
struct matrix {
  int64_t cols;
  int format;
  int64_t block_weights, block_bytes;
  const uint8_t *data;
  const uint8_t *mask;        // NULL: dense
  const uint32_t *row_start;  // NULL: dense
};

static inline int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t units_of(const struct gemm *g, int64_t cols) { return (cols + g->per - 1) / g->per; }

const struct path *finch_path(int i);  // best first; NULL after the last
int finch_supported(const struct path *p);

void finch_peak(const struct gemm *g, float *sums, const uint32_t *x, const uint32_t *w, int64_t units);
void finch_pack(const struct gemm *g, uint32_t *dst, const float *x, int64_t tokens, int64_t cols);
void finch_multiply(const struct path *p, float *dst, int64_t stride, const uint32_t *x, int64_t tokens, int64_t first,
                    int64_t end, int64_t cols, int format, int64_t block_weights, int64_t block_bytes,
                    const uint8_t *data, const uint8_t *mask, const uint32_t *row_start, uint32_t *panel, float *rows);

// AttentionShape of elementwise.go; a window of as many keys as there are is none.
struct attention {
  int64_t tokens, keys, heads, kv_heads, dim, window;
  float scale, softcap;
};

void finch_attention(const struct isa *isa, float *dst, const float *q, const float *k, const float *v,
                     const struct attention *a, float *scratch);
int64_t finch_attention_scratch(const struct isa *isa, int64_t keys, int64_t dim);

void finch_rms_norm(const struct isa *isa, float *dst, const float *x, const float *weight, int64_t tokens,
                    int64_t hidden, float eps);
void finch_layer_norm(const struct isa *isa, float *dst, const float *x, const float *weight, const float *bias,
                      int64_t tokens, int64_t hidden, float eps);
void finch_rope(const struct isa *isa, float *x, int64_t tokens, int64_t heads, int64_t dim, int64_t pairs,
                const float *cosine, const float *sine, int interleaved);
void finch_swiglu(const struct isa *isa, float *dst, const float *gate, const float *up, int64_t n);
void finch_gelu(const struct isa *isa, float *dst, const float *x, int64_t n);
void finch_gelu_tanh(const struct isa *isa, float *dst, const float *x, int64_t n);
void finch_geglu(const struct isa *isa, float *dst, const float *gate, const float *up, int64_t n);
void finch_add(const struct isa *isa, float *dst, const float *x, int64_t n);
void finch_add_rows(const struct isa *isa, float *x, const float *bias, int64_t tokens, int64_t n);

// dst [columns][COLUMN] -= coefficients [columns, terms] * src [terms][COLUMN], whose rows lie stride apart.
void finch_subtract_products(double *dst, int64_t columns, const double *src, int64_t terms, const double *coefficients,
                             int64_t stride);
void finch_head(const struct isa *isa, struct head_state *state, const float *s, const float *t, int64_t stride,
                int64_t tokens, int64_t first, int64_t n, int top_k);

// x [tokens, n] with the given row stride becomes cap·tanh(x / cap).
void finch_softcap(const struct isa *isa, float *x, int64_t stride, int64_t tokens, int64_t n, float cap);

// heaps [tokens, k] keep the k largest logits of each token seen so far, the smallest of them first; they start as
// -INFINITY. logits [tokens, n] with the given row stride.
void finch_top_k(float *heaps, int64_t k, const float *logits, int64_t stride, int64_t tokens, int64_t n);

#endif
