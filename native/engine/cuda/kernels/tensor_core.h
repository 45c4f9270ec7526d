// Tensor-core products of 16x8 tiles, loads of their operands from shared memory, and asynchronous
// copies into it: the PTX instructions, and the same on the CPU for the emulator.
//
// Who holds what, for lane l with group g = l / 4 and t = l % 4 (PTX ISA, mma.m16n8k16):
//   A (16x16): a[0] rows g,   columns 2t, 2t+1      a[1] rows g+8, columns 2t, 2t+1
//              a[2] rows g,   columns 2t+8, 2t+9    a[3] rows g+8, columns 2t+8, 2t+9
//   B (16x8):  b[0] rows 2t, 2t+1, column g         b[1] rows 2t+8, 2t+9, column g
//   C (16x8):  c[0], c[1] row g, columns 2t, 2t+1   c[2], c[3] row g+8, columns 2t, 2t+1
// So a C tile pair of neighbouring columns, packed to bfloat16, is an A operand (pack_operand).
#pragma once

#include "device_code.h"

namespace masksearch::cuda {

#if defined(MASKSEARCH_EMULATED)

// c += a b
inline void multiply_tiles(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  struct alignas(8) Operands {
    uint32_t a[4], b[2];
  };
  static_assert(sizeof(Operands) <= emulator::kLaneBytes && emulator::kLaneBytes % 64 == 0);
  const Operands mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const unsigned lane = emulator::lane();
  emulator::hand_in(&mine, sizeof mine);
  const auto of_lane = [](unsigned l) {
    return static_cast<const Operands*>(emulator::handed_in(l));
  };
  const auto low = [](uint32_t packed) { return float_of(packed << 16); };
  const auto high = [](uint32_t packed) { return float_of(packed & 0xffff0000u); };
  for (unsigned i = 0; i < 4; i++) {
    const unsigned row = lane / 4 + (i / 2) * 8, column = lane % 4 * 2 + i % 2;
    float sum = c[i];
    for (unsigned k = 0; k < 16; k += 2) {
      const uint32_t left = of_lane(row % 8 * 4 + k % 8 / 2)->a[row / 8 + k / 8 * 2];
      const uint32_t right = of_lane(column * 4 + k % 8 / 2)->b[k / 8];
      sum += low(left) * low(right);
      sum += high(left) * high(right);
    }
    c[i] = sum;
  }
  emulator::hand_back();
}

// Four 8x8 matrices; lane l gives the address of row l % 8 of matrix l / 8. r[i] is row g, columns
// 2t, 2t+1 of matrix i, or where transposed rows 2t, 2t+1 of column g.
template <bool kTransposed>
inline void load_matrices(uint32_t (&r)[4], const bfloat16* row) {
  emulator::require_aligned(row, 16);
  const unsigned lane = emulator::lane();
  emulator::hand_in(&row, sizeof row);
  for (unsigned i = 0; i < 4; i++) {
    uint16_t pair[2];
    for (unsigned j = 0; j < 2; j++) {
      const unsigned from_row = kTransposed ? lane % 4 * 2 + j : lane / 4;
      const unsigned column = kTransposed ? lane / 4 : lane % 4 * 2 + j;
      const auto* start = *static_cast<const bfloat16* const*>(emulator::handed_in(i * 8 + from_row));
      pair[j] = start[column].bits;
    }
    r[i] = uint32_t(pair[0]) | uint32_t(pair[1]) << 16;
  }
  emulator::hand_back();
}

// Each of the four 8x8 matrices, of which a lane holds row g, columns 2t, 2t+1, becomes its transpose.
inline void transpose_matrices(uint32_t (&r)[4]) {
  const unsigned lane = emulator::lane();
  alignas(8) const uint32_t mine[4] = {r[0], r[1], r[2], r[3]};
  emulator::hand_in(mine, sizeof mine);
  for (unsigned i = 0; i < 4; i++) {
    uint32_t pair[2];
    for (unsigned j = 0; j < 2; j++) {
      const unsigned row = lane % 4 * 2 + j, column = lane / 4;
      const uint32_t held =
          static_cast<const uint32_t*>(emulator::handed_in(row * 4 + column / 2))[i];
      pair[j] = column % 2 == 0 ? held & 0xffffu : held >> 16;
    }
    r[i] = pair[0] | pair[1] << 16;
  }
  emulator::hand_back();
}

inline void copy16_async(void* shared, const void* global, bool valid) {
  emulator::copy_async(shared, global, valid);
}
inline void commit_copies() { emulator::commit_copies(); }
template <int kGroupsLeft>
inline void wait_for_copies() {
  emulator::wait_for_copies(kGroupsLeft);
}

#else

__device__ inline uint32_t shared_address(const void* p) {
  return uint32_t(__cvta_generic_to_shared(p));
}

__device__ inline void multiply_tiles(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                      uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <bool kTransposed>
__device__ inline void load_matrices(uint32_t (&r)[4], const bfloat16* row) {
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  }
}

__device__ inline void transpose_matrices(uint32_t (&r)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++)
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %0;" : "+r"(r[i]));
}

// Sixteen bytes; zeros, and no read, where `valid` is false.
__device__ inline void copy16_async(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(shared)), "l"(global), "r"(valid ? 16 : 0)
               : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroupsLeft>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(kGroupsLeft) : "memory");
}

#endif

// Rows of kWidth bfloat16 in shared memory. Within a row the 16-byte pieces are permuted by the
// row's number, so that the eight rows of an 8x8 matrix lie in different banks.
template <int kWidth>
struct SharedTile {
  static_assert(kWidth % 64 == 0, "a row has at least eight 16-byte pieces to permute");
  static constexpr int kPieces = kWidth / 8;

  bfloat16* data;

  __device__ bfloat16* piece(int row, int piece) const {
    return data + (row * kPieces + (piece ^ (row & 7))) * 8;
  }

  // Starts copying `rows` rows (at most kRows; the rest become zero) from row 0 at `from`, rows
  // `stride` values apart.
  template <int kRows, int kThreads>
  __device__ void copy_rows(const bfloat16* from, int64_t stride, int rows) const {
    static_assert(kRows * kPieces % kThreads == 0);
    for (int i = 0; i < kRows * kPieces / kThreads; i++) {
      const int index = i * kThreads + int(threadIdx.x);
      const int row = index / kPieces, at = index % kPieces;
      const bool valid = row < rows;
      copy16_async(piece(row, at), from + (valid ? row * stride : 0) + at * 8, valid);
    }
  }

  // A operand: rows first_row.. + 16, columns first_column.. + 16.
  __device__ void load_a(uint32_t (&a)[4], int first_row, int first_column) const {
    const int lane = int(threadIdx.x) % kWarpSize;
    const int row = first_row + lane % 16;
    load_matrices<false>(a, piece(row, first_column / 8 + lane / 16));
  }

  // B operands of two products whose columns are this tile's rows (b = tile^T): rows first_row.. + 16
  // are the columns, columns first_column.. + 16 the summed index. Product j uses b[2j], b[2j + 1].
  __device__ void load_b_transposed(uint32_t (&b)[4], int first_row, int first_column) const {
    const int lane = int(threadIdx.x) % kWarpSize;
    const int row = first_row + lane / 16 * 8 + lane % 8;
    load_matrices<false>(b, piece(row, first_column / 8 + lane / 8 % 2));
  }

  // B operands of two products whose summed index is this tile's rows first_row.. + 16 and whose
  // columns are its columns first_column.. + 16. Product j uses b[2j], b[2j + 1].
  __device__ void load_b(uint32_t (&b)[4], int first_row, int first_column) const {
    const int lane = int(threadIdx.x) % kWarpSize;
    const int row = first_row + lane % 16;
    load_matrices<true>(b, piece(row, first_column / 8 + lane / 16));
  }
};

// -- A warp's 16 rows -----------------------------------------------------------------------------

// An A operand as one 16-byte access.
struct alignas(16) PackedOperand {
  uint32_t at[4];
};

// An A operand from two neighbouring C tiles.
__device__ inline void pack_operand(uint32_t (&a)[4], const float (&left)[4],
                                    const float (&right)[4]) {
  a[0] = pack_bfloat16(left[0], left[1]);
  a[1] = pack_bfloat16(left[2], left[3]);
  a[2] = pack_bfloat16(right[0], right[1]);
  a[3] = pack_bfloat16(right[2], right[3]);
}

// A operands of 16 rows of kWidth values, `stride` apart in global memory; those from `rows` on are 0.
template <int kWidth>
__device__ inline void load_operands(uint32_t (&a)[kWidth / 16][4], const bfloat16* from,
                                     int64_t stride, int rows) {
  const int lane = int(threadIdx.x) % kWarpSize;
#pragma unroll
  for (int k = 0; k < kWidth / 16; k++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int row = lane / 4 + i % 2 * 8;
      const bfloat16* at = from + row * stride + k * 16 + lane % 4 * 2 + i / 2 * 8;
      a[k][i] = row < rows ? vector_at<uint32_t>(at) : 0;
    }
}

// c (16, 8 kTiles) += a (16, 16) times the transpose of 8 kTiles rows of `tile` from first_row on, in
// its 16 columns from first_column on.
template <int kTiles, int kWidth>
__device__ inline void multiply_transposed(float (&c)[kTiles][4], const uint32_t (&a)[4],
                                           const SharedTile<kWidth>& tile, int first_row,
                                           int first_column) {
#pragma unroll
  for (int n = 0; n < kTiles / 2; n++) {
    uint32_t b[4];
    tile.load_b_transposed(b, first_row + n * 16, first_column);
    multiply_tiles(c[2 * n], a, b[0], b[1]);
    multiply_tiles(c[2 * n + 1], a, b[2], b[3]);
  }
}

// c (16, kWidth) += a (16, 16) times 16 rows of `tile` from first_row on.
template <int kWidth>
__device__ inline void multiply_rows(float (&c)[kWidth / 8][4], const uint32_t (&a)[4],
                                     const SharedTile<kWidth>& tile, int first_row) {
#pragma unroll
  for (int n = 0; n < kWidth / 16; n++) {
    uint32_t b[4];
    tile.load_b(b, first_row, n * 16);
    multiply_tiles(c[2 * n], a, b[0], b[1]);
    multiply_tiles(c[2 * n + 1], a, b[2], b[3]);
  }
}

}  // namespace masksearch::cuda
