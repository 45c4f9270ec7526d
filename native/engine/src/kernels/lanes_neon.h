// Sixteen floats of the level neon: four registers. See simd.h.
struct F16 {
  float32x4_t a, b, c, d;
};

// f of each quarter of its arguments.
template <class Function, class... Lanes>
inline F16 by_quarter(Function f, Lanes... x) {
  return {f(x.a...), f(x.b...), f(x.c...), f(x.d...)};
}

inline F16 load(const float* p) {
  return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
inline F16 load(const float* p, int n) {
  float some[16] = {};
  __builtin_memcpy(some, p, sizeof(float) * size_t(n));
  return load(some);
}
inline void store(float* p, F16 x) {
  vst1q_f32(p, x.a);
  vst1q_f32(p + 4, x.b);
  vst1q_f32(p + 8, x.c);
  vst1q_f32(p + 12, x.d);
}
inline void store(float* p, F16 x, int n) {
  float some[16];
  store(some, x);
  __builtin_memcpy(p, some, sizeof(float) * size_t(n));
}
inline F16 all(float x) {
  const float32x4_t four = vdupq_n_f32(x);
  return {four, four, four, four};
}
inline F16 operator+(F16 x, F16 y) {
  return by_quarter([](auto p, auto q) { return vaddq_f32(p, q); }, x, y);
}
inline F16 operator-(F16 x, F16 y) {
  return by_quarter([](auto p, auto q) { return vsubq_f32(p, q); }, x, y);
}
inline F16 operator*(F16 x, F16 y) {
  return by_quarter([](auto p, auto q) { return vmulq_f32(p, q); }, x, y);
}
inline F16 operator/(F16 x, F16 y) {
  return by_quarter([](auto p, auto q) { return vdivq_f32(p, q); }, x, y);
}
inline F16 fma(F16 x, F16 y, F16 z) {
  return by_quarter([](auto p, auto q, auto sum) { return vfmaq_f32(sum, p, q); }, x, y, z);
}
inline F16 sqrt(F16 x) {
  return by_quarter([](auto p) { return vsqrtq_f32(p); }, x);
}
// x > y ? x : y, hence y where either is NaN; vmaxq_f32 would give NaN.
inline float32x4_t larger(float32x4_t x, float32x4_t y) {
  return vbslq_f32(vcgtq_f32(x, y), x, y);
}
inline F16 larger(F16 x, F16 y) {
  return by_quarter([](auto p, auto q) { return larger(p, q); }, x, y);
}
inline F16 smaller(F16 x, F16 y) {
  return by_quarter([](auto p, auto q) { return vbslq_f32(vcltq_f32(p, q), p, q); }, x, y);
}
// x where y >= limit or y is NaN, else 0.
inline F16 zero_below(F16 x, F16 y, F16 limit) {
  return by_quarter(
      [](auto p, auto q, auto least) {
        return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), vcltq_f32(q, least)));
      },
      x, y, limit);
}
inline F16 first_lanes(F16 x, int n, F16 other) {
  float some[16];
  store(some, other);
  store(some, x, n);
  return load(some);
}
// 2^n where t = 1.5 * 2^23 + n.
inline F16 power_of_two(F16 t) {
  return by_quarter(
      [](auto p) {
        const uint32x4_t bits = vshlq_n_u32(vreinterpretq_u32_f32(p), 23);
        return vreinterpretq_f32_u32(vaddq_u32(bits, vdupq_n_u32(127u << 23)));
      },
      t);
}
inline float32x4_t widened(uint16x4_t bits) {
  return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
}
inline F16 load(const bfloat16* p) {
  uint16x8_t low, high;
  __builtin_memcpy(&low, p, sizeof low);
  __builtin_memcpy(&high, p + 8, sizeof high);
  return {widened(vget_low_u16(low)), widened(vget_high_u16(low)), widened(vget_low_u16(high)),
          widened(vget_high_u16(high))};
}
inline uint16x4_t narrowed(float32x4_t x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t nearest = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), nearest, quiet), 16);
}
inline void store(bfloat16* p, F16 x) {
  const uint16x8_t low = vcombine_u16(narrowed(x.a), narrowed(x.b));
  const uint16x8_t high = vcombine_u16(narrowed(x.c), narrowed(x.d));
  __builtin_memcpy(p, &low, sizeof low);
  __builtin_memcpy(p + 8, &high, sizeof high);
}

struct P16 {
  uint32x4_t a, b, c, d;
};
inline P16 load(const Pair* p) {
  P16 x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
inline void store(Pair* p, P16 x) { __builtin_memcpy(p, &x, sizeof x); }
inline P16 all(Pair x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  const uint32x4_t four = vdupq_n_u32(bits);
  return {four, four, four, four};
}
// Lane by lane; both are exactly bfloat16.
inline P16 paired(F16 first, F16 second) {
  const auto both = [](float32x4_t low, float32x4_t high) {
    return vsriq_n_u32(vreinterpretq_u32_f32(high), vreinterpretq_u32_f32(low), 16);
  };
  return {both(first.a, second.a), both(first.b, second.b), both(first.c, second.c),
          both(first.d, second.d)};
}
inline F16 firsts(P16 x) {
  return by_quarter([](auto p) { return vreinterpretq_f32_u32(vshlq_n_u32(p, 16)); }, x);
}
inline F16 seconds(P16 x) {
  return by_quarter(
      [](auto p) { return vreinterpretq_f32_u32(vandq_u32(p, vdupq_n_u32(0xffff0000u))); }, x);
}

#include "lanes_by_copy.h"

inline float lane_sum(F16 x) {
  const float32x4_t four = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
inline float lane_largest(F16 x) {
  const float32x4_t four = larger(larger(x.a, x.c), larger(x.b, x.d));
  const float32x4_t two = larger(four, vextq_f32(four, four, 2));
  const float first = vgetq_lane_f32(two, 0), second = vgetq_lane_f32(two, 1);
  return first > second ? first : second;
}
