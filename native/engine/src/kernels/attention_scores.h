// The products and the softmax that attention is made of, both ways, on the matrix tiles.

// Columns of a row of scores: bfloat16 reads whole panels.
template <class T>
int score_columns(int keys) {
  constexpr int kGrain = std::is_same_v<T, float> ? 16 : kPanel;
  return (keys + kGrain - 1) / kGrain * kGrain;
}

// scores (rows, score_columns(keys)) = x tiles^T
template <class T>
Product<T> score_product(int rows, int keys, int head_width, const T* x, ptrdiff_t ld,
                         const void* tiles, float* scores, ptrdiff_t scores_row) {
  constexpr DataType kType = data_type(static_cast<const T*>(nullptr));
  return {rows, score_columns<T>(keys), head_width, x, ld, static_cast<const T*>(tiles),
          packed_row(kType), packed_panel(kType, head_width), nullptr, 0, scores, scores_row};
}
template <class T>
void score_tiles(int rows, int keys, int head_width, const T* x, ptrdiff_t ld, const void* tiles,
                 float* scores, ptrdiff_t scores_row) {
  matmul<T>(score_product(rows, keys, head_width, x, ld, tiles, scores, scores_row));
}

// A row of scores is narrowed where it lies: its elements follow its first one.
template <class T>
T* narrowed_row(float* scores) {
  return reinterpret_cast<T*>(scores);
}
template <class T>
constexpr ptrdiff_t narrowed_row_of(ptrdiff_t row) {
  return row * ptrdiff_t(sizeof(float) / sizeof(T));
}

// log x of a normal x in [1, 2^23), within 1.2e-7 max(1, log x); NaN for NaN and infinity. Inlined, in
// operations that compilers turn into those of lanes.
inline float log_of(float x) {
  constexpr uint32_t kRootHalf = 0x3f3504f3;  // m in [sqrt(1/2), sqrt(2)), x = 2^e m
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  const int e = int(bits - kRootHalf) >> 23;
  bits = ((bits - kRootHalf) & 0x7fffff) + kRootHalf;
  float m;
  __builtin_memcpy(&m, &bits, 4);
  // log m = 2 artanh s; the series' remainder is 2/11 s^11 < 8e-10.
  const float s = (m - 1) / (m + 1), s2 = s * s;
  const float rest = s2 * (0.666666667f + s2 * (0.4f + s2 * (0.285714286f + s2 * 0.222222222f)));
  return float(e) * 0.693147181f + (2 * s + s * rest) + (x - x);
}

inline float largest_of_row(int length, const float* scores) {
  const F16 lowest = all(-3.0e38f);
  F16 largest = lowest;
  over_lanes(length, [&](int j, auto lanes) {
    largest = larger(largest, first_lanes(load(scores + j, lanes), lanes, lowest));
  });
  return lane_largest(largest);
}

// p[0..length) = e^(scale s - scaled_max), [length..padded) = 0, over the scores. Returns their sum.
template <class T>
float exponentials_of_row(int length, int padded, float scale, float scaled_max, float* scores) {
  T* p = narrowed_row<T>(scores);
  const F16 shift = all(-scaled_max);
  F16 sum = all(0);
  int j = 0;
  over_lanes(length, [&](int at, auto lanes) {
    const F16 e =
        first_lanes(exp_below_limit(fma(load(scores + at), all(scale), shift)), lanes, all(0));
    store(p + at, e);
    sum = sum + e;
    j = at + 16;
  });
  for (; j < padded; j += 16) store(p + j, all(0));
  return lane_sum(sum);
}

#if defined(__AMX_BF16__)
template <class T>
constexpr int kAttentionTile = std::is_same_v<T, float> ? kTileRows : kAmxRows;
#else
template <class T>
constexpr int kAttentionTile = kTileRows;
#endif

// sums (rows, D) = probabilities (rows, keys) values, for scores that became probabilities.
template <class T>
Product<T> value_product(int rows, int keys, int head_width, float* scores, ptrdiff_t scores_row,
                         const void* values, float* sums, ptrdiff_t sums_row) {
  return {rows, head_width, keys, narrowed_row<T>(scores), narrowed_row_of<T>(scores_row),
          static_cast<const T*>(values), kPerUnit<T> * head_width, kPerUnit<T> * kPanel, nullptr, 0,
          sums, sums_row};
}
