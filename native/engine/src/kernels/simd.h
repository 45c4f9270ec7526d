// Sixteen floats as one value, at three instruction levels with equal results bit for bit.
// Included once per level inside that level's namespace; see kernels/levels.
// A sum over lanes is always the same tree, and every multiply-add is one rounding.

#if defined(__AVX512F__) && defined(__AVX512DQ__)

struct F16 {
  __m512 v;
};

inline __mmask16 lane_mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
inline F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F16 load(const float* p, int n) { return {_mm512_maskz_loadu_ps(lane_mask(n), p)}; }
inline void store(float* p, F16 a) { _mm512_storeu_ps(p, a.v); }
inline void store(float* p, F16 a, int n) { _mm512_mask_storeu_ps(p, lane_mask(n), a.v); }
inline F16 all(float x) { return {_mm512_set1_ps(x)}; }
inline F16 operator+(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 operator-(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 operator*(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 operator/(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F16 sqrt(F16 a) { return {_mm512_sqrt_ps(a.v)}; }
// a > b ? a : b, hence b where either is NaN.
inline F16 larger(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F16 smaller(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
// a where x >= limit or x is NaN, else 0.
inline F16 zero_below(F16 a, F16 x, F16 limit) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_NLT_UQ), a.v)};
}
// Lanes from n on are replaced by `other`.
inline F16 first_lanes(F16 a, int n, F16 other) {
  return {_mm512_mask_mov_ps(other.v, lane_mask(n), a.v)};
}
// 2^n where t = 1.5 * 2^23 + n.
inline F16 power_of_two(F16 t) {
  const __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(t.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(127 << 23)))};
}
inline void halves(F16 a, __m256* low, __m256* high) {
  *low = _mm512_castps512_ps256(a.v);
  *high = _mm512_extractf32x8_ps(a.v, 1);
}

#elif defined(__AVX2__) && defined(__FMA__)

struct F16 {
  __m256 lo, hi;
};

inline __m256i lane_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline F16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F16 load(const float* p, int n) {
  return {_mm256_maskload_ps(p, lane_mask(n)), _mm256_maskload_ps(p + 8, lane_mask(n - 8))};
}
inline void store(float* p, F16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline void store(float* p, F16 a, int n) {
  _mm256_maskstore_ps(p, lane_mask(n), a.lo);
  _mm256_maskstore_ps(p + 8, lane_mask(n - 8), a.hi);
}
inline F16 all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F16 operator+(F16 a, F16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F16 operator-(F16 a, F16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F16 operator*(F16 a, F16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F16 operator/(F16 a, F16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F16 fma(F16 a, F16 b, F16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline F16 sqrt(F16 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
inline F16 larger(F16 a, F16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline F16 smaller(F16 a, F16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline F16 zero_below(F16 a, F16 x, F16 limit) {
  return {_mm256_and_ps(_mm256_cmp_ps(x.lo, limit.lo, _CMP_NLT_UQ), a.lo),
          _mm256_and_ps(_mm256_cmp_ps(x.hi, limit.hi, _CMP_NLT_UQ), a.hi)};
}
inline F16 first_lanes(F16 a, int n, F16 other) {
  return {_mm256_blendv_ps(other.lo, a.lo, _mm256_castsi256_ps(lane_mask(n))),
          _mm256_blendv_ps(other.hi, a.hi, _mm256_castsi256_ps(lane_mask(n - 8)))};
}
inline __m256 power_of_two(__m256 t) {
  const __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_set1_epi32(127 << 23)));
}
inline F16 power_of_two(F16 t) { return {power_of_two(t.lo), power_of_two(t.hi)}; }
inline void halves(F16 a, __m256* low, __m256* high) {
  *low = a.lo;
  *high = a.hi;
}

#else
#define MASKSEARCH_PLAIN_LANES 1

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

#endif

#if defined(MASKSEARCH_PLAIN_LANES)
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
#else
inline float lane_sum(F16 a) {
  __m256 low, high;
  halves(a, &low, &high);
  const __m256 eight = _mm256_add_ps(low, high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float lane_largest(F16 a) {
  __m256 low, high;
  halves(a, &low, &high);
  const __m256 eight = _mm256_max_ps(low, high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
#endif

// e^x: 2^n * e^r with |r| <= ln(2)/2 and the Taylor polynomial of degree 7, whose remainder
// r^8/8! < 6e-9 is below float32's rounding. 0 below -87.33 (no subnormals), capped at e^88.02.
inline F16 exp(F16 x) {
  const F16 magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const F16 lowest = all(-87.33f);
  const F16 bounded = smaller(all(88.02f), larger(lowest, x));
  const F16 t = fma(bounded, all(1.44269504f), magic);
  const F16 n = t - magic;
  F16 r = fma(n, all(-0.693145752f), bounded);  // ln 2 in two parts; n times the first is exact
  r = fma(n, all(-1.42860677e-6f), r);
  F16 p = all(1.0f / 5040);
  p = fma(p, r, all(1.0f / 720));
  p = fma(p, r, all(1.0f / 120));
  p = fma(p, r, all(1.0f / 24));
  p = fma(p, r, all(1.0f / 6));
  p = fma(p, r, all(0.5f));
  p = fma(p, r, all(1.0f));
  p = fma(p, r, all(1.0f));
  return zero_below(p * power_of_two(t), x, lowest);
}

// Calls body(index, lanes) for 0, 16, 32, ... with 16 lanes each and the rest at the end.
template <class Body>
inline void over_lanes(int n, Body body) {
  int i = 0;
  for (; i + 16 <= n; i += 16) body(i, std::integral_constant<int, 16>());
  if (i < n) body(i, n - i);
}
inline F16 load(const float* p, std::integral_constant<int, 16>) { return load(p); }
inline void store(float* p, F16 a, std::integral_constant<int, 16>) { store(p, a); }
inline F16 first_lanes(F16 a, std::integral_constant<int, 16>, F16) { return a; }
