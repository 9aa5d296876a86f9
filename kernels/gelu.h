// GELU and its kin (Hendrycks and Gimpel, arXiv 1606.08415), x·Φ(x) with Φ the normal distribution or a logistic one that is
// near it, written once over vec.h. Φ comes from its smaller side, which does not cancel, and the exponent of that from
// float64: rounded to float32 it would cost a relative 2⁻²⁴ times itself.

// e^x for x <= 0 to about one unit in the last place of float32.
FN vec exp_of_wide(vecd x) {
  const vec high = d_narrow(x), low = d_narrow(d_fma(d_widen(high), d_set(-1), x));
  const vec e = v_exp(high);
  return v_fma(e, low, e);  // |low| < 2⁻¹⁷: e^low is 1 + low
}

// Φ(-a) for 0 <= a, which is 0 from 14.5 on: e^(-a²/2) · p(q) / (a + 4), where q = (a - 4) / (a + 4) takes [0, 14.5] to
// [-1, 0.57] and p, minimax with relative error 9e-9, is the ratio of Mills times what evens it out.
FN vec normal_tail(vec a) {
  a = v_min(v_set(14.5f), a);  // in this order NaN passes
  const vecd wide = d_widen(a);
  const vec e = exp_of_wide(d_mul(d_mul(wide, wide), d_set(-0.5)));
  const vec above = v_add(a, v_set(4)), q = v_div(v_sub(a, v_set(4)), above);
  vec p = v_set(-1.3197029e-4f);
  p = v_fma(p, q, v_set(1.7935670e-4f));
  p = v_fma(p, q, v_set(1.5699230e-3f));
  p = v_fma(p, q, v_set(-3.5125560e-3f));
  p = v_fma(p, q, v_set(-7.5252716e-3f));
  p = v_fma(p, q, v_set(0.060403832f));
  p = v_fma(p, q, v_set(-0.18652344f));
  p = v_fma(p, q, v_set(0.38713690f));
  p = v_fma(p, q, v_set(-0.60789659f));
  p = v_fma(p, q, v_set(0.75528514f));
  return v_mul(v_div(p, above), e);
}

// (1 - tanh u) / 2 = e^-2u / (1 + e^-2u) with u = √(2/π) · (a + 0.044715 a³), for 0 <= a; 0 from 10.75 on.
FN vec logistic_tail(vec a) {
  const double slope = -1.5957691216057308;  // -2√(2/π)
  a = v_min(v_set(10.75f), a);               // in this order NaN passes
  const vecd wide = d_widen(a);
  const vec e = exp_of_wide(d_mul(wide, d_fma(d_mul(wide, wide), d_set(slope * 0.044715), d_set(slope))));
  return v_div(e, v_add(v_set(1), e));
}

// x · Φ(x) from Φ(-|x|).
FN vec times_distribution(vec x, vec tail) {
  return v_mul(x, v_select(m_lt(x, v_set(0)), tail, v_sub(v_set(1), tail)));
}

FN vec v_gelu(vec x) { return times_distribution(x, normal_tail(v_abs(x))); }
FN vec v_gelu_tanh(vec x) { return times_distribution(x, logistic_tail(v_abs(x))); }

TARGET static void gelu(float *dst, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) v_store_at(dst, i, n, v_gelu(v_load_at(x, i, n, 0)));
}

TARGET static void gelu_tanh(float *dst, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) v_store_at(dst, i, n, v_gelu_tanh(v_load_at(x, i, n, 0)));
}

TARGET static void geglu(float *dst, const float *gate, const float *up, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    v_store_at(dst, i, n, v_mul(v_gelu_tanh(v_load_at(gate, i, n, 0)), v_load_at(up, i, n, 0)));
}
