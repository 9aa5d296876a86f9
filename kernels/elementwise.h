// Softmax, norms, rotary embedding, SwiGLU and additions, written once over vec.h.

TARGET static void softcap(float *row, int64_t n, float scale, float cap) {
  const vec factor = v_set(scale), limit = v_set(cap);
  for (int64_t i = 0; i < n; i += LANES) {
    const vec z = v_mul(v_load_at(row, i, n, 0), factor);
    v_store_at(row, i, n, v_mul(limit, v_tanh(v_div(z, limit))));
  }
}

// The maximum is subtracted after scaling, so that the largest exponent is exactly zero.
TARGET static float softmax(float *row, int64_t n, float scale, float cap) {
  if (cap != 0) {
    softcap(row, n, scale, cap);
    scale = 1;
  }
  const vec factor = v_set(scale);
  vec highest = v_set(-INFINITY);
  for (int64_t i = 0; i < n; i += LANES) {
    const vec z = v_mul(v_load_at(row, i, n, -INFINITY), factor);
    highest = v_max(highest, z);
    v_store_at(row, i, n, z);
  }
  const vec shift = v_set(v_highest(highest));
  vec sum = v_set(0);
  for (int64_t i = 0; i < n; i += LANES) {
    const vec e = v_exp(v_sub(v_load_at(row, i, n, 0), shift));
    sum = v_add(sum, v_select(m_first(n - i), e, v_set(0)));
    v_store_at(row, i, n, e);
  }
  return 1 / v_sum(sum);
}

TARGET static void rms_norm(float *dst, const float *x, const float *weight, int64_t tokens, int64_t hidden, float eps) {
  for (int64_t t = 0; t < tokens; t++, x += hidden, dst += hidden) {
    vecd sum = d_zero();
    for (int64_t i = 0; i < hidden; i += LANES) sum = d_add_square(sum, v_load_at(x, i, hidden, 0));
    const vec factor = v_set((float)(1 / sqrt(d_sum(sum) / (double)hidden + (double)eps)));
    for (int64_t i = 0; i < hidden; i += LANES)
      v_store_at(dst, i, hidden, v_mul(v_mul(v_load_at(x, i, hidden, 0), factor), v_load_at(weight, i, hidden, 0)));
  }
}

// x[i] less the mean, which is high + low; 0 beyond n.
FN vec centered(const float *x, int64_t i, int64_t n, vec high, vec low) {
  return v_select(m_first(n - i), v_sub(v_sub(v_load_at(x, i, n, 0), high), low), v_set(0));
}

TARGET static void layer_norm(float *dst, const float *x, const float *weight, const float *bias, int64_t tokens,
                              int64_t hidden, float eps) {
  for (int64_t t = 0; t < tokens; t++, x += hidden, dst += hidden) {
    vecd sum = d_zero(), squares = d_zero();
    for (int64_t i = 0; i < hidden; i += LANES) sum = d_add(sum, v_load_at(x, i, hidden, 0));
    const double mean = d_sum(sum) / (double)hidden;
    const vec high = v_set((float)mean), low = v_set((float)(mean - (double)(float)mean));
    for (int64_t i = 0; i < hidden; i += LANES) squares = d_add_square(squares, centered(x, i, hidden, high, low));
    const vec factor = v_set((float)(1 / sqrt(d_sum(squares) / (double)hidden + (double)eps)));
    for (int64_t i = 0; i < hidden; i += LANES) {
      const vec scaled = v_mul(v_mul(centered(x, i, hidden, high, low), factor), v_load_at(weight, i, hidden, 0));
      v_store_at(dst, i, hidden, bias == NULL ? scaled : v_add(scaled, v_load_at(bias, i, hidden, 0)));
    }
  }
}

// Rotates pairs (2i, 2i + 1) if interleaved, else (i, i + pairs), by the angles whose cosine and sine are given
// [tokens, pairs]. What is beyond the pairs stays.
TARGET static void rope(float *x, int64_t tokens, int64_t heads, int64_t dim, int64_t pairs, const float *cosine,
                        const float *sine, int interleaved) {
  for (int64_t t = 0; t < tokens; t++, cosine += pairs, sine += pairs)
    for (int64_t h = 0; h < heads; h++, x += dim) {
      if (interleaved)
        for (int64_t i = 0; i < pairs; i++) {
          const float a = x[2 * i], b = x[2 * i + 1];
          x[2 * i] = a * cosine[i] - b * sine[i];
          x[2 * i + 1] = a * sine[i] + b * cosine[i];
        }
      else
        for (int64_t i = 0; i < pairs; i++) {
          const float a = x[i], b = x[pairs + i];
          x[i] = a * cosine[i] - b * sine[i];
          x[pairs + i] = a * sine[i] + b * cosine[i];
        }
    }
}

TARGET static void swiglu(float *dst, const float *gate, const float *up, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) {
    const vec g = v_load_at(gate, i, n, 0);
    const vec silu = v_div(g, v_add(v_set(1), v_exp(v_sub(v_set(0), g))));
    v_store_at(dst, i, n, v_mul(silu, v_load_at(up, i, n, 0)));
  }
}

TARGET static void add(float *dst, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) dst[i] += x[i];
}

TARGET static void add_rows(float *x, const float *bias, int64_t tokens, int64_t n) {
  for (int64_t t = 0; t < tokens; t++) add(x + t * n, bias, n);
}
