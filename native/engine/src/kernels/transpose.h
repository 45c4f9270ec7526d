// Sixteen rows of sixteen lanes, transposed where they are: lane j of row i becomes lane i of row j.

#if defined(__AVX2__)

// Floats, then pairs of floats, of the lower or upper halves of all blocks of 128 bits, in turns.
#if defined(__AVX512F__)
using Register = __m512;
inline __m512 lower(__m512 a, __m512 b) { return _mm512_unpacklo_ps(a, b); }
inline __m512 upper(__m512 a, __m512 b) { return _mm512_unpackhi_ps(a, b); }
inline __m512 lower_pairs(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
inline __m512 upper_pairs(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
#else
using Register = __m256;
inline __m256 lower(__m256 a, __m256 b) { return _mm256_unpacklo_ps(a, b); }
inline __m256 upper(__m256 a, __m256 b) { return _mm256_unpackhi_ps(a, b); }
inline __m256 lower_pairs(__m256 a, __m256 b) {
  return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
inline __m256 upper_pairs(__m256 a, __m256 b) {
  return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
#endif

// Transposes the 4 x 4 squares that four registers' blocks of 128 bits are.
inline void transpose_blocks(Register* x) {
  const Register a = lower(x[0], x[1]), b = lower(x[2], x[3]);
  const Register c = upper(x[0], x[1]), d = upper(x[2], x[3]);
  x[0] = lower_pairs(a, b);
  x[1] = upper_pairs(a, b);
  x[2] = lower_pairs(c, d);
  x[3] = upper_pairs(c, d);
}

#if defined(__AVX512F__)
inline void transpose(F16 (&x)[16]) {
  Register rows[16];
  for (int i = 0; i < 16; i++) rows[i] = x[i].v;
  for (int i = 0; i < 16; i += 4) transpose_blocks(rows + i);
  // Block q of rows[4 g + c] is what column 4 q + c has in rows 4 g to 4 g + 3.
  for (int c = 0; c < 4; c++) {
    const Register even_first = _mm512_shuffle_f32x4(rows[c], rows[4 + c], 0x88);
    const Register even_last = _mm512_shuffle_f32x4(rows[8 + c], rows[12 + c], 0x88);
    const Register odd_first = _mm512_shuffle_f32x4(rows[c], rows[4 + c], 0xdd);
    const Register odd_last = _mm512_shuffle_f32x4(rows[8 + c], rows[12 + c], 0xdd);
    x[c].v = _mm512_shuffle_f32x4(even_first, even_last, 0x88);
    x[4 + c].v = _mm512_shuffle_f32x4(odd_first, odd_last, 0x88);
    x[8 + c].v = _mm512_shuffle_f32x4(even_first, even_last, 0xdd);
    x[12 + c].v = _mm512_shuffle_f32x4(odd_first, odd_last, 0xdd);
  }
}
#else
// The 8 x 8 square of half the rows and half the lanes.
inline void transpose(Register (&x)[8]) {
  transpose_blocks(x);
  transpose_blocks(x + 4);
  for (int c = 0; c < 4; c++) {
    const Register first = x[c];
    x[c] = _mm256_permute2f128_ps(first, x[4 + c], 0x20);
    x[4 + c] = _mm256_permute2f128_ps(first, x[4 + c], 0x31);
  }
}
inline void transpose(F16 (&x)[16]) {
  Register quarter[2][2][8];  // by half of the rows and half of the lanes
  for (int i = 0; i < 16; i++) {
    quarter[i / 8][0][i % 8] = x[i].lo;
    quarter[i / 8][1][i % 8] = x[i].hi;
  }
  for (auto& rows : quarter)
    for (auto& square : rows) transpose(square);
  for (int i = 0; i < 16; i++) x[i] = {quarter[0][i / 8][i % 8], quarter[1][i / 8][i % 8]};
}
#endif

#elif defined(MASKSEARCH_NEON_LANES)

// The 4 x 4 square of a quarter of the rows and of the lanes.
inline void transpose(float32x4_t& p, float32x4_t& q, float32x4_t& r, float32x4_t& s) {
  const float64x2_t low_even = vreinterpretq_f64_f32(vtrn1q_f32(p, q));
  const float64x2_t low_odd = vreinterpretq_f64_f32(vtrn2q_f32(p, q));
  const float64x2_t high_even = vreinterpretq_f64_f32(vtrn1q_f32(r, s));
  const float64x2_t high_odd = vreinterpretq_f64_f32(vtrn2q_f32(r, s));
  p = vreinterpretq_f32_f64(vtrn1q_f64(low_even, high_even));
  q = vreinterpretq_f32_f64(vtrn1q_f64(low_odd, high_odd));
  r = vreinterpretq_f32_f64(vtrn2q_f64(low_even, high_even));
  s = vreinterpretq_f32_f64(vtrn2q_f64(low_odd, high_odd));
}
inline void transpose(F16 (&x)[16]) {
  for (int i = 0; i < 16; i += 4) {
    transpose(x[i].a, x[i + 1].a, x[i + 2].a, x[i + 3].a);
    transpose(x[i].b, x[i + 1].b, x[i + 2].b, x[i + 3].b);
    transpose(x[i].c, x[i + 1].c, x[i + 2].c, x[i + 3].c);
    transpose(x[i].d, x[i + 1].d, x[i + 2].d, x[i + 3].d);
  }
  for (int i = 0; i < 4; i++) {
    std::swap(x[i].b, x[4 + i].a);
    std::swap(x[i].c, x[8 + i].a);
    std::swap(x[i].d, x[12 + i].a);
    std::swap(x[4 + i].c, x[8 + i].b);
    std::swap(x[4 + i].d, x[12 + i].b);
    std::swap(x[8 + i].d, x[12 + i].c);
  }
}

#else

inline void transpose(F16 (&x)[16]) {
  float cells[16][16];
  for (int i = 0; i < 16; i++) store(cells[i], x[i]);
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < i; j++) std::swap(cells[i][j], cells[j][i]);
  for (int i = 0; i < 16; i++) x[i] = load(cells[i]);
}

#endif
