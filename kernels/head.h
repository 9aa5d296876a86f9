// The scoring head: what one block of the vocabulary adds to each token's sums (struct head_state), written once over vec.h.

// 2^e, zero far below.
FN double power_of_two(float e) {
  if (!(e > -1000)) return 0;
  const uint64_t bits = (uint64_t)(1023 + (int64_t)e) << 52;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// e^x in units of 2^scale. Logits beyond ±65536, infinite or NaN become NaN: there v_exp_parts has no precision left.
FN vec exp_scaled(vec x, vec scale) {
  vec n;
  const vec in_range = v_select(m_lt(v_mul(x, x), v_set(0x1p32f)), x, v_set(NAN));
  const vec p = v_exp_parts(in_range, &n);
  return v_scale(p, v_sub(n, scale));
}

// Notes a new largest logit, and moves the sums to the scale that keeps every later term below two.
FN void raise_scale(struct head_state *state, const float *s, int64_t first, int64_t n) {
  vec highest = v_set(-INFINITY);
  for (int64_t i = 0; i < n; i += LANES) highest = v_max(highest, v_load_at(s, i, n, -INFINITY));
  const float top = v_highest(highest);
  if (!(top > state->max)) return;
  state->max = top;
  int64_t at = 0;
  while (at < n - 1 && s[at] != top) at++;
  state->top = (int32_t)(first + at);
  float lanes[LANES];
  v_store(lanes, v_round(v_mul(v_set(top), v_set(1.44269504f))));
  const float scale = lanes[0];
  if (!(scale > state->scale)) return;
  const double factor = power_of_two(state->scale - scale);
  state->sum *= factor;
  state->tail *= factor;
  state->scale = scale;
}

// teacher and top_k are constants where this is inlined.
FN void fold(struct head_state *state, const float *s, const float *t, int64_t first, int64_t n, const int teacher,
             const int top_k) {
  if (state->target >= first && state->target < first + n) {
    state->target_logit = s[state->target - first];
    if (teacher) state->teacher_logit = t[state->target - first];
  }
  raise_scale(state, s, first, n);
  const vec scale = v_set(state->scale), teacher_scale = v_set(state->teacher_scale), kth = v_set(state->kth);
  const vec zero = v_set(0);
  vecd sum = d_zero(), tail = d_zero();
  vecd teacher_sum = d_zero(), kl = d_zero(), top_kl = d_zero(), teacher_tail = d_zero();
  for (int64_t i = 0; i < n; i += LANES) {
    const vmask in = m_first(n - i);
    const vec si = v_load_at(s, i, n, 0);
    const vec e = v_select(in, exp_scaled(si, scale), zero);
    sum = d_add(sum, e);
    if (!teacher) continue;
    const vec ti = v_load_at(t, i, n, 0);
    const vec te = v_select(in, exp_scaled(ti, teacher_scale), zero);
    teacher_sum = d_add(teacher_sum, te);
    kl = d_add_weighted(kl, te, ti, si);
    if (!top_k) continue;
    const vmask inside = m_ge(ti, kth);
    top_kl = d_add_weighted(top_kl, v_select(inside, te, zero), ti, si);
    tail = d_add(tail, v_select(inside, zero, e));
    teacher_tail = d_add(teacher_tail, v_select(inside, zero, te));
  }
  state->sum += d_sum(sum);
  if (!teacher) return;
  state->teacher_sum += d_sum(teacher_sum);
  state->kl += d_sum(kl);
  if (!top_k) return;
  state->top_kl += d_sum(top_kl);
  state->tail += d_sum(tail);
  state->teacher_tail += d_sum(teacher_tail);
}

TARGET static void head(struct head_state *state, const float *s, const float *t, int64_t stride, int64_t tokens,
                        int64_t first, int64_t n, int top_k) {
  for (int64_t i = 0; i < tokens; i++) {
    if (t == NULL)
      fold(state + i, s + i * stride, NULL, first, n, 0, 0);
    else if (!top_k)
      fold(state + i, s + i * stride, t + i * stride, first, n, 1, 0);
    else
      fold(state + i, s + i * stride, t + i * stride, first, n, 1, 1);
  }
}
