// Causal attention on the matrix tiles. All scores of a block of rows are kept, so the softmax
// needs no rescaling and each output element is one chain over keys 0, 1, 2, ... whatever the
// block: decoding one token against a cache gives the bits of a whole-sequence pass.

void store_key_tiles(int rows, int first, int head_width, const float* x, ptrdiff_t ld,
                     float* tiles) {
  for (int r = 0; r < rows;) {
    const int lane = (first + r) % kPanel;
    const int keys = rows - r < kPanel - lane ? rows - r : kPanel - lane;
    float* tile = tiles + size_t((first + r) / kPanel) * kPanel * head_width + lane;
    for (int d = 0; d < head_width; d++)
      for (int j = 0; j < keys; j++) tile[size_t(d) * kPanel + j] = x[j * ld + d];
    r += keys;
    x += keys * ld;
  }
  // A tile begun by an earlier call has its free lanes at 0 already.
  const int end = first + rows;
  if (end % kPanel == 0 || end / kPanel * kPanel < first) return;
  float* tail = tiles + size_t(end / kPanel) * kPanel * head_width;
  for (int d = 0; d < head_width; d++)
    for (int j = end % kPanel; j < kPanel; j++) tail[size_t(d) * kPanel + j] = 0;
}

// scores (rows, panels(keys) * 32) = x tiles^T
inline void score_tiles(int rows, int keys, int head_width, const float* x, ptrdiff_t ld,
                        const float* tiles, float* scores, ptrdiff_t scores_row) {
  matmul({rows, panels(keys) * kPanel, head_width, x, ld, tiles, kPanel,
          ptrdiff_t(kPanel) * head_width, nullptr, 0, scores, scores_row});
}

// scores[0..length) become e^(scale (s - s_max)), [length..padded) become 0. Returns their sum.
inline float exponentials_of_row(int length, int padded, float scale, float* scores,
                                 float* scaled_max) {
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
    store(scores + at, e);
    sum = sum + e;
    j = at + 16;
  });
  for (; j < padded; j += 16) store(scores + j, all(0));
  return lane_sum(sum);
}

void attention(const Attention& g) {
  const float scale = 1.0f / __builtin_sqrtf(float(g.head_width));
  const int longest = g.first_length + (g.rows - 1) * g.length_step;
  const ptrdiff_t ld = score_row(longest);
  for (int first = 0; first < g.rows; first += kTileRows) {
    const int rows = g.rows - first < kTileRows ? g.rows - first : kTileRows;
    const int keys = g.first_length + (first + rows - 1) * g.length_step;
    score_tiles(rows, keys, g.head_width, g.queries + first * g.query_row, g.query_row, g.keys,
                g.scratch, ld);
    float inverse[kTileRows];
    for (int r = 0; r < rows; r++) {
      const int length = g.first_length + (first + r) * g.length_step;
      float largest;
      const float sum = exponentials_of_row(length, panels(keys) * kPanel, scale,
                                            g.scratch + r * ld, &largest);
      inverse[r] = 1.0f / sum;
      if (g.log_sums != nullptr)
        g.log_sums[(first + r) * g.log_sums_row] =
            float(double(largest) + __builtin_log(double(sum)));
    }
    float* out = g.out + first * g.out_row;
    matmul({rows, g.head_width, keys, g.scratch, ld, g.values, g.head_width, kPanel, nullptr, 0,
            out, g.out_row});
    for (int r = 0; r < rows; r++, out += g.out_row)
      over_lanes(g.head_width, [&](int d, auto lanes) {
        store(out + d, load(out + d, lanes) * all(inverse[r]), lanes);
      });
  }
}

// p = e^(scale s - log_sum) and ds = scale p (dp - sum_d out d_out) on [0, length); 0 to padded.
inline void score_gradient_of_row(int length, int padded, float scale, float log_sum, float delta,
                                  float* p, float* ds) {
  int j = 0;
  over_lanes(length, [&](int at, auto lanes) {
    const F16 e =
        first_lanes(exp(fma(load(p + at), all(scale), all(-log_sum))), lanes, all(0));
    store(p + at, e);
    store(ds + at, first_lanes(e * (load(ds + at) - all(delta)) * all(scale), lanes, all(0)));
    j = at + 16;
  });
  for (; j < padded; j += 16) {
    store(p + j, all(0));
    store(ds + j, all(0));
  }
}

// rows of `width` floats, at any distance from each other on both sides
inline void copy_rows(int rows, int width, const float* from, ptrdiff_t from_row, float* to,
                      ptrdiff_t to_row) {
  for (int r = 0; r < rows; r++, from += from_row, to += to_row)
    over_lanes(width, [&](int c, auto lanes) { store(to + c, load(from + c, lanes), lanes); });
}

constexpr int kStepRows = 14;  // rows of a block that look at equally many keys

// What a block of rows works on: copies without gaps, as rows of packed q, k, v lie a power of two
// apart and would share a few cache sets.
struct BackwardBlock {
  int first, rows;
  int head_width;
  ptrdiff_t ld;            // between rows of p and ds
  float *p, *ds;           // (rows, keys)
  float *queries, *d_out;  // (rows, D)
  float* keys;             // (S, D)
  float *d_keys, *d_values;
};

// p and ds of the block, and its d_queries.
inline void backward_of_rows(const AttentionBackward& g, int head, const BackwardBlock& b) {
  const int D = b.head_width;
  const float scale = 1.0f / __builtin_sqrtf(float(D));
  for (int step = 0; step < b.rows; step += kStepRows) {
    const int rows = b.rows - step < kStepRows ? b.rows - step : kStepRows;
    const int keys = b.first + step + rows;
    float* p = b.p + step * b.ld;
    float* ds = b.ds + step * b.ld;
    score_tiles(rows, keys, D, b.queries + step * D, D, g.key_tiles, p, b.ld);
    score_tiles(rows, keys, D, b.d_out + step * D, D, g.value_tiles, ds, b.ld);
    const float* out = g.out + (b.first + step) * g.out_row + head * D;
    const float* log_sums = g.log_sums + head * g.log_sums_row + b.first + step;
    for (int r = 0; r < rows; r++) {
      F16 products = all(0);
      over_lanes(D, [&](int d, auto lanes) {
        products = fma(load(out + r * g.out_row + d, lanes),
                       load(b.d_out + (step + r) * D + d, lanes), products);
      });
      score_gradient_of_row(b.first + step + r + 1, panels(keys) * kPanel, scale, log_sums[r],
                            lane_sum(products), p + r * b.ld, ds + r * b.ld);
    }
    matmul({rows, D, keys, ds, b.ld, b.keys, D, kPanel, nullptr, 0,
            g.d_queries + (b.first + step) * g.d_qkv_row + head * D, g.d_qkv_row});
  }
}

// sums (S, D) += weights^T x for the block's weights (rows, keys) and x (rows, D). Row r sees the
// keys before the block and those up to its own.
inline void add_to_keys(const BackwardBlock& b, const float* weights, const float* x, float* sums) {
  const int D = b.head_width;
  if (b.first > 0)
    matmul_transposed({b.first, D, b.rows, weights, b.ld, x, D, kPanel, sums, D, sums, D});
  for (int step = 0; step < b.rows; step += kStepRows) {
    const int keys = b.rows - step < kStepRows ? b.rows - step : kStepRows;
    float* to = sums + (b.first + step) * D;
    matmul_transposed({keys, D, b.rows - step, weights + step * b.ld + b.first + step, b.ld,
                       x + step * D, D, kPanel, to, D, to, D});
  }
}

void attention_backward(const AttentionBackward& g) {
  const int D = g.head_width;
  const size_t scores = attention_scratch(kBackwardRows, g.length);
  const size_t all_rows = size_t(g.length) * D + kPanel;
  const size_t some_rows = size_t(kBackwardRows) * D + kPanel;
  BackwardBlock b;
  b.head_width = D;
  b.ld = score_row(g.length);
  b.p = g.scratch;
  b.ds = b.p + scores;
  b.queries = b.ds + scores;
  b.d_out = b.queries + some_rows;
  b.keys = b.d_out + some_rows;
  b.d_keys = b.keys + all_rows;
  b.d_values = b.d_keys + all_rows;
  copy_rows(g.length, D, g.key_rows, g.qkv_row, b.keys, D);
  for (size_t i = 0; i < 2 * all_rows; i++) b.d_keys[i] = 0;
  for (int head = 0; head < g.group; head++) {
    for (b.first = 0; b.first < g.length; b.first += kBackwardRows) {
      b.rows = g.length - b.first < kBackwardRows ? g.length - b.first : kBackwardRows;
      copy_rows(b.rows, D, g.queries + b.first * g.qkv_row + head * D, g.qkv_row, b.queries, D);
      copy_rows(b.rows, D, g.d_out + b.first * g.out_row + head * D, g.out_row, b.d_out, D);
      backward_of_rows(g, head, b);
      add_to_keys(b, b.p, b.d_out, b.d_values);
      add_to_keys(b, b.ds, b.queries, b.d_keys);
    }
  }
  copy_rows(g.length, D, b.d_keys, D, g.d_keys, g.d_qkv_row);
  copy_rows(g.length, D, b.d_values, D, g.d_values, g.d_qkv_row);
}
