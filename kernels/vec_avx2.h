// vec.h for AVX2 with FMA: two registers.
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c,popcnt")))
#define FN static inline __attribute__((always_inline)) TARGET

typedef struct {
  __m256 low, high;
} vec;
typedef vec vmask;  // all ones or all zeros per lane
typedef struct {
  __m256d quarter[4];
} vecd;

#define EACH(op, ...) (vec) { op(low, __VA_ARGS__), op(high, __VA_ARGS__) }
#define ADD(half, a, b) _mm256_add_ps(a.half, b.half)
#define SUB(half, a, b) _mm256_sub_ps(a.half, b.half)
#define MUL(half, a, b) _mm256_mul_ps(a.half, b.half)
#define DIV(half, a, b) _mm256_div_ps(a.half, b.half)
#define FMA(half, a, b, c) _mm256_fmadd_ps(a.half, b.half, c.half)
#define MAX(half, a, b) _mm256_max_ps(a.half, b.half)
#define MIN(half, a, b) _mm256_min_ps(a.half, b.half)
#define ROUND(half, a) _mm256_round_ps(a.half, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define GE(half, a, b) _mm256_cmp_ps(a.half, b.half, _CMP_GE_OQ)
#define LT(half, a, b) _mm256_cmp_ps(a.half, b.half, _CMP_LT_OQ)
#define SELECT(half, m, a, b) _mm256_blendv_ps(b.half, a.half, m.half)

FN vec v_set(float x) { return (vec){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
FN vec v_load(const float *x) { return (vec){_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)}; }
FN void v_store(float *x, vec v) {
  _mm256_storeu_ps(x, v.low);
  _mm256_storeu_ps(x + 8, v.high);
}
FN __m256 bytes_half(const int8_t *x) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)x)));
}
FN vec v_bytes(const int8_t *x) { return (vec){bytes_half(x), bytes_half(x + 8)}; }
FN vec v_add(vec a, vec b) { return EACH(ADD, a, b); }
FN vec v_sub(vec a, vec b) { return EACH(SUB, a, b); }
FN vec v_mul(vec a, vec b) { return EACH(MUL, a, b); }
FN vec v_div(vec a, vec b) { return EACH(DIV, a, b); }
FN vec v_fma(vec a, vec b, vec c) { return EACH(FMA, a, b, c); }  // a·b + c
FN vec v_max(vec a, vec b) { return EACH(MAX, a, b); }            // b where either is NaN
FN vec v_min(vec a, vec b) { return EACH(MIN, a, b); }            // b where either is NaN
FN vec v_round(vec a) { return EACH(ROUND, a); }

// 2^n for a whole n from -126 to 127.
FN __m256 power(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

FN __m256 scale_half(__m256 a, __m256 n) {
  n = _mm256_max_ps(_mm256_set1_ps(-252), _mm256_min_ps(_mm256_set1_ps(254), n));
  const __m256i whole = _mm256_cvtps_epi32(n), part = _mm256_srai_epi32(whole, 1);
  return _mm256_mul_ps(_mm256_mul_ps(a, power(part)), power(_mm256_sub_epi32(whole, part)));
}

// a · 2^n for an integer n, in two steps for the sake of denormal results.
FN vec v_scale(vec a, vec n) { return (vec){scale_half(a.low, n.low), scale_half(a.high, n.high)}; }

FN vmask m_first(int64_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), end = _mm256_set1_epi32((int)min64(n, LANES));
  return (vmask){_mm256_castsi256_ps(_mm256_cmpgt_epi32(end, lane)),
                 _mm256_castsi256_ps(_mm256_cmpgt_epi32(end, _mm256_add_epi32(lane, _mm256_set1_epi32(8))))};
}
FN vmask m_ge(vec a, vec b) { return EACH(GE, a, b); }
FN vmask m_lt(vec a, vec b) { return EACH(LT, a, b); }
FN vec v_select(vmask m, vec a, vec b) { return EACH(SELECT, m, a, b); }  // m ? a : b

FN vecd d_set(double x) {
  const __m256d all = _mm256_set1_pd(x);
  return (vecd){{all, all, all, all}};
}
FN vecd d_zero(void) { return d_set(0); }

FN __m256d widen(vec v, int quarter) {
  const __m256 half = quarter < 2 ? v.low : v.high;
  return _mm256_cvtps_pd(quarter % 2 == 0 ? _mm256_castps256_ps128(half) : _mm256_extractf128_ps(half, 1));
}

FN vecd d_widen(vec v) { return (vecd){{widen(v, 0), widen(v, 1), widen(v, 2), widen(v, 3)}}; }
FN vec d_narrow(vecd v) {
  return (vec){_mm256_set_m128(_mm256_cvtpd_ps(v.quarter[1]), _mm256_cvtpd_ps(v.quarter[0])),
               _mm256_set_m128(_mm256_cvtpd_ps(v.quarter[3]), _mm256_cvtpd_ps(v.quarter[2]))};
}

// a·b + c
FN vecd d_fma(vecd a, vecd b, vecd c) {
  for (int i = 0; i < 4; i++) c.quarter[i] = _mm256_fmadd_pd(a.quarter[i], b.quarter[i], c.quarter[i]);
  return c;
}

FN vecd d_add(vecd sum, vec v) {
  for (int i = 0; i < 4; i++) sum.quarter[i] = _mm256_add_pd(sum.quarter[i], widen(v, i));
  return sum;
}

// sum + v², the square exact
FN vecd d_add_square(vecd sum, vec v) {
  for (int i = 0; i < 4; i++) sum.quarter[i] = _mm256_fmadd_pd(widen(v, i), widen(v, i), sum.quarter[i]);
  return sum;
}

// sum + p·(a − b)
FN vecd d_add_weighted(vecd sum, vec p, vec a, vec b) {
  for (int i = 0; i < 4; i++)
    sum.quarter[i] = _mm256_fmadd_pd(widen(p, i), _mm256_sub_pd(widen(a, i), widen(b, i)), sum.quarter[i]);
  return sum;
}

FN void d_store(double *x, vecd v) {
  for (int i = 0; i < 4; i++) _mm256_storeu_pd(x + 4 * i, v.quarter[i]);
}
