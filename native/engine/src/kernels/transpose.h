// Sixteen rows of sixteen lanes, transposed where they are: lane j of row i becomes lane i of row j.

#if defined(__AVX512F__) && defined(__AVX512DQ__)

inline void transpose(F16 (&x)[16]) {
  __m512 pairs[16], fours[16];  // blocks of 128 bits hold columns of two rows, then of four
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(x[i].v, x[i + 1].v);
    pairs[i + 1] = _mm512_unpackhi_ps(x[i].v, x[i + 1].v);
  }
  const auto doubles = [&](int i, bool high) {
    const __m512d a = _mm512_castps_pd(pairs[i]), b = _mm512_castps_pd(pairs[i + 2]);
    return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b));
  };
  for (int i = 0; i < 16; i += 4)
    for (int c = 0; c < 4; c++) fours[i + c] = doubles(i + c / 2, c % 2 == 1);
  for (int c = 0; c < 4; c++) {
    const auto blocks = [&](int i, bool odd) {
      return odd ? _mm512_shuffle_f32x4(fours[i + c], fours[i + 4 + c], 0xdd)
                 : _mm512_shuffle_f32x4(fours[i + c], fours[i + 4 + c], 0x88);
    };
    for (int odd = 0; odd < 2; odd++) {
      const __m512 first = blocks(0, odd == 1), last = blocks(8, odd == 1);
      x[4 * odd + c].v = _mm512_shuffle_f32x4(first, last, 0x88);
      x[8 + 4 * odd + c].v = _mm512_shuffle_f32x4(first, last, 0xdd);
    }
  }
}

#elif defined(__AVX2__) && defined(__FMA__)

inline void transpose(__m256 (&x)[8]) {
  __m256 pairs[8], fours[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
  }
  const auto doubles = [&](int i, bool high) {
    const __m256d a = _mm256_castps_pd(pairs[i]), b = _mm256_castps_pd(pairs[i + 2]);
    return _mm256_castpd_ps(high ? _mm256_unpackhi_pd(a, b) : _mm256_unpacklo_pd(a, b));
  };
  for (int i = 0; i < 8; i += 4)
    for (int c = 0; c < 4; c++) fours[i + c] = doubles(i + c / 2, c % 2 == 1);
  for (int c = 0; c < 4; c++) {
    x[c] = _mm256_permute2f128_ps(fours[c], fours[4 + c], 0x20);
    x[4 + c] = _mm256_permute2f128_ps(fours[c], fours[4 + c], 0x31);
  }
}
inline void transpose(F16 (&x)[16]) {
  __m256 quarter[2][2][8];  // by half of the rows and half of the lanes
  for (int i = 0; i < 16; i++) {
    quarter[i / 8][0][i % 8] = x[i].lo;
    quarter[i / 8][1][i % 8] = x[i].hi;
  }
  for (auto& rows : quarter)
    for (auto& square : rows) transpose(square);
  for (int i = 0; i < 16; i++) x[i] = {quarter[0][i / 8][i % 8], quarter[1][i / 8][i % 8]};
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
