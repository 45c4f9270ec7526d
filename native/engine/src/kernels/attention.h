// Causal attention on the matrix tiles. All scores of a block of rows are kept, so the softmax
// needs no rescaling and each output element is one chain over keys 0, 1, 2, ... whatever the
// block: decoding one token against a cache gives the bits of a whole-sequence pass.

template <class T>
void store_key_tiles(int rows, int first, int head_width, const void* x, ptrdiff_t ld,
                     void* tiles) {
  constexpr int kPer = kPerUnit<T>;
  const int width = head_width / kPer;  // units of a key; those up to depth are 0
  const int depth = int(stored_row_of<T>(head_width)) / kPer;
  const Unit<T>* from = static_cast<const Unit<T>*>(x);
  ld /= kPer;
  for (int r = 0; r < rows;) {
    const int lane = (first + r) % kPanel;
    const int keys = rows - r < kPanel - lane ? rows - r : kPanel - lane;
    Unit<T>* tile = static_cast<Unit<T>*>(tiles) + size_t((first + r) / kPanel) * kPanel * depth;
    for (int d = 0; d < width; d++)
      for (int j = 0; j < keys; j++) tile[size_t(d) * kPanel + lane + j] = from[j * ld + d];
    for (int i = lane == 0 ? width * kPanel : depth * kPanel; i < depth * kPanel; i += 16)
      store_zeros(tile + i);
    r += keys;
    from += keys * ld;
  }
  // A tile begun by an earlier call has its free lanes at 0 already.
  const int end = first + rows;
  if (end % kPanel == 0 || end / kPanel * kPanel < first) return;
  Unit<T>* tail = static_cast<Unit<T>*>(tiles) + size_t(end / kPanel) * kPanel * depth;
  for (int d = 0; d < width; d++)
    for (int j = end % kPanel; j < kPanel; j++) tail[size_t(d) * kPanel + j] = Unit<T>();
}

// rows of `width` elements, at any distance from each other on both sides
inline void copy_rows(int rows, int width, const float* from, ptrdiff_t from_row, float* to,
                      ptrdiff_t to_row) {
  for (int r = 0; r < rows; r++, from += from_row, to += to_row)
    over_lanes(width, [&](int c, auto lanes) { store(to + c, load(from + c, lanes), lanes); });
}

template <class T>
void store_values(int rows, int first, int head_width, const void* x, ptrdiff_t ld, void* values) {
  const T* from = static_cast<const T*>(x);
  if constexpr (kPerUnit<T> == 1) {
    copy_rows(rows, head_width, from, ld, static_cast<T*>(values) + first * head_width, head_width);
  } else {
    Pair* to = static_cast<Pair*>(values);
    const int end = first + rows;
    for (int r = first; r < end;) {
      Pair* row = to + ptrdiff_t(r / 2) * head_width;
      if (r % 2 == 1) {
        for (int d = 0; d < head_width; d++) row[d].second = from[d];
      } else {
        const T* next = r + 1 < end ? from + ld : nullptr;
        over_lanes(head_width, [&](int d, auto lanes) {
          store(row + d, interleaved(from + d, next == nullptr ? next : next + d, lanes, T()), lanes);
        });
      }
      const int taken = r % 2 == 1 || r + 1 == end ? 1 : 2;
      r += taken;
      from += taken * ld;
    }
    // The rest of a tile that is begun here.
    if (end % kPanel == 0 || end / kPanel * kPanel < first) return;
    const ptrdiff_t last = ptrdiff_t(end / kPanel + 1) * kPanel / 2 * head_width;
    for (ptrdiff_t at = ptrdiff_t(end + 1) / 2 * head_width; at < last; at++) to[at] = Pair();
  }
}

// scores (rows, panels(keys) * 32) = x tiles^T
template <class T>
Product<T> score_product(int rows, int keys, int head_width, const T* x, ptrdiff_t ld,
                         const void* tiles, float* scores, ptrdiff_t scores_row) {
  constexpr DataType kType = data_type(static_cast<const T*>(nullptr));
  return {rows, panels(keys) * kPanel, head_width, x, ld, static_cast<const T*>(tiles),
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

// p[0..length) = e^(scale (s - s_max)), [length..padded) = 0, over the scores. Returns their sum.
template <class T>
float exponentials_of_row(int length, int padded, float scale, float* scores, float* scaled_max) {
  T* p = narrowed_row<T>(scores);
  const F16 lowest = all(-3.0e38f);
  F16 largest = lowest;
  over_lanes(length, [&](int j, auto lanes) {
    largest = larger(largest, first_lanes(load(scores + j, lanes), lanes, lowest));
  });
  *scaled_max = lane_largest(largest) * scale;
  const F16 shift = all(-*scaled_max);
  F16 sum = all(0);
  int j = 0;
  over_lanes(length, [&](int at, auto lanes) {
    const F16 e = first_lanes(exp(fma(load(scores + at), all(scale), shift)), lanes, all(0));
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

// Rows and steps for which attention is in steps: a few rows that see the same keys, as in decoding,
// wait for keys and values more than they compute. Keys and values are taken in steps of kStepBytes
// or one panel, and while one is worked on a later one is fetched: after the last keys come the
// values, whose fetching goes on during the softmax, then the next call's keys. Sums are the chains
// of one product.
constexpr int kRowsInSteps = 8;
constexpr int kStepBytes = 4096;

template <class T>
bool in_steps(const Attention& g) {
#if defined(__AMX_BF16__)
  const bool can = !std::is_same_v<T, float>;
#elif defined(__AVX512F__)
  const bool can = std::is_same_v<T, float> && g.head_width % kPanel == 0;
#else
  const bool can = false;
#endif
  return can && g.rows <= kRowsInSteps && g.length_step == 0;
}

template <class T>
int keys_in_step(int head_width) {
  const int keys = kStepBytes / int(stored_row_of<T>(head_width) * sizeof(T)) / kPanel * kPanel;
  return keys > kPanel ? keys : kPanel;
}

template <class T>
void fetch(const T* from, ptrdiff_t count) {
  constexpr ptrdiff_t kLine = 64 / sizeof(T);
  for (ptrdiff_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i);
}

template <class T>
void score_in_steps(int keys, const Attention& g, ptrdiff_t ld) {
  Product<T> p = score_product(g.rows, keys, g.head_width, static_cast<const T*>(g.queries),
                               g.query_row, g.keys, g.scratch, ld);
  const int all_keys = p.n;
  const int step = keys_in_step<T>(g.head_width);
  for (int first = 0; first < all_keys; first += step) {
    p.n = all_keys - first < step ? all_keys - first : step;
    const T* next = p.b + ptrdiff_t(step) * stored_row_of<T>(g.head_width);
    p.ahead = first + step < all_keys ? next : static_cast<const T*>(g.values);
    matmul<T>(p);
    p.b = next;
    p.c += step;
  }
}

// Values that row r of the softmax fetches: those of step r + 1.
template <class T>
void fetch_values(int keys, const Attention& g, int r) {
  const int step = keys_in_step<T>(g.head_width);
  const int first = (r + 1) * step;
  if (first >= keys) return;
  const int count = keys - first < step ? keys - first : step;
  fetch(static_cast<const T*>(g.values) + ptrdiff_t(first) * g.head_width,
        ptrdiff_t(count) * g.head_width);
}

template <class T>
void sum_values_in_steps(int keys, const Attention& g, ptrdiff_t ld, float* sums,
                         ptrdiff_t sums_row) {
  Product<T> p = value_product<T>(g.rows, keys, g.head_width, g.scratch, ld, g.values, sums, sums_row);
  const int step = keys_in_step<T>(g.head_width);
  const ptrdiff_t step_cells = ptrdiff_t(step) * g.head_width;
  for (int first = 0; first < keys; first += step) {
    p.k = keys - first < step ? keys - first : step;
    // Steps 1 .. rows are fetched already. What is past the next keys is fetched by who reads them.
    const int ahead = first + (g.rows + 1) * step;
    p.ahead = ahead < keys          ? p.b + (g.rows + 1) * step_cells
              : ahead < keys + step ? static_cast<const T*>(g.next_keys)
                                    : p.b;
    matmul<T>(p);
    p.a += step;
    p.b += step_cells;
    p.init = sums;
    p.init_row = sums_row;
  }
}

#if defined(__AVX512F__)
// The same in float32: tiles of a panel of keys, or of rows of values, fetch what is kPanelsAhead
// panels later. The softmax fetches nothing: it is short.
constexpr int kPanelsAhead = 2;

inline Tile<float> first_tile(const float* a, ptrdiff_t a_row, const void* b) {
  Tile<float> t{};
  t.a = a;
  t.a_row = a_row;
  t.b = static_cast<const float*>(b);
  t.b_panel = kPanel;
  t.last_lanes = 16;
  return t;
}

template <>
inline void score_in_steps<float>(int keys, const Attention& g, ptrdiff_t ld) {
  const TileFunction<float> score = pick_tile<float, Reading::once>(g.rows, 2);
  const ptrdiff_t panel = ptrdiff_t(kPanel) * g.head_width;
  Tile<float> t = first_tile(static_cast<const float*>(g.queries), g.query_row, g.keys);
  t.k = g.head_width;
  t.b_row = t.ahead_row = kPanel;
  t.c = g.scratch;
  t.c_row = ld;
  for (int p = 0; p < panels(keys); p++) {
    const int after = p + kPanelsAhead - panels(keys);
    t.ahead = after < 0 ? t.b + kPanelsAhead * panel
                        : static_cast<const float*>(g.values) + after * panel;
    score(t);
    t.b += panel;
    t.c += kPanel;
  }
}

template <>
inline void fetch_values<float>(int, const Attention&, int) {}

template <>
inline void sum_values_in_steps<float>(int keys, const Attention& g, ptrdiff_t ld, float* sums,
                                       ptrdiff_t sums_row) {
  const int D = g.head_width;
  int vectors = wide_vectors(g.rows);
  while (D / 16 % vectors != 0) vectors /= 2;
  const TileFunction<float> sum = pick_tile<float, Reading::once>(g.rows, vectors);
  const int last = keys < kPanelsAhead * kPanel ? keys : kPanelsAhead * kPanel;
  for (int column = 0; column < D; column += vectors * 16) {
    Tile<float> t = first_tile(g.scratch, ld, static_cast<const float*>(g.values) + column);
    t.b_row = t.ahead_row = D;
    t.c = sums + column;
    t.c_row = t.init_row = sums_row;
    t.k = keys - last;
    t.ahead = t.b + last * D;
    sum(t);
    t.init = t.c;
    t.a += t.k;
    t.b += ptrdiff_t(t.k) * D;
    t.k = last;
    t.ahead = g.next_keys == nullptr ? t.b : static_cast<const float*>(g.next_keys) + column;
    sum(t);
  }
}
#endif

template <class T>
void attention(const Attention& g) {
  constexpr int kTile = kAttentionTile<T>;
  const bool steps = in_steps<T>(g);
  const float scale = 1.0f / __builtin_sqrtf(float(g.head_width));
  const int longest = g.first_length + (g.rows - 1) * g.length_step;
  const ptrdiff_t ld = score_row(longest);
  for (int first = 0; first < g.rows; first += kTile) {
    const int rows = g.rows - first < kTile ? g.rows - first : kTile;
    const int keys = g.first_length + (first + rows - 1) * g.length_step;
    if (steps) {
      score_in_steps<T>(keys, g, ld);
    } else {
      score_tiles(rows, keys, g.head_width, static_cast<const T*>(g.queries) + first * g.query_row,
                  g.query_row, g.keys, g.scratch, ld);
    }
    float inverse[kTile];
    for (int r = 0; r < rows; r++) {
      const int length = g.first_length + (first + r) * g.length_step;
      if (steps) fetch_values<T>(keys, g, r);
      float largest;
      const float sum = exponentials_of_row<T>(length, panels(keys) * kPanel, scale,
                                               g.scratch + r * ld, &largest);
      inverse[r] = 1.0f / sum;
      if (g.log_sums != nullptr)
        g.log_sums[(first + r) * g.log_sums_row] =
            float(double(largest) + __builtin_log(double(sum)));
    }
    T* out = static_cast<T*>(g.out) + first * g.out_row;
    float* sums = g.scratch + (g.rows < kTile ? g.rows : kTile) * ld;
    ptrdiff_t sums_row = g.head_width;
    if constexpr (std::is_same_v<T, float>) {
      sums = out;
      sums_row = g.out_row;
    }
    if (steps) {
      sum_values_in_steps<T>(keys, g, ld, sums, sums_row);
    } else {
      matmul<T>(value_product<T>(rows, keys, g.head_width, g.scratch, ld, g.values, sums, sums_row));
    }
    for (int r = 0; r < rows; r++, out += g.out_row, sums += sums_row)
      over_lanes(g.head_width, [&](int d, auto lanes) {
        store(out + d, load(sums + d, lanes) * all(inverse[r]), lanes);
      });
  }
}

// p = e^(scale s - log_sum) and ds = scale p (dp - sum_d out d_out) on [0, length); 0 to padded.
// They take the place of s and dp.
template <class T>
void score_gradient_of_row(int length, int padded, float scale, float log_sum, float delta,
                           float* s, float* dp) {
  T* p = narrowed_row<T>(s);
  T* ds = narrowed_row<T>(dp);
  int j = 0;
  over_lanes(length, [&](int at, auto lanes) {
    const F16 e =
        first_lanes(exp(fma(load(s + at), all(scale), all(-log_sum))), lanes, all(0));
    const F16 d = first_lanes(e * (load(dp + at) - all(delta)) * all(scale), lanes, all(0));
    store(p + at, e);
    store(ds + at, d);
    j = at + 16;
  });
  for (; j < padded; j += 16) {
    store(p + j, all(0));
    store(ds + j, all(0));
  }
}

// Rows of a block that look at equally many keys, and rows of a block.
template <class T>
constexpr int kStepRows = std::is_same_v<T, float> ? 14 : 32;
template <class T>
constexpr int kBlockRows = std::is_same_v<T, float> ? kBackwardRows : 96;

// What a block of rows works on: copies without gaps, as rows of packed q, k, v lie a power of two
// apart and would share a few cache sets. Copies that products sum over are as store_values leaves
// them; the rows that go into the scores are, in bfloat16, those of the pass itself.
template <class T>
struct BackwardBlock {
  int first, rows;
  int head_width;
  ptrdiff_t ld;   // between rows of p and ds
  float *p, *ds;  // (rows, keys), narrowed where they lie
  const T *query_rows, *d_out_rows;
  ptrdiff_t query_row, d_out_row;
  T *queries, *d_out;  // (rows, D)
  T* keys;             // (S, D)
  float *d_keys, *d_values;

  void take(const AttentionBackward& g, int head) {
    query_rows = static_cast<const T*>(g.queries) + first * g.qkv_row + head * head_width;
    d_out_rows = static_cast<const T*>(g.d_out) + first * g.out_row + head * head_width;
    query_row = g.qkv_row;
    d_out_row = g.out_row;
    store_values<T>(rows, 0, head_width, query_rows, query_row, queries);
    store_values<T>(rows, 0, head_width, d_out_rows, d_out_row, d_out);
    if constexpr (std::is_same_v<T, float>) {
      query_rows = queries;
      d_out_rows = d_out;
      query_row = d_out_row = head_width;
    }
  }
};

// p and ds of the block, and its d_queries.
template <class T>
void backward_of_rows(const AttentionBackward& g, int head, const BackwardBlock<T>& b) {
  const int D = b.head_width;
  const float scale = 1.0f / __builtin_sqrtf(float(D));
  for (int step = 0; step < b.rows; step += kStepRows<T>) {
    const int rows = b.rows - step < kStepRows<T> ? b.rows - step : kStepRows<T>;
    const int keys = b.first + step + rows;
    float* p = b.p + step * b.ld;
    float* ds = b.ds + step * b.ld;
    const T* d_out = b.d_out_rows + step * b.d_out_row;
    score_tiles(rows, keys, D, b.query_rows + step * b.query_row, b.query_row, g.key_tiles, p, b.ld);
    score_tiles(rows, keys, D, d_out, b.d_out_row, g.value_tiles, ds, b.ld);
    const T* out = static_cast<const T*>(g.out) + (b.first + step) * g.out_row + head * D;
    const float* log_sums = g.log_sums + head * g.log_sums_row + b.first + step;
    for (int r = 0; r < rows; r++) {
      F16 products = all(0);
      over_lanes(D, [&](int d, auto lanes) {
        products = fma(load(out + r * g.out_row + d, lanes),
                       load(d_out + r * b.d_out_row + d, lanes), products);
      });
      score_gradient_of_row<T>(b.first + step + r + 1, panels(keys) * kPanel, scale, log_sums[r],
                               lane_sum(products), p + r * b.ld, ds + r * b.ld);
    }
    matmul<T>({rows, D, keys, narrowed_row<T>(ds), narrowed_row_of<T>(b.ld), b.keys,
               kPerUnit<T> * D, kPerUnit<T> * kPanel, nullptr, 0,
               g.d_queries + (b.first + step) * g.d_qkv_row + head * D, g.d_qkv_row});
  }
}

// sums (S, D) += weights^T x for the block's weights (rows, keys) and x (rows, D). Row r sees the
// keys before the block and those up to its own.
template <class T>
void add_to_keys(const BackwardBlock<T>& b, float* weights, const T* x, float* sums) {
  constexpr int kPer = kPerUnit<T>;
  const int D = b.head_width;
  const T* seen = narrowed_row<T>(weights);
  const ptrdiff_t ld = narrowed_row_of<T>(b.ld);
  if (b.first > 0)
    matmul_transposed<T>({b.first, D, b.rows, seen, ld, x, kPer * D, kPer * kPanel, sums, D, sums, D});
  for (int step = 0; step < b.rows; step += kStepRows<T>) {
    const int keys = b.rows - step < kStepRows<T> ? b.rows - step : kStepRows<T>;
    float* to = sums + (b.first + step) * D;
    matmul_transposed<T>({keys, D, b.rows - step, seen + step * ld + b.first + step, ld, x + step * D,
                          kPer * D, kPer * kPanel, to, D, to, D});
  }
}

template <class T>
void attention_backward(const AttentionBackward& g) {
  const int D = g.head_width;
  const size_t scores = attention_scratch(kBackwardRows, g.length, 0);
  const size_t all_rows = size_t(panels(g.length)) * kPanel * D + kPanel;
  const size_t some_rows = size_t(kBackwardRows) * D + kPanel;
  BackwardBlock<T> b;
  b.head_width = D;
  b.ld = score_row(g.length);
  b.p = g.scratch;
  b.ds = b.p + scores;
  b.d_keys = b.ds + scores;
  b.d_values = b.d_keys + all_rows;
  b.keys = narrowed_row<T>(b.d_values + all_rows);
  b.queries = b.keys + all_rows;
  b.d_out = b.queries + some_rows;
  store_values<T>(g.length, 0, D, g.key_rows, g.qkv_row, b.keys);
  for (size_t i = 0; i < 2 * all_rows; i++) b.d_keys[i] = 0;
  for (int head = 0; head < g.group; head++) {
    for (b.first = 0; b.first < g.length; b.first += kBlockRows<T>) {
      b.rows = g.length - b.first < kBlockRows<T> ? g.length - b.first : kBlockRows<T>;
      b.take(g, head);
      backward_of_rows(g, head, b);
      add_to_keys(b, b.p, b.d_out, b.d_values);
      add_to_keys(b, b.ds, b.queries, b.d_keys);
    }
  }
  copy_rows(g.length, D, b.d_keys, D, g.d_keys, g.d_qkv_row);
  copy_rows(g.length, D, b.d_values, D, g.d_values, g.d_qkv_row);
}
