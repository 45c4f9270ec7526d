// Packed matrices and key tiles: every element at its place, zeros where there is none.
#include <cstring>

#include "fixtures.h"
#include "kernels.h"

using namespace masksearch;
using namespace test;

namespace {

// Memory of a type that starts as something else than zeros.
struct Stored {
  DataType type;
  std::vector<float> memory;

  Stored(DataType stored, size_t count) : type(stored), memory(count, 77.0f) {}
  void* data() { return memory.data(); }
  float at(size_t i) const {
    if (type == DataType::float32) return memory[i];
    bfloat16 element;
    std::memcpy(&element, reinterpret_cast<const char*>(memory.data()) + i * sizeof element,
                sizeof element);
    return widened(element);
  }
};

float kept(DataType type, float x) {
  return type == DataType::float32 ? x : widened(narrowed(x));
}

// Where row d of lane j of a panel lies: rows one after the other, in bfloat16 two interleaved.
size_t place(DataType type, int d, int j) {
  if (type == DataType::float32) return size_t(d) * kPanel + size_t(j);
  return size_t(d / 2 * 2) * kPanel + size_t(j) * 2 + size_t(d % 2);
}

TEST("a transposed matrix is packed with every weight at its place and zeros around them") {
  Random random(91);
  for (DataType type : {DataType::float32, DataType::bfloat16})
    for (Level level : levels(type))
      for (int n : {1, 15, 16, 17, 32, 33, 70})
        for (int k : {1, 2, 15, 16, 17, 31, 32, 48, 65}) {
          const std::vector<float> w = random.normals(size_t(n) * k, 1);
          const int depth = int(stored_row(type, k));
          Stored packed(type, packed_cells(type, n, k));
          kernels_of(level, type).pack_transposed(n, k, w.data(), packed.data(), 0, panels(n));
          bool same = true;
          for (int j = 0; j < panels(n) * kPanel; j++)
            for (int d = 0; d < depth; d++) {
              const size_t i = size_t(j / kPanel) * kPanel * depth + place(type, d, j % kPanel);
              const float expected =
                  j < n && d < k ? kept(type, w[size_t(j) * k + d]) : 0.0f;
              same = same && packed.at(i) == expected;
            }
          CHECK(same);
        }
}

TEST("key tiles hold every key in its lane, however many come at a time, and zeros after the last") {
  Random random(92);
  for (DataType type : {DataType::float32, DataType::bfloat16})
    for (Level level : levels(type))
      for (int D : {2, 16, 24, 32, 64})
        for (const std::vector<int>& counts :
             {std::vector<int>{1}, {31}, {16}, {70}, {1, 16, 40}, {5, 20, 7, 33}, {32, 16, 1, 1}}) {
          int keys = 0;
          for (int count : counts) keys += count;
          const int ld = 2 * D + 2;
          std::vector<float> x = random.normals(size_t(keys) * ld, 1);
          std::vector<bfloat16> narrow;
          for (float value : x) narrow.push_back(narrowed(value));
          const int depth = int(stored_row(type, D));
          Stored tiles(type, size_t(panels(keys)) * kPanel * depth);
          int first = 0;
          for (int count : counts) {
            const size_t at = size_t(first) * ld;
            const void* rows = type == DataType::float32 ? static_cast<const void*>(x.data() + at)
                                                         : narrow.data() + at;
            kernels_of(level, type).store_key_tiles(count, first, D, rows, ld, tiles.data());
            first += count;
          }
          bool same = true;
          for (int key = 0; key < panels(keys) * kPanel; key++)
            for (int d = 0; d < depth; d++) {
              const size_t i =
                  size_t(key / kPanel) * kPanel * depth + place(type, d, key % kPanel);
              const float expected =
                  key < keys && d < D ? kept(type, x[size_t(key) * ld + d]) : 0.0f;
              same = same && tiles.at(i) == expected;
            }
          CHECK(same);
        }
}

}  // namespace
