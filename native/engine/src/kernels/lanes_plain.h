// Sixteen floats of the level generic: whatever the compiler makes of loops. See simd.h.
struct F16 {
  float v[16];
};

template <class Function>
inline F16 each_lane(Function f) {
  F16 r;
  for (int i = 0; i < 16; i++) r.v[i] = f(i);
  return r;
}
inline F16 load(const float* p) {
  return each_lane([&](int i) { return p[i]; });
}
inline F16 load(const float* p, int n) {
  return each_lane([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline void store(float* p, F16 a) {
  for (int i = 0; i < 16; i++) p[i] = a.v[i];
}
inline void store(float* p, F16 a, int n) {
  for (int i = 0; i < n; i++) p[i] = a.v[i];
}
inline F16 all(float x) {
  return each_lane([&](int) { return x; });
}
inline F16 operator+(F16 a, F16 b) {
  return each_lane([&](int i) { return a.v[i] + b.v[i]; });
}
inline F16 operator-(F16 a, F16 b) {
  return each_lane([&](int i) { return a.v[i] - b.v[i]; });
}
inline F16 operator*(F16 a, F16 b) {
  return each_lane([&](int i) { return a.v[i] * b.v[i]; });
}
inline F16 operator/(F16 a, F16 b) {
  return each_lane([&](int i) { return a.v[i] / b.v[i]; });
}
inline F16 fma(F16 a, F16 b, F16 c) {
  return each_lane([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline F16 sqrt(F16 a) {
  return each_lane([&](int i) { return __builtin_sqrtf(a.v[i]); });
}
inline F16 larger(F16 a, F16 b) {
  return each_lane([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F16 smaller(F16 a, F16 b) {
  return each_lane([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F16 zero_below(F16 a, F16 x, F16 limit) {
  return each_lane([&](int i) { return x.v[i] < limit.v[i] ? 0.0f : a.v[i]; });
}
inline F16 first_lanes(F16 a, int n, F16 other) {
  return each_lane([&](int i) { return i < n ? a.v[i] : other.v[i]; });
}
inline F16 power_of_two(F16 t) {
  return each_lane([&](int i) {
    uint32_t bits;
    __builtin_memcpy(&bits, &t.v[i], 4);
    bits = (bits << 23) + (127u << 23);
    float power;
    __builtin_memcpy(&power, &bits, 4);
    return power;
  });
}
inline F16 load(const bfloat16* p) {
  return each_lane([&](int i) { return widened(p[i]); });
}
inline F16 load(const bfloat16* p, int n) {
  return each_lane([&](int i) { return i < n ? widened(p[i]) : 0.0f; });
}
inline void store(bfloat16* p, F16 a, int n) {
  bfloat16 some[16];
  for (int i = 0; i < 16; i++) some[i] = narrowed(a.v[i]);
  __builtin_memcpy(p, some, sizeof(bfloat16) * size_t(n));  // p may lie in memory of floats
}
inline void store(bfloat16* p, F16 a) { store(p, a, 16); }

struct P16 {
  Pair v[16];
};
inline P16 load(const Pair* p) {
  P16 a;
  __builtin_memcpy(&a, p, sizeof a);
  return a;
}
inline void store(Pair* p, P16 a) { __builtin_memcpy(p, &a, sizeof a); }
inline void store(Pair* p, P16 a, int n) { __builtin_memcpy(p, &a, sizeof(Pair) * size_t(n)); }
inline P16 all(Pair a) {
  P16 r;
  for (int i = 0; i < 16; i++) r.v[i] = a;
  return r;
}
inline P16 paired(F16 first, F16 second) {
  P16 r;
  for (int i = 0; i < 16; i++) r.v[i] = {narrowed(first.v[i]), narrowed(second.v[i])};
  return r;
}
inline F16 firsts(P16 a) {
  return each_lane([&](int i) { return widened(a.v[i].first); });
}
inline F16 seconds(P16 a) {
  return each_lane([&](int i) { return widened(a.v[i].second); });
}
inline float lane_sum(F16 a) {
  for (int n = 8; n >= 1; n /= 2)
    for (int i = 0; i < n; i++) a.v[i] = a.v[i] + a.v[i + n];
  return a.v[0];
}
inline float lane_largest(F16 a) {
  for (int n = 8; n >= 1; n /= 2)
    for (int i = 0; i < n; i++) a.v[i] = a.v[i] > a.v[i + n] ? a.v[i] : a.v[i + n];
  return a.v[0];
}
