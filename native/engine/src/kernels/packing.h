// Matrices and rows in the order in which products read them: panels of 32 columns, in bfloat16 with
// two rows interleaved.

constexpr DataType data_type(const float*) { return DataType::float32; }
constexpr DataType data_type(const bfloat16*) { return DataType::bfloat16; }
template <class T>
constexpr ptrdiff_t stored_row_of(int width) {
  return stored_row(data_type(static_cast<const T*>(nullptr)), width);
}

// The unit of rows 2p and 2p + 1, or of one row.
inline F16 interleaved(const float* row, const float*, int lanes, float) {
  return load(row, lanes);
}
inline P16 interleaved(const float* even, const float* odd, int lanes, bfloat16) {
  return paired(rounded(load(even, lanes)), odd == nullptr ? all(0) : rounded(load(odd, lanes)));
}
inline P16 interleaved(const bfloat16* even, const bfloat16* odd, int lanes, bfloat16) {
  return paired(load(even, lanes), odd == nullptr ? all(0) : load(odd, lanes));
}

inline void store_zeros(float* to) { store(to, all(0)); }
inline void store_zeros(Pair* to) { store(to, paired(all(0), all(0))); }

template <class T, class From>
void pack_panels(int n, int k, const From* w, ptrdiff_t ld, T* packed, int first, int last) {
  constexpr int kRows = kPerUnit<T>;
  const int depth = int(stored_row_of<T>(k)) / kRows;
  for (int i = 0; i < depth; i++)
    for (int panel = first; panel < last; panel++) {
      const int column = panel * kPanel;
      const int columns = n - column < kPanel ? n - column : kPanel;
      Unit<T>* to = reinterpret_cast<Unit<T>*>(packed) + (size_t(panel) * depth + i) * kPanel;
      const int row = i * kRows;
      const From* even = w + row * ld + column;
      const From* odd = row + 1 < k ? even + ld : nullptr;
      if (row >= k) {
        store_zeros(to);
      } else {
        store(to, interleaved(even, odd, columns < 16 ? columns : 16, T()));
      }
      if (row >= k || columns <= 16) {
        store_zeros(to + 16);
      } else {
        store(to + 16, interleaved(even + 16, odd == nullptr ? odd : odd + 16, columns - 16, T()));
      }
    }
}

template <class T>
void pack(int n, int k, const float* w, void* packed, int first, int last) {
  pack_panels(n, k, w, n, static_cast<T*>(packed), first, last);
}

template <class T>
void pack_rows(int n, int k, const void* x, ptrdiff_t ld, void* packed, int first, int last) {
  pack_panels(n, k, static_cast<const T*>(x), ld, static_cast<T*>(packed), first, last);
}

template <class T>
void narrow(int width, const float* from, void* to) {
  T* out = static_cast<T*>(to);
  over_lanes(width, [&](int c, auto lanes) { store(out + c, load(from + c, lanes), lanes); });
  for (ptrdiff_t c = width; c < stored_row_of<T>(width); c += 16)
    store(out + c, all(0), int(stored_row_of<T>(width) - c < 16 ? stored_row_of<T>(width) - c : 16));
}

// Rows 2p and 2p + 1 of a block of a panel, or one row.
inline void store_block_rows(F16 (&x)[16], int rows, float* to) {
  for (int d = 0; d < rows; d++) store(to + d * kPanel, x[d]);
}
inline void store_block_rows(F16 (&x)[16], int rows, bfloat16* to) {
  Pair* pairs = reinterpret_cast<Pair*>(to);
  for (int d = 0; d < rows; d += 2)
    store(pairs + d / 2 * kPanel, paired(rounded(x[d]), rounded(x[d + 1])));
}

template <class T>
void pack_transposed(int n, int k, const float* w, void* packed, int first, int last) {
  constexpr int kPer = kPerUnit<T>;
  const int depth = int(stored_row_of<T>(k));
  for (int panel = first; panel < last; panel++) {
    T* to = static_cast<T*>(packed) + size_t(panel) * kPanel * depth;
    for (int i = 0; i < depth; i += 16)
      for (int half = 0; half < kPanel; half += 16) {
        const int column = panel * kPanel + half;
        const float* from = w + size_t(column) * k + i;
        const int deep = k - i < 0 ? 0 : k - i < 16 ? k - i : 16;
        F16 block[16];
        for (int j = 0; j < 16; j++)
          block[j] = column + j < n && deep > 0 ? load(from + ptrdiff_t(j) * k, deep) : all(0);
        transpose(block);
        store_block_rows(block, depth - i < 16 ? depth - i : 16,
                         to + ptrdiff_t(i) * kPanel + half * kPer);
      }
  }
}
