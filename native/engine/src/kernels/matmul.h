// Matrix products: register tiles of rows x 16-lane columns, blocked for the caches. Blocks of the
// summed index continue the chain from memory, so no blocking changes a result.

#if defined(__AVX512F__)
constexpr int kTileRows = 14;    // 14 x 2 accumulators of 32 registers
constexpr int kTileVectors = 2;
constexpr int wide_vectors(int rows) { return rows <= 3 ? 8 : rows <= 6 ? 4 : 2; }
#elif defined(__AVX2__)
constexpr int kTileRows = 6;     // 6 x 2 accumulators of 16 registers
constexpr int kTileVectors = 1;
constexpr int wide_vectors(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
#else
constexpr int kTileRows = 4;
constexpr int kTileVectors = 1;
constexpr int wide_vectors(int) { return 1; }
#endif

constexpr int kDepth = 384;  // summed index per block, at most: a block of rows of a is 21 kB, in L1
constexpr int kDepthTransposed = 256;   // the same where columns of a are copied: 16 kB
constexpr int kBlocksCopied = 4;        // copied together: 224 bytes of each row
constexpr int kCachedFloats = 1 << 17;  // of b in a block, 512 kB
constexpr int kAhead = 16 * kPanel;     // floats of a packed panel to prefetch

struct Tile {
  int k;
  const float* a;
  ptrdiff_t a_row;
  const float* b;
  ptrdiff_t b_row;
  ptrdiff_t b_panel;
  const float* init;
  ptrdiff_t init_row;
  float* c;
  ptrdiff_t c_row;
  int last_lanes;      // valid lanes of the last vector
  const float* ahead;  // what is read later: ahead + k * ahead_row is prefetched at step k
  ptrdiff_t ahead_row;
};

// Calls body(0) ... body(N - 1) with compile-time indices, so that arrays stay in registers.
template <class Body, int... Index>
inline __attribute__((always_inline)) void each_of(Body body, std::integer_sequence<int, Index...>) {
  (body(std::integral_constant<int, Index>()), ...);
}
template <int N, class Body>
inline __attribute__((always_inline)) void repeat(Body body) {
  each_of(body, std::make_integer_sequence<int, N>());
}

// R rows by N vectors. A is (m, k), or (k, m) where Transposed.
template <bool Transposed, int R, int N>
void tile(const Tile& given) {
  const Tile t = given;  // not aliased by c
  F16 sums[R][N];
  repeat<R>([&](auto i) {
    repeat<N>([&](auto v) {
      const float* from = t.init + i * t.init_row + v * 16;
      sums[i][v] = t.init == nullptr ? all(0) : v < N - 1 ? load(from) : load(from, t.last_lanes);
    });
  });
  repeat<R>([&](auto i) {  // the tile to the right
    repeat<N>([&](auto v) { __builtin_prefetch(t.c + i * t.c_row + (N + v) * 16); });
  });
  const float* b = t.b;
  const ptrdiff_t a_row = t.a_row;
  const float* a[(R + 2) / 3];  // one pointer for three rows: base, base + row, base + 2 row
  repeat<(R + 2) / 3>([&](auto i) { a[i] = t.a + (Transposed ? 3 * i : 3 * i * a_row); });
  for (int k = 0; k < t.k; k++) {
    if (Transposed) __builtin_prefetch(t.ahead + k / 8 * t.ahead_row, 0, 2);
    F16 columns[N];
    repeat<N>([&](auto v) {
      const float* column = b + (v / 2) * t.b_panel + (v % 2) * 16;
      columns[v] = load(column);
      __builtin_prefetch(column + kAhead);
    });
    b += t.b_row;
    repeat<R>([&](auto i) {
      const F16 row = all(Transposed ? a[i / 3][i % 3] : a[i / 3][(i % 3) * a_row]);
      repeat<N>([&](auto v) { sums[i][v] = fma(row, columns[v], sums[i][v]); });
    });
    repeat<(R + 2) / 3>([&](auto i) { a[i] += Transposed ? a_row : 1; });
  }
  repeat<R>([&](auto i) {
    repeat<N>([&](auto v) {
      float* to = t.c + i * t.c_row + v * 16;
      if (v < N - 1) {
        store(to, sums[i][v]);
      } else {
        store(to, sums[i][v], t.last_lanes);
      }
    });
  });
}

using TileFunction = void (*)(const Tile&);

constexpr int most_rows(int vectors) {
  int rows = kTileRows;
  while (rows > 1 && vectors > kTileVectors && wide_vectors(rows) < vectors) rows--;
  return rows;
}

template <bool Transposed, int N, int... Rows>
TileFunction pick_tile(int rows, std::integer_sequence<int, Rows...>) {
  static constexpr TileFunction functions[] = {tile<Transposed, Rows + 1, N>...};
  return functions[rows - 1];
}

template <bool Transposed, int N>
TileFunction pick_tile(int rows) {
  return pick_tile<Transposed, N>(rows, std::make_integer_sequence<int, most_rows(N)>());
}

template <bool Transposed>
TileFunction pick_tile(int rows, int vectors) {
  constexpr int widest = wide_vectors(1);
  if constexpr (widest >= 8)
    if (vectors == 8) return pick_tile<Transposed, 8>(rows);
  if constexpr (widest >= 4)
    if (vectors == 4) return pick_tile<Transposed, 4>(rows);
  if constexpr (widest >= 2)
    if (vectors == 2) return pick_tile<Transposed, 2>(rows);
  return pick_tile<Transposed, 1>(rows);
}

// Columns j.. of `rows` rows from row i on: computes one tile and returns its number of columns.
template <bool Transposed>
int columns_at(const MatMul& g, int j, int i, int rows, int wide, Tile t) {
  const int left = (g.n - j + 15) / 16;
  int vectors = left >= wide ? wide : left >= kTileVectors ? kTileVectors : 1;
  if (vectors == 1 && left >= 2 && wide >= 2 && j % kPanel == 0) vectors = 2;
  const int columns = vectors * 16 < g.n - j ? vectors * 16 : g.n - j;
  t.k = g.k;
  t.b = g.b + (j / kPanel) * g.b_panel + j % kPanel;
  t.b_row = g.b_row;
  t.b_panel = g.b_panel;
  t.init = g.init == nullptr ? nullptr : g.init + i * g.init_row + j;
  t.init_row = g.init_row;
  t.c = g.c + i * g.c_row + j;
  t.c_row = g.c_row;
  t.last_lanes = columns - (vectors - 1) * 16;
  pick_tile<Transposed>(rows, vectors)(t);
  return columns;
}

// Splits m rows into blocks of at most kTileRows, as evenly as can be.
struct RowBlocks {
  int count, size, larger;  // the first `larger` blocks have one row more

  explicit RowBlocks(int m)
      : count((m + kTileRows - 1) / kTileRows),
        size(count == 0 ? 0 : m / count),
        larger(m - size * count) {}
  int start(int block) const { return block * size + (block < larger ? block : larger); }
  int rows(int block) const { return size + (block < larger ? 1 : 0); }
};

// A part of the product that fits the caches: a block of rows of a stays in L1 while panels of b
// stream from L2.
void product_of_rows(const MatMul& g) {
  const RowBlocks blocks(g.m);
  for (int block = 0; block < blocks.count; block++) {
    const int i = blocks.start(block);
    const int rows = blocks.rows(block);
    const int wide = blocks.count == 1 ? wide_vectors(rows) : kTileVectors;
    Tile t{};
    t.a = g.a + i * g.a_row;
    t.a_row = g.a_row;
    for (int j = 0; j < g.n;) j += columns_at<false>(g, j, i, rows, wide, t);
  }
}

// The same for a transposed. Blocks of its columns are copied next to each other, a few blocks at
// a time so that each row of a is read by whole cache lines; rows of a that are a power of two
// apart would share a few cache sets.
void product_of_columns(const MatMul& g) {
  alignas(64) float copies[kBlocksCopied][kDepthTransposed * 16];
  const RowBlocks blocks(g.m);
  const bool copied = g.n > 2 * kPanel;
  for (int first = 0; first < blocks.count; first += kBlocksCopied) {
    const int last = first + kBlocksCopied < blocks.count ? first + kBlocksCopied : blocks.count;
    if (copied)
      for (int k = 0; k < g.k; k++)
        for (int block = first; block < last; block++)
          store(copies[block - first] + k * 16,
                load(g.a + k * g.a_row + blocks.start(block), blocks.rows(block)));
    for (int block = first; block < last; block++) {
      const int i = blocks.start(block);
      const int rows = blocks.rows(block);
      Tile t{};
      t.a = copied ? copies[block - first] : g.a + i;
      t.a_row = copied ? 16 : g.a_row;
      // A block's tiles fetch a line of each row of what is copied next, k / 8 rows each.
      t.ahead = g.a + blocks.start(last) + (block - first) * 16;
      t.ahead_row = g.a_row;
      for (int j = 0, row = 0; j < g.n; row += g.k / 8) {
        j += columns_at<true>(g, j, i, rows, wide_vectors(rows), t);
        if (row < g.k) t.ahead += g.k / 8 * g.a_row;
      }
    }
  }
}

// Columns per block: b's part of the block stays in L2.
inline int columns_in_cache(int depth) {
  constexpr int kGrain = 4 * kPanel;
  const int columns = kCachedFloats / (depth > 0 ? depth : 1) / kGrain * kGrain;
  return columns > kGrain ? columns : kGrain;
}

template <bool Transposed>
void blocked_product(const MatMul& g) {
  constexpr int most = Transposed ? kDepthTransposed : kDepth;
  const int blocks = g.k <= most ? 1 : (g.k + most - 1) / most;
  const int depth = (g.k + blocks - 1) / blocks;
  const int columns = columns_in_cache(depth);
  for (int j = 0; j < g.n; j += columns) {
    int k = 0;
    do {
      MatMul block = g;
      block.n = g.n - j < columns ? g.n - j : columns;
      block.k = g.k - k < depth ? g.k - k : depth;
      block.a += Transposed ? k * g.a_row : k;
      block.b += j / kPanel * g.b_panel + k * g.b_row;
      block.c += j;
      if (k > 0) {
        block.init = block.c;
        block.init_row = g.c_row;
      } else if (g.init != nullptr) {
        block.init += j;
      }
      if (Transposed) {
        product_of_columns(block);
      } else {
        product_of_rows(block);
      }
      k += depth;
    } while (k < g.k);
  }
}

void matmul(const MatMul& g) { blocked_product<false>(g); }
void matmul_transposed(const MatMul& g) { blocked_product<true>(g); }

void pack_transposed(int n, int k, const float* w, float* packed, int first, int last) {
  constexpr int kDeep = 16;  // a cache line of each of the panel's rows of w at a time
  for (int panel = first; panel < last; panel++) {
    float* to = packed + size_t(panel) * kPanel * k;
    for (int i = 0; i < k; i += kDeep, to += kDeep * kPanel) {
      const int depth = k - i < kDeep ? k - i : kDeep;
      for (int j = 0; j < kPanel; j++) {
        const int column = panel * kPanel + j;
        const float* from = w + size_t(column) * k + i;
        for (int d = 0; d < depth; d++) to[d * kPanel + j] = column < n ? from[d] : 0.0f;
      }
    }
  }
}

void pack(int n, int k, const float* w, float* packed, int first, int last) {
  for (int i = 0; i < k; i++)
    for (int panel = first; panel < last; panel++) {
      const int column = panel * kPanel;
      const int columns = n - column < kPanel ? n - column : kPanel;
      const float* from = w + size_t(i) * n + column;
      float* to = packed + (size_t(panel) * k + i) * kPanel;
      store(to, load(from, columns < 16 ? columns : 16));
      store(to + 16, columns > 16 ? load(from + 16, columns - 16) : all(0));
    }
}
