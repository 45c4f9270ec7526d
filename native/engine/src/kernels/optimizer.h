// Whole-arena kernels: squared norm and AdamW.

// Sixteen lanes of float64 in plain C++: additions in a fixed order, vectorised by the compiler.
double sum_of_squares(size_t n, const float* x) {
  double lanes[16] = {0};
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; j++) lanes[j] += double(x[i + j]) * double(x[i + j]);
  for (int j = 0; i < n; i++, j++) lanes[j] += double(x[i]) * double(x[i]);
  double sum = 0;
  for (int j = 0; j < 16; j++) sum += lanes[j];
  return sum;
}

void adamw(size_t n, const AdamWStep& s, float* w, float* g, float* m, float* v) {
  const F16 beta1 = all(s.beta1), beta2 = all(s.beta2);
  const F16 rest1 = all(1 - s.beta1), rest2 = all(1 - s.beta2);
  const F16 keep = all(1 - s.learning_rate * s.decay);
  const F16 rate = all(s.learning_rate * s.first_correction);
  const F16 root = all(s.second_root_correction), epsilon = all(s.epsilon);
  const F16 clip = all(s.gradient_scale);
  for (size_t i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? int(n - i) : 16;
    const F16 gradient = load(g + i, lanes) * clip;
    const F16 first = fma(beta1, load(m + i, lanes), rest1 * gradient);
    const F16 second = fma(beta2, load(v + i, lanes), rest2 * gradient * gradient);
    const F16 update = first / fma(sqrt(second), root, epsilon);
    store(w + i, load(w + i, lanes) * keep - rate * update, lanes);
    store(m + i, first, lanes);
    store(v + i, second, lanes);
    store(g + i, all(0), lanes);
  }
}

inline F16 as_units(F16 a, float) { return a; }
inline P16 as_units(F16 a, bfloat16) { return paired(rounded(a), rounded(a)); }

template <class T>
double peak(int64_t rounds) {
#if defined(__AVX512F__)
  constexpr int chains = 16;
#elif defined(__AVX2__)
  constexpr int chains = 6;
#elif defined(MASKSEARCH_NEON_LANES)
  constexpr int chains = 5;
#else
  constexpr int chains = 1;
#endif
  F16 sums[chains];
  for (int i = 0; i < chains; i++) sums[i] = all(float(i));
  const UnitLanes<T> a = as_units(all(0.999f), T()), b = as_units(all(0.001f), T());
  for (int64_t round = 0; round < rounds; round++)
    for (int i = 0; i < chains; i++) sums[i] = fma(a, b, sums[i]);
  F16 total = sums[0];
  for (int i = 1; i < chains; i++) total = total + sums[i];
  const double operations = double(rounds) * chains * 16 * 2 * kPerUnit<T>;
  return lane_sum(total) == 12345.0f ? 0 : operations;
}
