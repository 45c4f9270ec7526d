// Sixteen floats as one value, at three instruction levels with equal results bit for bit.
// Included once per level inside that level's namespace; see kernels/levels.
// A sum over lanes is always the same tree, and every multiply-add is one rounding. bfloat16 is
// widened when it is loaded and rounded to the nearest (ties to even, NaN stays NaN) when stored.

struct Pair {
  bfloat16 first, second;
};

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
inline F16 widened(__m256i bits) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline F16 load(const bfloat16* p) {
  return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F16 load(const bfloat16* p, int n) {
  return widened(_mm256_maskz_loadu_epi16(lane_mask(n), p));
}
#if defined(__AVX512BF16__)
inline __m256i narrowed(F16 a) { return (__m256i)_mm512_cvtneps_pbh(a.v); }
#else
inline __m256i narrowed(F16 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  const __m512i nearest = _mm512_mask_or_epi32(_mm512_add_epi32(bits, half),
                                               _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), bits,
                                               _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(nearest, 16));
}
#endif
inline void store(bfloat16* p, F16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrowed(a));
}
inline void store(bfloat16* p, F16 a, int n) {
  _mm256_mask_storeu_epi16(p, lane_mask(n), narrowed(a));
}

// Sixteen pairs of bfloat16.
struct P16 {
  __m512i v;
};
inline P16 load(const Pair* p) { return {_mm512_loadu_si512(p)}; }
inline void store(Pair* p, P16 a) { _mm512_storeu_si512(p, a.v); }
inline void store(Pair* p, P16 a, int n) { _mm512_mask_storeu_epi32(p, lane_mask(n), a.v); }
inline P16 all(Pair a) {
  int bits;
  __builtin_memcpy(&bits, &a, 4);
  return {_mm512_set1_epi32(bits)};
}
// Lane by lane; both are exactly bfloat16.
inline P16 paired(F16 first, F16 second) {
  const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(first.v), 16);
  return {_mm512_mask_mov_epi16(low, 0xaaaaaaaa, _mm512_castps_si512(second.v))};
}
#if defined(__AVX512BF16__)
inline F16 fma(P16 a, P16 b, F16 c) {
  return {_mm512_dpbf16_ps(c.v, (__m512bh)a.v, (__m512bh)b.v)};
}
#else
inline F16 firsts(P16 a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(a.v, 16))}; }
inline F16 seconds(P16 a) {
  return {_mm512_castsi512_ps(_mm512_and_si512(a.v, _mm512_set1_epi32(int(0xffff0000))))};
}
#endif

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
inline F16 load(const bfloat16* p) {
  const auto widened = [](const bfloat16* from) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  };
  return {widened(p), widened(p + 8)};
}
inline F16 load(const bfloat16* p, int n) {
  bfloat16 some[16] = {};
  __builtin_memcpy(some, p, sizeof(bfloat16) * size_t(n));
  return load(some);
}
inline __m256i narrowed(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  return _mm256_srli_epi32(_mm256_blendv_epi8(_mm256_add_epi32(bits, half), quiet, nan), 16);
}
inline void store(bfloat16* p, F16 a) {
  const __m256i mixed = _mm256_packus_epi32(narrowed(a.lo), narrowed(a.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(mixed, 0xd8));
}
inline void store(bfloat16* p, F16 a, int n) {
  bfloat16 some[16];
  store(some, a);
  __builtin_memcpy(p, some, sizeof(bfloat16) * size_t(n));
}

struct P16 {
  __m256i lo, hi;
};
inline P16 load(const Pair* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
}
inline void store(Pair* p, P16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.hi);
}
inline void store(Pair* p, P16 a, int n) {
  Pair some[16];
  store(some, a);
  __builtin_memcpy(p, some, sizeof(Pair) * size_t(n));
}
inline P16 all(Pair a) {
  int bits;
  __builtin_memcpy(&bits, &a, 4);
  return {_mm256_set1_epi32(bits), _mm256_set1_epi32(bits)};
}
inline P16 paired(F16 first, F16 second) {
  const auto half = [](__m256 low, __m256 high) {
    return _mm256_blend_epi16(_mm256_srli_epi32(_mm256_castps_si256(low), 16),
                              _mm256_castps_si256(high), 0xaa);
  };
  return {half(first.lo, second.lo), half(first.hi, second.hi)};
}
inline F16 firsts(P16 a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(a.lo, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(a.hi, 16))};
}
inline F16 seconds(P16 a) {
  const __m256i high = _mm256_set1_epi32(int(0xffff0000));
  return {_mm256_castsi256_ps(_mm256_and_si256(a.lo, high)),
          _mm256_castsi256_ps(_mm256_and_si256(a.hi, high))};
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

#endif

#if !defined(__AVX512BF16__)
// c + a.first b.first + a.second b.second, each product exact and each sum rounded.
inline F16 fma(P16 a, P16 b, F16 c) {
  return fma(seconds(a), seconds(b), fma(firsts(a), firsts(b), c));
}
#endif

// a with each lane rounded to the nearest bfloat16.
inline F16 rounded(F16 a) {
  bfloat16 lanes[16];
  store(lanes, a);
  return load(lanes);
}

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
template <class T>
inline F16 load(const T* p, std::integral_constant<int, 16>) {
  return load(p);
}
template <class T>
inline void store(T* p, F16 a, std::integral_constant<int, 16>) {
  store(p, a);
}
inline F16 first_lanes(F16 a, std::integral_constant<int, 16>, F16) { return a; }
