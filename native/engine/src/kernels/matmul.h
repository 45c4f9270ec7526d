// Matrix products: register tiles of rows x 16-lane columns, blocked for the caches. Blocks of the
// summed index continue the chain from memory, so no blocking changes a result. bfloat16 goes through
// the same tiles as pairs: what is one step of a chain in float32 is one pair there. amx.h has tiles
// of its own.

// What a tile multiplies in one step: a float, or a pair of bfloat16.
template <class T>
using Unit = std::conditional_t<std::is_same_v<T, float>, float, Pair>;
template <class T>
constexpr int kPerUnit = std::is_same_v<T, float> ? 1 : 2;
template <class T>
using UnitLanes = decltype(load(static_cast<const Unit<T>*>(nullptr)));

#if defined(__AVX512F__)
constexpr int kTileRows = 14;    // 14 x 2 accumulators of 32 registers
constexpr int kTileVectors = 2;
constexpr int wide_vectors(int rows) { return rows <= 3 ? 8 : rows <= 6 ? 4 : 2; }
#elif defined(__AVX2__)
constexpr int kTileRows = 6;     // 6 x 2 accumulators of 16 registers
constexpr int kTileVectors = 1;
constexpr int wide_vectors(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
#elif defined(MASKSEARCH_NEON_LANES)
constexpr int kTileRows = 5;     // 5 x 4 accumulators of 32 registers
constexpr int kTileVectors = 1;
constexpr int wide_vectors(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
#else
constexpr int kTileRows = 4;
constexpr int kTileVectors = 1;
constexpr int wide_vectors(int) { return 1; }
#endif

constexpr int kDepth = 384;  // summed units per block, at most: a block of rows of a is 21 kB, in L1
constexpr int kDepthTransposed = 256;   // the same where columns of a are copied: 16 kB
constexpr int kBlocksCopied = 8;        // copied together: 448 bytes of each row, in 8 lines at most
constexpr int kCachedUnits = 1 << 17;   // of b in a block, 512 kB
constexpr int kAhead = 16 * kPanel;     // units of a packed panel to prefetch

// All of a and b in units.
template <class T>
struct Tile {
  int k;
  const Unit<T>* a;
  ptrdiff_t a_row;
  const Unit<T>* b;
  ptrdiff_t b_row;
  ptrdiff_t b_panel;
  const float* init;
  ptrdiff_t init_row;
  float* c;
  ptrdiff_t c_row;
  int last_lanes;  // valid lanes of the last vector
  const Unit<T>* ahead;  // what is read later: ahead_row further at every step, see Reading
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

// How a tile reads: rows of a (m, k), and while b comes from a near cache a share of what follows it;
// columns of a (k, m), and every eighth step a line of what is copied next; or b once, for few rows
// that wait for it more than they compute, and as much of what is read later.
enum class Reading { rows, columns, once };

// R rows by N vectors.
template <class T, Reading How, int R, int N>
void tile(const Tile<T>& given) {
  constexpr bool kColumns = How == Reading::columns;
  constexpr bool kOnce = How == Reading::once;
  const Tile<T> t = given;  // not aliased by c
  F16 sums[R][N];
  repeat<R>([&](auto i) {
    repeat<N>([&](auto v) {
      const float* from = t.init + i * t.init_row + v * 16;
      sums[i][v] = t.init == nullptr ? all(0) : v < N - 1 ? load(from) : load(from, t.last_lanes);
    });
  });
  if (!kOnce)
    repeat<R>([&](auto i) {  // the tile to the right
      repeat<N>([&](auto v) { __builtin_prefetch(t.c + i * t.c_row + (N + v) * 16); });
    });
  const Unit<T>* b = t.b;
  const ptrdiff_t a_row = t.a_row;
  const Unit<T>* a[(R + 2) / 3];  // one pointer for three rows: base, base + row, base + 2 row
  repeat<(R + 2) / 3>([&](auto i) { a[i] = t.a + (kColumns ? 3 * i : 3 * i * a_row); });
  for (int k = 0; k < t.k; k++) {
    const Unit<T>* ahead = t.ahead + (kColumns ? k / 8 : k) * t.ahead_row;
    if (!kOnce) __builtin_prefetch(ahead, 0, 2);
    UnitLanes<T> columns[N];
    repeat<N>([&](auto v) {
      const Unit<T>* column = b + (v / 2) * t.b_panel + (v % 2) * 16;
      columns[v] = load(column);
      __builtin_prefetch(kOnce ? ahead + v * 16 : column + kAhead);
    });
    b += t.b_row;
    repeat<R>([&](auto i) {
      const UnitLanes<T> row = all(kColumns ? a[i / 3][i % 3] : a[i / 3][(i % 3) * a_row]);
      repeat<N>([&](auto v) { sums[i][v] = fma(row, columns[v], sums[i][v]); });
    });
    repeat<(R + 2) / 3>([&](auto i) { a[i] += kColumns ? a_row : 1; });
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

template <class T>
using TileFunction = void (*)(const Tile<T>&);

constexpr int most_rows(int vectors) {
  int rows = kTileRows;
  while (rows > 1 && vectors > kTileVectors && wide_vectors(rows) < vectors) rows--;
  return rows;
}

template <class T, Reading How, int N, int... Rows>
TileFunction<T> pick_tile(int rows, std::integer_sequence<int, Rows...>) {
  static constexpr TileFunction<T> functions[] = {tile<T, How, Rows + 1, N>...};
  return functions[rows - 1];
}

template <class T, Reading How, int N>
TileFunction<T> pick_tile(int rows) {
  return pick_tile<T, How, N>(rows, std::make_integer_sequence<int, most_rows(N)>());
}

template <class T, Reading How>
TileFunction<T> pick_tile(int rows, int vectors) {
  constexpr int widest = wide_vectors(1);
  if constexpr (widest >= 8)
    if (vectors == 8) return pick_tile<T, How, 8>(rows);
  if constexpr (widest >= 4)
    if (vectors == 4) return pick_tile<T, How, 4>(rows);
  if constexpr (widest >= 2)
    if (vectors == 2) return pick_tile<T, How, 2>(rows);
  return pick_tile<T, How, 1>(rows);
}

// Rows as units: what begins at an even element is a sequence of pairs.
template <class T>
const Unit<T>* units(const T* elements) {
  return reinterpret_cast<const Unit<T>*>(elements);
}

// Columns j.. of `rows` rows from row i on: computes one tile and returns its number of columns.
template <Reading How, class T>
int columns_at(const Product<T>& g, int j, int i, int rows, int wide, Tile<T>& t) {
  const int left = (g.n - j + 15) / 16;
  int vectors = left >= wide ? wide : left >= kTileVectors ? kTileVectors : 1;
  if (vectors == 1 && left >= 2 && wide >= 2 && j % kPanel == 0) vectors = 2;
  const int columns = vectors * 16 < g.n - j ? vectors * 16 : g.n - j;
  t.k = (g.k + kPerUnit<T> - 1) / kPerUnit<T>;
  t.b = units(g.b + (j / kPanel) * g.b_panel) + j % kPanel;
  t.b_row = g.b_row / kPerUnit<T>;
  t.b_panel = g.b_panel / kPerUnit<T>;
  t.init = g.init == nullptr ? nullptr : g.init + i * g.init_row + j;
  t.init_row = g.init_row;
  t.c = g.c + i * g.c_row + j;
  t.c_row = g.c_row;
  t.last_lanes = columns - (vectors - 1) * 16;
  pick_tile<T, How>(rows, vectors)(t);
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
template <class T>
void product_of_rows(const Product<T>& g) {
  const RowBlocks blocks(g.m);
  for (int block = 0; block < blocks.count; block++) {
    const int i = blocks.start(block);
    const int rows = blocks.rows(block);
    const int wide = blocks.count == 1 ? wide_vectors(rows) : kTileVectors;
    Tile<T> t{};
    t.a = units(g.a + i * g.a_row);
    t.a_row = g.a_row / kPerUnit<T>;
    // Each block of rows fetches its share of what is read after these panels.
    t.ahead_row = kPanel / blocks.count;
    const int depth = (g.k + kPerUnit<T> - 1) / kPerUnit<T>;
    const Unit<T>* ahead = units(g.ahead) + block * t.ahead_row * depth;
    for (int j = 0; j < g.n;) {
      t.ahead = ahead + j / kPanel * (g.b_panel / kPerUnit<T>);
      j += columns_at<Reading::rows>(g, j, i, rows, wide, t);
    }
  }
}

// Units of 16 columns of a at step k of the chain.
inline F16 columns_of(const Product<float>& g, int column, int k, int lanes) {
  return load(g.a + k * g.a_row + column, lanes);
}
inline P16 columns_of(const Product<bfloat16>& g, int column, int k, int lanes) {
  const bfloat16* row = g.a + 2 * k * g.a_row + column;
  return paired(load(row, lanes), 2 * k + 1 < g.k ? load(row + g.a_row, lanes) : all(0));
}

// The same for a transposed. Blocks of its columns are copied next to each other, a few blocks at
// a time so that each row of a is read by whole cache lines; rows of a that are a power of two
// apart would share a few cache sets.
template <class T>
void product_of_columns(const Product<T>& g) {
  alignas(64) Unit<T> copies[kBlocksCopied][kDepthTransposed * 16];
  const RowBlocks blocks(g.m);
  const bool copied = g.n > 2 * kPanel || kPerUnit<T> > 1;
  const int depth = (g.k + kPerUnit<T> - 1) / kPerUnit<T>;
  for (int first = 0; first < blocks.count; first += kBlocksCopied) {
    const int last = first + kBlocksCopied < blocks.count ? first + kBlocksCopied : blocks.count;
    if (copied)
      for (int k = 0; k < depth; k++)
        for (int block = first; block < last; block++)
          store(copies[block - first] + k * 16,
                columns_of(g, blocks.start(block), k, blocks.rows(block)));
    for (int block = first; block < last; block++) {
      const int i = blocks.start(block);
      const int rows = blocks.rows(block);
      Tile<T> t{};
      t.a = copied ? copies[block - first] : units(g.a + i);
      t.a_row = copied ? 16 : g.a_row;
      // A block's tiles fetch a line of each row of what is copied next, k / 8 rows each.
      t.ahead = units(g.a + blocks.start(last) + (block - first) * 16);
      t.ahead_row = g.a_row / kPerUnit<T>;
      for (int j = 0, row = 0; j < g.n; row += g.k / 8) {
        j += columns_at<Reading::columns>(g, j, i, rows, wide_vectors(rows), t);
        if (row < g.k) t.ahead += g.k / 8 * t.ahead_row;
      }
    }
  }
}

#if defined(__AMX_BF16__)
void product_of_rows(const Product<bfloat16>& g);  // amx.h
void product_of_columns(const Product<bfloat16>& g);
#endif

// Columns per block: b's part of the block stays in L2.
inline int columns_in_cache(int depth) {
  constexpr int kGrain = 4 * kPanel;
  const int columns = kCachedUnits / (depth > 0 ? depth : 1) / kGrain * kGrain;
  return columns > kGrain ? columns : kGrain;
}

// What is fetched while a part of b is read: the part after it, unless this one is read once, in
// order. amx.h fetches that only where it is told to.
template <class T>
const T* fetched_ahead(const Product<T>& part, const T* next) {
  return part.m > kTileRows && next != nullptr ? next : part.b;
}
#if defined(__AMX_BF16__)
inline const bfloat16* fetched_ahead(const Product<bfloat16>& part, const bfloat16*) {
  return part.ahead;
}
#endif

template <bool Transposed, class T>
void blocked_product(const Product<T>& g) {
  constexpr int most = (Transposed ? kDepthTransposed : kDepth) * kPerUnit<T>;
  constexpr int grain = kPerUnit<T> == 1 ? 1 : 32;
  const int blocks = g.k <= most ? 1 : (g.k + most - 1) / most;
  const int depth = ((g.k + blocks - 1) / blocks + grain - 1) / grain * grain;
  const int columns = columns_in_cache(depth / kPerUnit<T>);
  for (int j = 0; j < g.n; j += columns) {
    int k = 0;
    do {
      Product<T> block = g;
      block.n = g.n - j < columns ? g.n - j : columns;
      block.k = g.k - k < depth ? g.k - k : depth;
      block.a += Transposed ? k * g.a_row : k;
      block.b += j / kPanel * g.b_panel + k / kPerUnit<T> * g.b_row;
      const T* next = k + depth < g.k    ? block.b + depth / kPerUnit<T> * g.b_row
                      : j + columns < g.n ? g.b + (j + columns) / kPanel * g.b_panel
                                          : g.ahead;
      block.ahead = fetched_ahead(block, next);
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

template <class T>
void matmul(const Product<T>& g) {
  blocked_product<false>(g);
}
template <class T>
void matmul_transposed(const Product<T>& g) {
  blocked_product<true>(g);
}

template <class T>
Product<T> typed(const MatMul& g) {
  return {g.m,     g.n,       g.k,    static_cast<const T*>(g.a), g.a_row, static_cast<const T*>(g.b),
          g.b_row, g.b_panel, g.init, g.init_row,                 g.c,     g.c_row,
          static_cast<const T*>(g.ahead)};
}
