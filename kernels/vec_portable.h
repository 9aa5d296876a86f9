// vec.h in plain C; the compiler turns the loops into whatever vectors the architecture has.
#define TARGET
#define FN static inline

typedef struct {
  float lane[LANES];
} vec;
typedef struct {
  int32_t lane[LANES];
} vmask;
typedef struct {
  double lane[LANES];
} vecd;

#define EACH(expression)                                        \
  do {                                                          \
    vec out;                                                    \
    for (int i = 0; i < LANES; i++) out.lane[i] = (expression); \
    return out;                                                 \
  } while (0)

FN vec v_set(float x) { EACH(x); }
FN vec v_load(const float *x) { EACH(x[i]); }
FN void v_store(float *x, vec v) { memcpy(x, v.lane, sizeof v.lane); }
FN vec v_bytes(const int8_t *x) { EACH((float)x[i]); }
FN vec v_add(vec a, vec b) { EACH(a.lane[i] + b.lane[i]); }
FN vec v_sub(vec a, vec b) { EACH(a.lane[i] - b.lane[i]); }
FN vec v_mul(vec a, vec b) { EACH(a.lane[i] * b.lane[i]); }
FN vec v_div(vec a, vec b) { EACH(a.lane[i] / b.lane[i]); }
FN vec v_fma(vec a, vec b, vec c) { EACH(a.lane[i] * b.lane[i] + c.lane[i]); }       // rounds twice
FN vec v_max(vec a, vec b) { EACH(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]); }  // b where either is NaN
FN vec v_min(vec a, vec b) { EACH(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); }  // b where either is NaN

// To the nearest integer, ties to even: adding 1.5 · 2^23 leaves no bits for a fraction. Right for |a| < 2^22; beyond, the
// callers need no precision.
FN vec v_round(vec a) { EACH((a.lane[i] + 12582912.0f) - 12582912.0f); }

// 2^n for a whole n from -126 to 127.
FN float power(int32_t n) {
  const uint32_t bits = (uint32_t)(n + 127) << 23;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

FN float scale_lane(float a, float n) {
  if (!(n > -252)) n = -252;
  if (!(n < 254)) n = 254;
  const int32_t whole = (int32_t)n, part = whole >> 1;
  return a * power(part) * power(whole - part);
}

// a · 2^n for an integer n, in two steps for the sake of denormal results.
FN vec v_scale(vec a, vec n) { EACH(scale_lane(a.lane[i], n.lane[i])); }

FN vmask m_first(int64_t n) {
  vmask m;
  for (int i = 0; i < LANES; i++) m.lane[i] = i < n;
  return m;
}

FN vmask m_ge(vec a, vec b) {
  vmask m;
  for (int i = 0; i < LANES; i++) m.lane[i] = a.lane[i] >= b.lane[i];
  return m;
}

FN vmask m_lt(vec a, vec b) {
  vmask m;
  for (int i = 0; i < LANES; i++) m.lane[i] = a.lane[i] < b.lane[i];
  return m;
}

FN vec v_select(vmask m, vec a, vec b) { EACH(m.lane[i] ? a.lane[i] : b.lane[i]); }

FN vecd d_zero(void) { return (vecd){{0}}; }
FN vecd d_set(double x) {
  vecd all;
  for (int i = 0; i < LANES; i++) all.lane[i] = x;
  return all;
}

FN vecd d_widen(vec v) {
  vecd wide;
  for (int i = 0; i < LANES; i++) wide.lane[i] = (double)v.lane[i];
  return wide;
}

FN vec d_narrow(vecd v) { EACH((float)v.lane[i]); }

// a·b + c, rounded twice
FN vecd d_fma(vecd a, vecd b, vecd c) {
  for (int i = 0; i < LANES; i++) c.lane[i] += a.lane[i] * b.lane[i];
  return c;
}

FN vecd d_add(vecd sum, vec v) {
  for (int i = 0; i < LANES; i++) sum.lane[i] += (double)v.lane[i];
  return sum;
}

// sum + v², the square exact
FN vecd d_add_square(vecd sum, vec v) {
  for (int i = 0; i < LANES; i++) sum.lane[i] += (double)v.lane[i] * (double)v.lane[i];
  return sum;
}

// sum + p·(a − b)
FN vecd d_add_weighted(vecd sum, vec p, vec a, vec b) {
  for (int i = 0; i < LANES; i++) sum.lane[i] += (double)p.lane[i] * ((double)a.lane[i] - (double)b.lane[i]);
  return sum;
}

FN void d_store(double *x, vecd v) { memcpy(x, v.lane, sizeof v.lane); }
