// vec.h for AVX-512: one register.
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define FN static inline __attribute__((always_inline)) TARGET

typedef __m512 vec;
typedef __mmask16 vmask;
typedef struct {
  __m512d low, high;
} vecd;

FN vec v_set(float x) { return _mm512_set1_ps(x); }
FN vec v_load(const float *x) { return _mm512_loadu_ps(x); }
FN void v_store(float *x, vec v) { _mm512_storeu_ps(x, v); }
FN vec v_bytes(const int8_t *x) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)x))); }
FN vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
FN vec v_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
FN vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
FN vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
FN vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }  // a·b + c
FN vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }              // b where either is NaN
FN vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }              // b where either is NaN
FN vec v_round(vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
FN vec v_scale(vec a, vec n) { return _mm512_scalef_ps(a, n); }         // a · 2^n for an integer n

FN vmask m_first(int64_t n) { return (__mmask16)(n >= LANES ? 0xffff : (1u << n) - 1); }
FN vmask m_ge(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
FN vmask m_lt(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
FN vec v_select(vmask m, vec a, vec b) { return _mm512_mask_blend_ps(m, b, a); }  // m ? a : b

// The floats at stored, one after the other, where bits has a bit, zeros elsewhere.
FN vec v_expand(const float *stored, uint32_t bits) { return _mm512_maskz_expand_ps((__mmask16)bits, v_load(stored)); }

FN vecd d_zero(void) { return (vecd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }

FN __m512d low_half(vec v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
FN __m512d high_half(vec v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }

FN vecd d_set(double x) { return (vecd){_mm512_set1_pd(x), _mm512_set1_pd(x)}; }
FN vecd d_widen(vec v) { return (vecd){low_half(v), high_half(v)}; }
FN vec d_narrow(vecd v) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(v.low)), _mm512_cvtpd_ps(v.high), 1);
}

// a·b + c
FN vecd d_fma(vecd a, vecd b, vecd c) {
  return (vecd){_mm512_fmadd_pd(a.low, b.low, c.low), _mm512_fmadd_pd(a.high, b.high, c.high)};
}

FN vecd d_add(vecd sum, vec v) {
  return (vecd){_mm512_add_pd(sum.low, low_half(v)), _mm512_add_pd(sum.high, high_half(v))};
}

// sum + v², the square exact
FN vecd d_add_square(vecd sum, vec v) {
  return (vecd){_mm512_fmadd_pd(low_half(v), low_half(v), sum.low), _mm512_fmadd_pd(high_half(v), high_half(v), sum.high)};
}

// sum + p·(a − b)
FN vecd d_add_weighted(vecd sum, vec p, vec a, vec b) {
  const __m512d low = _mm512_sub_pd(low_half(a), low_half(b)), high = _mm512_sub_pd(high_half(a), high_half(b));
  return (vecd){_mm512_fmadd_pd(low_half(p), low, sum.low), _mm512_fmadd_pd(high_half(p), high, sum.high)};
}

FN void d_store(double *x, vecd v) {
  _mm512_storeu_pd(x, v.low);
  _mm512_storeu_pd(x + 8, v.high);
}
