// Causal attention on the matrix tiles. All scores of a block of rows are kept, so the softmax
// needs no rescaling and each output element is one chain over keys 0, 1, 2, ... whatever the
// block: decoding one token against a cache gives the bits of a whole-sequence pass.

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
    const auto length_of = [&](int r) { return g.first_length + (first + r) * g.length_step; };
    float largest[kTile], totals[kTile];  // all maxima first, as each has to wait for its lanes
    for (int r = 0; r < rows; r++)
      largest[r] = largest_of_row(length_of(r), g.scratch + r * ld) * scale;
    for (int r = 0; r < rows; r++) {
      if (steps) fetch_values<T>(keys, g, r);
      totals[r] = exponentials_of_row<T>(length_of(r), score_columns<T>(keys), scale, largest[r],
                                         g.scratch + r * ld);
    }
    if (g.log_sums != nullptr)
      for (int r = 0; r < rows; r++)
        g.log_sums[(first + r) * g.log_sums_row] = largest[r] + log_of(totals[r]);
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
    for (int r = 0; r < rows; r++, out += g.out_row, sums += sums_row) {
      const F16 inverse = all(1.0f / totals[r]);
      over_lanes(g.head_width, [&](int d, auto lanes) {
        store(out + d, load(sums + d, lanes) * inverse, lanes);
      });
    }
  }
}
