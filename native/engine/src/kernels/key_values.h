// Keys and values in the order in which attention reads them: tiles of 32 keys, rows of values.

// Units in lanes, whatever they are.
inline F16 lanes_of(const float* units, int count) { return load(units, count); }
inline F16 lanes_of(const Pair* units, int count) {
  P16 pairs = all(Pair());
  if (count == 16) {
    pairs = load(units);
  } else {
    __builtin_memcpy(&pairs, units, sizeof(Pair) * size_t(count));
  }
  F16 lanes;
  __builtin_memcpy(&lanes, &pairs, sizeof lanes);
  return lanes;
}
inline void store_lanes(float* to, F16 a) { store(to, a); }
inline void store_lanes(Pair* to, F16 a) { __builtin_memcpy(to, &a, sizeof a); }

// Sixteen keys of `width` units, ld units apart, as lanes of the rows of a tile.
template <class U>
void store_keys_together(int width, const U* from, ptrdiff_t ld, U* tile) {
  for (int d = 0; d < width; d += 16) {
    const int deep = width - d < 16 ? width - d : 16;
    F16 block[16];
    for (int j = 0; j < 16; j++) block[j] = lanes_of(from + j * ld + d, deep);
    transpose(block);
    for (int i = 0; i < deep; i++) store_lanes(tile + ptrdiff_t(d + i) * kPanel, block[i]);
  }
}

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
    int j = 0;
    for (; j + 16 <= keys; j += 16) store_keys_together(width, from + j * ld, ld, tile + lane + j);
    for (int d = 0; d < width; d++)
      for (int i = j; i < keys; i++) tile[size_t(d) * kPanel + lane + i] = from[i * ld + d];
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
