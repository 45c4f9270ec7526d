// Row-wise kernels: RMSNorm, RoPE, SwiGLU, column sums, softmax statistics and the loss gradient.

inline float row_rstd(int width, const float* x, float epsilon) {
  F16 squares = all(0);
  over_lanes(width, [&](int c, auto lanes) {
    const F16 v = load(x + c, lanes);
    squares = fma(v, v, squares);
  });
  return 1.0f / __builtin_sqrtf(lane_sum(squares) / float(width) + epsilon);
}

template <class T>
void rms_norm_again(int rows, int width, const float* x, const float* w, const float* r, void* to) {
  T* out = static_cast<T*>(to);
  for (int t = 0; t < rows; t++, x += width, out += stored_row_of<T>(width)) {
    const F16 rstd = all(r[t]);
    over_lanes(width, [&](int c, auto lanes) {
      store(out + c, load(x + c, lanes) * rstd * load(w + c, lanes), lanes);
    });
  }
}

template <class T>
void rms_norm(int rows, int width, const float* x, const float* w, float epsilon, void* out,
              float* r) {
  for (int t = 0; t < rows; t++) {
    const float rstd = row_rstd(width, x + size_t(t) * width, epsilon);
    rms_norm_again<T>(1, width, x + size_t(t) * width, w, &rstd,
                      static_cast<T*>(out) + t * stored_row_of<T>(width));
    if (r != nullptr) r[t] = rstd;
  }
}

void rms_norm_backward(int rows, int width, const float* dy, const float* x, const float* w,
                       const float* r, float* dx) {
  for (int t = 0; t < rows; t++, dy += width, x += width, dx += width) {
    F16 products = all(0);
    over_lanes(width, [&](int c, auto lanes) {
      products = fma(load(dy + c, lanes) * load(w + c, lanes), load(x + c, lanes), products);
    });
    const F16 rstd = all(r[t]);
    const F16 back = all(-(lane_sum(products) / float(width)) * r[t] * r[t]);
    over_lanes(width, [&](int c, auto lanes) {
      const F16 inner =
          fma(load(x + c, lanes), back, load(dy + c, lanes) * load(w + c, lanes));
      store(dx + c, fma(inner, rstd, load(dx + c, lanes)), lanes);
    });
  }
}

// Calls body(first column, vectors) over [first, last), 8 vectors of columns at a time, then one.
template <class Body>
inline void over_column_groups(int first, int last, Body body) {
  constexpr int kGroup = 8;
  int c = first;
  for (; c + kGroup * 16 <= last; c += kGroup * 16) body(c, std::integral_constant<int, kGroup>());
  for (; c < last; c += 16) body(c, std::integral_constant<int, 1>());
}

void rms_norm_weight(int rows, int width, const float* dy, const float* x, const float* r,
                     float* dw, int first, int last) {
  over_column_groups(first, last, [&](int c, auto vectors) {
    constexpr int kVectors = decltype(vectors)::value;
    const int lanes = kVectors > 1 || last - c > 16 ? 16 : last - c;
    F16 sums[kVectors];
    repeat<kVectors>([&](auto v) { sums[v] = load(dw + c + 16 * v, lanes); });
    for (int t = 0; t < rows; t++) {
      const size_t at = size_t(t) * width + c;
      repeat<kVectors>([&](auto v) {
        const F16 product = load(dy + at + 16 * v, lanes) * load(x + at + 16 * v, lanes);
        sums[v] = fma(product, all(r[t]), sums[v]);
      });
    }
    repeat<kVectors>([&](auto v) { store(dw + c + 16 * v, sums[v], lanes); });
  });
}

void column_sums(int rows, const float* x, ptrdiff_t ld, float* sums, int first, int last) {
  over_column_groups(first, last, [&](int c, auto vectors) {
    constexpr int kVectors = decltype(vectors)::value;
    const int lanes = kVectors > 1 || last - c > 16 ? 16 : last - c;
    F16 column[kVectors];
    repeat<kVectors>([&](auto v) { column[v] = load(sums + c + 16 * v, lanes); });
    for (int t = 0; t < rows; t++)
      repeat<kVectors>([&](auto v) {
        column[v] = column[v] + load(x + t * ld + c + 16 * v, lanes);
      });
    repeat<kVectors>([&](auto v) { store(sums + c + 16 * v, column[v], lanes); });
  });
}

void rope(int rows, int heads, int head_width, float* x, ptrdiff_t ld, const int32_t* positions,
          const float* table, float direction) {
  const int half = head_width / 2;
  const F16 sign = all(direction);
  for (int t = 0; t < rows; t++, x += ld) {
    const float* cosines = table + size_t(positions[t]) * head_width;
    const float* sines = cosines + half;
    for (int h = 0; h < heads; h++) {
      float* low = x + h * head_width;
      float* high = low + half;
      over_lanes(half, [&](int i, auto lanes) {
        const F16 a = load(low + i, lanes);
        const F16 b = load(high + i, lanes);
        const F16 c = load(cosines + i, lanes);
        const F16 s = load(sines + i, lanes) * sign;
        store(low + i, fma(a, c, all(0) - b * s), lanes);
        store(high + i, fma(b, c, a * s), lanes);
      });
    }
  }
}

inline F16 sigmoid(F16 x) { return all(1) / (all(1) + exp(all(0) - x)); }

template <class T>
void swiglu(int rows, int width, const float* gate_up, ptrdiff_t ld, void* to) {
  T* out = static_cast<T*>(to);
  for (int t = 0; t < rows; t++, gate_up += ld, out += stored_row_of<T>(width)) {
    over_lanes(width, [&](int f, auto lanes) {
      const F16 gate = load(gate_up + f, lanes);
      store(out + f, gate * sigmoid(gate) * load(gate_up + width + f, lanes), lanes);
    });
  }
}

template <class T>
void swiglu_backward(int rows, int width, const float* d_out, void* both, ptrdiff_t ld, void* to) {
  T* gate_up = static_cast<T*>(both);
  T* out = static_cast<T*>(to);
  for (int t = 0; t < rows; t++, d_out += width, gate_up += ld, out += stored_row_of<T>(width)) {
    over_lanes(width, [&](int f, auto lanes) {
      const F16 gate = load(gate_up + f, lanes);
      const F16 up = load(gate_up + width + f, lanes);
      const F16 d = load(d_out + f, lanes);
      const F16 s = sigmoid(gate);
      const F16 silu = gate * s;
      store(out + f, silu * up, lanes);
      store(gate_up + f, d * up * s * fma(gate, all(1) - s, all(1)), lanes);
      store(gate_up + width + f, d * silu, lanes);
    });
  }
}

RowStatistics row_statistics(int n, const float* logits) {
  const F16 lowest = all(-3.0e38f);
  F16 largest = lowest;
  over_lanes(n, [&](int j, auto lanes) {
    largest = larger(largest, first_lanes(load(logits + j, lanes), lanes, lowest));
  });
  RowStatistics s;
  s.largest = lane_largest(largest);
  const F16 shift = all(s.largest);
  F16 sum = all(0);
  F16 weighted = all(0);
  over_lanes(n, [&](int j, auto lanes) {
    const F16 x = first_lanes(load(logits + j, lanes) - shift, lanes, all(0));
    const F16 e = first_lanes(exp(x), lanes, all(0));
    sum = sum + e;
    weighted = fma(e, x, weighted);
  });
  s.sum = lane_sum(sum);
  s.entropy = float(__builtin_log(double(s.sum)) - double(lane_sum(weighted)) / double(s.sum));
  return s;
}

void row_gradient(int n, float* logits, RowStatistics s, int target, float d_log_prob,
                  float d_entropy) {
  const float log_sum = float(__builtin_log(double(s.sum)));
  const F16 shift = all(s.largest);
  const F16 scale = all(1.0f / s.sum);
  // -p (g_lp + g_h (log p + entropy)) with log p = (x - largest) - log_sum
  const F16 slope = all(-d_entropy);
  const F16 constant = all(-d_log_prob - d_entropy * (s.entropy - log_sum));
  over_lanes(n, [&](int j, auto lanes) {
    const F16 x = load(logits + j, lanes) - shift;
    store(logits + j, exp(x) * scale * fma(x, slope, constant), lanes);
  });
  logits[target] += d_log_prob;
}

void row_exponentials(int n, const float* logits, float largest, float* out) {
  over_lanes(n, [&](int j, auto lanes) {
    store(out + j, exp(load(logits + j, lanes) - all(largest)), lanes);
  });
}

void scale(size_t n, float* x, float factor) {
  for (size_t i = 0; i < n; i++) x[i] *= factor;
}

void add(size_t n, float* a, const float* b) {
  for (size_t i = 0; i < n; i++) a[i] += b[i];
}
