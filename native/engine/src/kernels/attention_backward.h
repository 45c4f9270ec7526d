// The gradient of causal attention, with probabilities from the saved log sums.

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
        first_lanes(exp_below_limit(fma(load(s + at), all(scale), all(-log_sum))), lanes, all(0));
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

// Rows of one head lie so far apart that the processor fetches none of them ahead by itself.
template <class T>
void fetch_rows(int rows, int width, const T* from, ptrdiff_t ld) {
  for (int r = 0; r < rows; r++) fetch(from + r * ld, width);
}

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

  // Fetches rows [step, step + kStepRows) of the block after this one, which `take` copies.
  void fetch_next(const AttentionBackward& g, int head, int step) const {
    int row = first + kBlockRows<T> + step;
    if (first + kBlockRows<T> >= g.length) {
      row = step;
      head++;
    }
    if (head >= g.group) return;
    const int count = g.length - row < kStepRows<T> ? g.length - row : kStepRows<T>;
    const ptrdiff_t column = ptrdiff_t(head) * head_width;
    fetch_rows(count, head_width, static_cast<const T*>(g.queries) + row * g.qkv_row + column,
               g.qkv_row);
    fetch_rows(count, head_width, static_cast<const T*>(g.d_out) + row * g.out_row + column,
               g.out_row);
  }

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
    const T* out = static_cast<const T*>(g.out) + (b.first + step) * g.out_row + head * D;
    fetch_rows(rows, D, out, g.out_row);
    b.fetch_next(g, head, step);
    score_tiles(rows, keys, D, b.query_rows + step * b.query_row, b.query_row, g.key_tiles, p, b.ld);
    score_tiles(rows, keys, D, d_out, b.d_out_row, g.value_tiles, ds, b.ld);
    const float* log_sums = g.log_sums + head * g.log_sums_row + b.first + step;
    for (int r = 0; r < rows; r++) {
      F16 products = all(0);
      over_lanes(D, [&](int d, auto lanes) {
        products = fma(load(out + r * g.out_row + d, lanes),
                       load(d_out + r * b.d_out_row + d, lanes), products);
      });
      score_gradient_of_row<T>(b.first + step + r + 1, score_columns<T>(keys), scale, log_sums[r],
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
