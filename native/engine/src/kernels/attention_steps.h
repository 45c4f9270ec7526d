// Attention of a few rows that see the same keys, as in decoding: keys and values in steps, of which
// later ones are fetched while one is worked on.

// Such rows wait for keys and values more than they compute. Steps are kStepBytes or one panel. After
// the last keys the values are fetched, also during the softmax, then the next call's keys. Sums are the
// chains of one product.
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
