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

constexpr int kStepRows = 14;  // rows of a block that look at equally many keys

void attention_backward(const AttentionBackward& g) {
  const int D = g.head_width;
  const float scale = 1.0f / __builtin_sqrtf(float(D));
  const ptrdiff_t ld = score_row(g.length);
  float* p = g.scratch;
  float* ds = g.scratch + attention_scratch(kBackwardRows, g.length);
  for (int head = 0; head < g.group; head++) {
    for (int first = 0; first < g.length; first += kBackwardRows) {
      const int rows = g.length - first < kBackwardRows ? g.length - first : kBackwardRows;
      const int keys = first + rows;
      const float* q = g.queries + first * g.qkv_row + head * D;
      const float* out = g.out + first * g.out_row + head * D;
      const float* d_out = g.d_out + first * g.out_row + head * D;
      for (int step = 0; step < rows; step += kStepRows) {
        const int some = rows - step < kStepRows ? rows - step : kStepRows;
        const int seen = first + step + some;
        float* step_p = p + step * ld;
        float* step_ds = ds + step * ld;
        score_tiles(some, seen, D, q + step * g.qkv_row, g.qkv_row, g.key_tiles, step_p, ld);
        score_tiles(some, seen, D, d_out + step * g.out_row, g.out_row, g.value_tiles, step_ds, ld);
        for (int r = step; r < step + some; r++) {
          F16 products = all(0);
          over_lanes(D, [&](int d, auto lanes) {
            products = fma(load(out + r * g.out_row + d, lanes),
                           load(d_out + r * g.out_row + d, lanes), products);
          });
          score_gradient_of_row(first + r + 1, panels(keys) * kPanel, scale,
                                g.log_sums[head * g.log_sums_row + first + r],
                                lane_sum(products), p + r * ld, ds + r * ld);
        }
        matmul({some, D, seen, step_ds, ld, g.key_rows, g.qkv_row, kPanel, nullptr, 0,
                g.d_queries + (first + step) * g.d_qkv_row + head * D, g.d_qkv_row});
      }
      matmul_transposed({keys, D, rows, p, ld, d_out, g.out_row, kPanel, g.d_values, g.d_qkv_row,
                         g.d_values, g.d_qkv_row});
      matmul_transposed({keys, D, rows, ds, ld, q, g.qkv_row, kPanel, g.d_keys, g.d_qkv_row,
                         g.d_keys, g.d_qkv_row});
    }
  }
}
