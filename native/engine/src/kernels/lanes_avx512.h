// Sixteen floats of the levels with AVX-512: one register. See simd.h.
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

#include "lane_sums_x86.h"
