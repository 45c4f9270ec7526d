// The emulator itself: warp-wide instructions hold the layouts that the PTX ISA documents (mma.m16n8k16,
// ldmatrix, movmatrix, cp.async), and what a GPU does not promise shows as other bits or as an abort.
#include "emulator.h"
#include "device_array.h"
#include "tensor_core.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

constexpr unsigned kWarp = 32;

uint32_t bits_of(int value) { return cuda::to_bfloat16(float(value)).bits; }
uint32_t packed(int low, int high) { return bits_of(low) | bits_of(high) << 16; }

// Small whole numbers, so that products and sums are exact and no two places look alike.
int a_value(int row, int k) { return row * 16 + k - 100; }
int b_value(int k, int column) { return (k * 8 + column) % 61 - 30; }

// Mistakes that each lane of a warp has seen.
struct Mistakes {
  int of[kWarp] = {};
  int& here() { return of[emulator::lane()]; }
  int all() const {
    int sum = 0;
    for (const int each : of) sum += each;
    return sum;
  }
};

void run_block(unsigned threads, const std::function<void()>& body, size_t shared_bytes = 0) {
  emulator::run({1, 1, 1}, {threads, 1, 1}, shared_bytes, body);
}

}  // namespace

TEST("emulator: mma.m16n8k16 reads and writes the documented fragments") {
  Mistakes wrong;
  run_block(kWarp, [&] {
    // PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"
    const int group = int(emulator::lane()) >> 2, in_group = int(emulator::lane()) % 4;
    int a_of[8], b_of[4];
    for (int i = 0; i < 8; i++) {
      const int row = (0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8;
      const int column = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
      a_of[i] = a_value(row, column);
    }
    for (int i = 0; i < 4; i++) {
      const int row = i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
      b_of[i] = b_value(row, group);
    }
    const uint32_t a[4] = {packed(a_of[0], a_of[1]), packed(a_of[2], a_of[3]),
                           packed(a_of[4], a_of[5]), packed(a_of[6], a_of[7])};
    float c[4] = {1, 2, 3, 4};
    cuda::multiply_tiles(c, a, packed(b_of[0], b_of[1]), packed(b_of[2], b_of[3]));
    for (int i = 0; i < 4; i++) {
      const int row = i < 2 ? group : group + 8, column = in_group * 2 + (i & 1);
      int sum = i + 1;
      for (int k = 0; k < 16; k++) sum += a_value(row, k) * b_value(k, column);
      wrong.here() += c[i] != float(sum);
    }
  });
  CHECK(wrong.all() == 0);
}

TEST("emulator: ldmatrix takes the rows that lanes name, and hands out rows or columns") {
  alignas(16) cuda::bfloat16 matrices[4][8][8];
  for (int i = 0; i < 4; i++)
    for (int row = 0; row < 8; row++)
      for (int column = 0; column < 8; column++)
        matrices[i][row][column].bits = uint16_t(i * 64 + row * 8 + column);
  Mistakes wrong;
  run_block(kWarp, [&] {
    // .x4: threads 0-7 name the rows of the first matrix, 8-15 of the second, and so on.
    const unsigned lane = emulator::lane();
    const cuda::bfloat16* named = matrices[lane / 8][lane % 8];
    uint32_t straight[4], transposed[4];
    cuda::load_matrices<false>(straight, named);
    cuda::load_matrices<true>(transposed, named);
    uint32_t moved[4] = {straight[0], straight[1], straight[2], straight[3]};
    cuda::transpose_matrices(moved);
    for (int i = 0; i < 4; i++) {
      // A row is held by four consecutive threads, each with two neighbouring elements.
      const unsigned row = lane / 4, column = lane % 4 * 2;
      const auto at = [&](unsigned r, unsigned c) { return uint32_t(matrices[i][r][c].bits); };
      const uint32_t in_row = at(row, column) | at(row, column + 1) << 16;
      const uint32_t in_column = at(column, row) | at(column + 1, row) << 16;
      wrong.here() += straight[i] != in_row;
      wrong.here() += transposed[i] != in_column;
      wrong.here() += moved[i] != in_column;
    }
  });
  CHECK(wrong.all() == 0);
}

TEST("emulator: operands of shared tiles are those of the products that they are named for") {
  // c = tile tile^T and c = tile tile, of a 64x64 tile, by each way of loading operands.
  std::vector<uint16_t> values(64 * 64);
  for (int i = 0; i < 64 * 64; i++)
    values[size_t(i)] = uint16_t(bits_of((i * 7 + i / 64 * 3) % 13 - 6));
  const DeviceArray<uint16_t> from(values);
  const auto value = [&](int row, int column) {
    return cuda::to_float({values[size_t(row) * 64 + column]});
  };
  Mistakes wrong;
  run_block(
      kWarp,
      [&] {
        const cuda::SharedTile<64> tile{
            reinterpret_cast<cuda::bfloat16*>(emulator::dynamic_shared())};
        tile.copy_rows<64, int(kWarp)>(reinterpret_cast<const cuda::bfloat16*>(from.data()), 64, 64);
        cuda::commit_copies();
        cuda::wait_for_copies<0>();
        __syncthreads();
        const int group = int(emulator::lane()) / 4, pair = int(emulator::lane()) % 4 * 2;
        for (const int first : {0, 16, 48}) {
          uint32_t a[4], across[4], down[4];
          float with_transpose[2][4] = {}, with_rows[2][4] = {};
          tile.load_a(a, first, 32);
          tile.load_b_transposed(across, 16, 32);
          tile.load_b(down, first, 32);
          for (int j = 0; j < 2; j++) {
            cuda::multiply_tiles(with_transpose[j], a, across[2 * j], across[2 * j + 1]);
            cuda::multiply_tiles(with_rows[j], a, down[2 * j], down[2 * j + 1]);
            for (int i = 0; i < 4; i++) {
              const int row = first + group + i / 2 * 8, column = j * 8 + pair + i % 2;
              float by_transpose = 0, by_rows = 0;
              for (int k = 0; k < 16; k++) {
                by_transpose += value(row, 32 + k) * value(16 + column, 32 + k);
                by_rows += value(row, 32 + k) * value(first + k, 32 + column);
              }
              wrong.here() += with_transpose[j][i] != by_transpose;
              wrong.here() += with_rows[j][i] != by_rows;
            }
          }
        }
      },
      64 * 64 * 2);
  CHECK(wrong.all() == 0);
}

TEST("emulator: asynchronous copies arrive group by group, zeros where they are not valid") {
  const emulator::Order before = emulator::order;
  emulator::order = {};  // in which copies arrive as late as they can
  alignas(16) const uint16_t source[2][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {9, 9, 9, 9, 9, 9, 9, 9}};
  alignas(16) uint16_t first[8] = {5}, second[8] = {6};
  run_block(kWarp, [&] {
    if (emulator::lane() == 0) {
      cuda::copy16_async(first, source[0], true);
      cuda::commit_copies();
      cuda::copy16_async(second, source[1], false);
      cuda::commit_copies();
      CHECK(first[0] == 5 && second[0] == 6);
      cuda::wait_for_copies<1>();
      CHECK(first[0] == 1 && first[7] == 8 && second[0] == 6);
      cuda::wait_for_copies<0>();
      CHECK(second[0] == 0);
    }
  });
  emulator::order = before;
}

// The race detector stops at such a kernel, as it should.
#if !defined(__SANITIZE_THREAD__)
TEST("emulator: a missing barrier shows in another order of threads, a present one in none") {
  const emulator::Order before = emulator::order;
  const auto neighbours = [](bool synchronised) {
    std::vector<int> shared(64, -1), got(64);
    run_block(64, [&] {
      const unsigned t = emulator::position.thread.x;
      shared[t] = int(t);
      if (synchronised) __syncthreads();
      got[t] = shared[(t + 1) % 64];
    });
    return got;
  };
  std::vector<std::vector<int>> with, without;
  for (const emulator::Order order :
       {emulator::Order{emulator::Order::forward}, emulator::Order{emulator::Order::reversed},
        emulator::Order{emulator::Order::shuffled, 3}}) {
    emulator::order = order;
    with.push_back(neighbours(true));
    without.push_back(neighbours(false));
  }
  emulator::order = before;
  CHECK(with[0] == with[1] && with[0] == with[2]);
  CHECK(without[0] != without[1] && without[0] != without[2]);
}
#endif
