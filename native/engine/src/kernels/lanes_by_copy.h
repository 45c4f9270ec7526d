// The first n lanes by way of a copy, where no mask loads and stores halves. See simd.h.
inline F16 load(const bfloat16* p, int n) {
  bfloat16 some[16] = {};
  __builtin_memcpy(some, p, sizeof(bfloat16) * size_t(n));
  return load(some);
}
inline void store(bfloat16* p, F16 a, int n) {
  bfloat16 some[16];
  store(some, a);
  __builtin_memcpy(p, some, sizeof(bfloat16) * size_t(n));
}
inline void store(Pair* p, P16 a, int n) {
  Pair some[16];
  store(some, a);
  __builtin_memcpy(p, some, sizeof(Pair) * size_t(n));
}
