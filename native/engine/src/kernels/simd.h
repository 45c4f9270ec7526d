// Sixteen floats as one value, at every instruction level with equal results bit for bit.
// Included once per level inside that level's namespace; see levels.h.
// A sum over lanes is always the same tree, and every multiply-add is one rounding. bfloat16 is
// widened when it is loaded and rounded to the nearest (ties to even, NaN stays NaN) when stored.

struct Pair {
  bfloat16 first, second;
};

// Each of them defines F16 (sixteen floats), P16 (sixteen pairs of bfloat16) and what one
// instruction does with them.
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "lanes_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "lanes_avx2.h"
#elif defined(MASKSEARCH_NEON_LANES)
#include "lanes_neon.h"
#else
#include "lanes_plain.h"
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

// e^x for x <= 88.02: 2^n * e^r with |r| <= ln(2)/2, and a polynomial of degree 6 that is within
// 3.8e-9 of e^r, below float32's rounding. 0 below -87.33 (no subnormals), NaN for NaN.
inline F16 exp_below_limit(F16 x) {
  const F16 magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const F16 t = fma(x, all(1.44269504f), magic);
  const F16 n = t - magic;
  F16 r = fma(n, all(-0.693145752f), x);  // ln 2 in two parts; n times the first is exact
  r = fma(n, all(-1.42860677e-6f), r);
  F16 p = all(1.38145988e-3f);
  p = fma(p, r, all(8.36871658e-3f));
  p = fma(p, r, all(4.16683890e-2f));
  p = fma(p, r, all(1.66665211e-1f));
  p = fma(p, r, all(4.99999940e-1f));
  p = fma(p, r, all(1.0f));
  p = fma(p, r, all(1.0f));
  return zero_below(p * power_of_two(t), x, all(-87.33f));
}

// e^x, capped at e^88.02.
inline F16 exp(F16 x) { return exp_below_limit(smaller(all(88.02f), x)); }

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
