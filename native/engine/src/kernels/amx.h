// Products of bfloat16 on AMX tiles: results of 16 x 16, four at a time. An element's chain adds
// blocks of 32 products from the first on, whatever the rows and columns around it.

constexpr int kAmxRows = 32;     // two tiles of rows
constexpr int kAmxDepth = 32;    // elements that a tile sums over
constexpr int kResultRow = 128;  // bytes, of a panel of results on the stack
constexpr int kAmxAhead = 32;    // rows of b to prefetch

// The intrinsics of GCC 12 do not say what memory they read: everything before this is in memory.
inline void memory_is_written(const void* what) { __asm__ volatile("" : : "r"(what) : "memory"); }

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0 and 1 are results of rows 0..15, 2 and 3 of rows 16.., 4 and 5 those rows of a, 6 and 7 two
// times 16 columns of b. Remembered by thread: nothing else on the engine's threads uses tiles.
inline void configure_tiles(int rows) {
  static thread_local int configured = 0;
  if (rows == configured) return;
  const uint8_t upper = uint8_t(rows < 16 ? rows : 16);
  const uint8_t lower = uint8_t(rows > 16 ? rows - 16 : 16);
  const uint8_t each[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
  TileConfig config;
  for (int tile = 0; tile < 8; tile++) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = each[tile];
  }
  memory_is_written(&config);
  _tile_loadconfig(&config);
  configured = rows;
}

// Rows are that many bytes apart.
struct AmxPanel {
  int steps;  // of 32 products
  const char* a;
  ptrdiff_t a_row;
  const char* b;
  ptrdiff_t b_row;
  const char* init;
  ptrdiff_t init_row;
  char* c;
  ptrdiff_t c_row;
  int rows;
  ptrdiff_t ahead;  // what is prefetched of b, or instead of it
};

// Between two buffers.
inline ptrdiff_t bytes_between(const void* from, const void* to) {
  return reinterpret_cast<intptr_t>(to) - reinterpret_cast<intptr_t>(from);
}

// Up to 32 rows by 16 columns, or 32 where Right; Lower says that there are more than 16 rows.
template <bool Lower, bool Right>
void amx_panel(const AmxPanel& t) {
  memory_is_written(t.a);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (t.init != nullptr) {
    _tile_loadd(0, t.init, t.init_row);
    if (Right) _tile_loadd(1, t.init + 64, t.init_row);
    if (Lower) _tile_loadd(2, t.init + 16 * t.init_row, t.init_row);
    if (Lower && Right) _tile_loadd(3, t.init + 16 * t.init_row + 64, t.init_row);
  }
  for (int row = 0; row < t.rows; row++) {
    __builtin_prefetch(t.c + row * t.c_row, 1);
    if (Right) __builtin_prefetch(t.c + row * t.c_row + 64, 1);
  }
  const char* a = t.a;
  const char* b = t.b;
  for (int step = 0; step < t.steps; step++, a += 64, b += 16 * t.b_row) {
    for (int row = 0; row < 16; row++) {
      const char* ahead = b + t.ahead + row * t.b_row;
      __builtin_prefetch(ahead);
      if (Right) __builtin_prefetch(ahead + 64);
    }
    _tile_loadd(4, a, t.a_row);
    _tile_loadd(6, b, t.b_row);
    _tile_dpbf16ps(0, 4, 6);
    if (Right) _tile_loadd(7, b + 64, t.b_row);
    if (Right) _tile_dpbf16ps(1, 4, 7);
    if (Lower) _tile_loadd(5, a + 16 * t.a_row, t.a_row);
    if (Lower) _tile_dpbf16ps(2, 5, 6);
    if (Lower && Right) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, t.c, t.c_row);
  if (Right) _tile_stored(1, t.c + 64, t.c_row);
  if (Lower) _tile_stored(2, t.c + 16 * t.c_row, t.c_row);
  if (Lower && Right) _tile_stored(3, t.c + 16 * t.c_row + 64, t.c_row);
}

inline void amx_panel(int rows, int columns, const AmxPanel& t) {
  if (rows > 16) {
    columns > 16 ? amx_panel<true, true>(t) : amx_panel<true, false>(t);
  } else {
    columns > 16 ? amx_panel<false, true>(t) : amx_panel<false, false>(t);
  }
}

// The same where the last 16 columns are not all there: results go through the stack.
inline void partial_amx_panel(int rows, int columns, AmxPanel t) {
  alignas(64) float results[kAmxRows * kResultRow / sizeof(float)];
  const auto row_of = [&](int r) { return results + r * kResultRow / ptrdiff_t(sizeof(float)); };
  const auto over_columns = [&](auto body) {
    for (int r = 0; r < rows; r++)
      for (int j = 0; j < columns; j += 16) body(r, j, columns - j < 16 ? columns - j : 16);
  };
  if (t.init != nullptr) {
    over_columns([&](int r, int j, int lanes) {
      const char* from = t.init + r * t.init_row;
      store(row_of(r) + j, load(reinterpret_cast<const float*>(from) + j, lanes));
    });
    t.init = reinterpret_cast<const char*>(results);
    t.init_row = kResultRow;
  }
  char* const c = t.c;
  const ptrdiff_t c_row = t.c_row;
  t.c = reinterpret_cast<char*>(results);
  t.c_row = kResultRow;
  amx_panel(rows, columns, t);
  over_columns([&](int r, int j, int lanes) {
    store(reinterpret_cast<float*>(c + r * c_row) + j, load(row_of(r) + j), lanes);
  });
}

void product_of_rows(const Product<bfloat16>& g) {
  constexpr ptrdiff_t kFloat = sizeof(float), kElement = sizeof(bfloat16);
  for (int i = 0; i < g.m; i += kAmxRows) {
    const int rows = g.m - i < kAmxRows ? g.m - i : kAmxRows;
    configure_tiles(rows);
    for (int j = 0; j < g.n; j += kPanel) {
      const int columns = g.n - j < kPanel ? g.n - j : kPanel;
      AmxPanel t;
      t.steps = (g.k + kAmxDepth - 1) / kAmxDepth;
      t.a = reinterpret_cast<const char*>(g.a + i * g.a_row);
      t.a_row = g.a_row * kElement;
      t.b = reinterpret_cast<const char*>(g.b + j / kPanel * g.b_panel);
      t.b_row = g.b_row * kElement;
      t.init = g.init == nullptr ? nullptr
                                 : reinterpret_cast<const char*>(g.init + i * g.init_row + j);
      t.init_row = g.init_row * kFloat;
      t.c = reinterpret_cast<char*>(g.c + i * g.c_row + j);
      t.c_row = g.c_row * kFloat;
      t.rows = rows;
      t.ahead = g.ahead == nullptr ? kAmxAhead * t.b_row : bytes_between(g.b, g.ahead);
      if (columns % 16 == 0) {
        amx_panel(rows, columns, t);
      } else {
        partial_amx_panel(rows, columns, t);
      }
    }
  }
}

// 16 rows of 16 units become 16 columns.
inline void transpose(__m512i rows[16]) {
  __m512i half[16];
  for (int i = 0; i < 16; i += 2) {
    half[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    half[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(half[i], half[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(half[i], half[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(half[i + 1], half[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(half[i + 1], half[i + 3]);
  }
  // rows[4 g + j] holds columns j, j + 4, j + 8, j + 12 of rows 4 g .. 4 g + 3
  for (int j = 0; j < 4; j++) {
    half[j] = _mm512_shuffle_i32x4(rows[j], rows[4 + j], 0x88);
    half[4 + j] = _mm512_shuffle_i32x4(rows[j], rows[4 + j], 0xdd);
    half[8 + j] = _mm512_shuffle_i32x4(rows[8 + j], rows[12 + j], 0x88);
    half[12 + j] = _mm512_shuffle_i32x4(rows[8 + j], rows[12 + j], 0xdd);
  }
  for (int j = 0; j < 4; j++) {
    rows[j] = _mm512_shuffle_i32x4(half[j], half[8 + j], 0x88);
    rows[8 + j] = _mm512_shuffle_i32x4(half[j], half[8 + j], 0xdd);
    rows[4 + j] = _mm512_shuffle_i32x4(half[4 + j], half[12 + j], 0x88);
    rows[12 + j] = _mm512_shuffle_i32x4(half[4 + j], half[12 + j], 0xdd);
  }
}

// Columns of a become rows, 0 up to a multiple of 32, on the stack.
void product_of_columns(const Product<bfloat16>& g) {
  constexpr ptrdiff_t kRow = 2 * kDepthTransposed + kAmxDepth;
  alignas(64) bfloat16 copies[kAmxRows * kRow];
  const int steps = (g.k + kAmxDepth - 1) / kAmxDepth;
  for (int i = 0; i < g.m; i += kAmxRows) {
    const int rows = g.m - i < kAmxRows ? g.m - i : kAmxRows;
    for (int half = 0; half < rows; half += 16) {
      const int lanes = rows - half < 16 ? rows - half : 16;
      for (int step = 0; step < steps; step++) {
        __m512i units_of_step[16];
        for (int p = 0; p < 16; p++) {
          const int k = step * 16 + p;
          units_of_step[p] =
              2 * k < g.k ? columns_of(g, i + half, k, lanes).v : _mm512_setzero_si512();
        }
        transpose(units_of_step);
        for (int r = 0; r < lanes; r++)
          _mm512_store_si512(copies + (half + r) * kRow + step * kAmxDepth, units_of_step[r]);
      }
    }
    Product<bfloat16> block = g;
    block.m = rows;
    block.a = copies;
    block.a_row = kRow;
    if (g.init != nullptr) block.init += i * g.init_row;
    block.c += i * g.c_row;
    product_of_rows(block);
  }
}

template <>
double peak<bfloat16>(int64_t rounds) {
  configure_tiles(kAmxRows);
  for (int64_t round = 0; round < rounds; round += 16) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return double((rounds + 15) / 16) * 4 * 16 * 16 * kAmxDepth * 2;
}
