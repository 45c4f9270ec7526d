// Where an attention kernel finds the keys and values of a query tile: in the packed rows of its own
// sequence, or in pages. Both hand out tiles of 64 keys with a base pointer and a distance of rows.
#pragma once

#include "cuda_kernels.h"
#include "device_code.h"

namespace masksearch::cuda {

struct KeyRows {
  const bf16* keys;
  const bf16* values;
  int64_t stride;  // values between rows
};

// Keys j of the sequence are rows `first row + j` of qkv.
struct PackedSource {
  const bf16* qkv;

  __device__ KeyRows tile(const AttentionShape& shape, const QueryTile& query, int head,
                          int tile) const {
    const int64_t columns = shape.columns();
    const int64_t row = int64_t(query.row) - query.position + int64_t(tile) * kTileRows;
    const bf16* first = qkv + row * columns;
    return {first + shape.key_column(head), first + shape.value_column(head), columns};
  }
};

struct PagedSource {
  PagedKeys pages;

  __device__ KeyRows tile(const AttentionShape& shape, const QueryTile& query, int head,
                          int tile) const {
    const int64_t page = pages.page_of[int64_t(query.sequence) * pages.pages_per_sequence + tile];
    const int64_t head_values = int64_t(kPageTokens) * shape.head_width;
    const int64_t first = (page * 2 * shape.key_value_heads + head) * head_values;
    const bf16* keys = pages.pool + first;
    return {keys, keys + shape.key_value_heads * head_values, shape.head_width};
  }
};
static_assert(kTileRows == kPageTokens, "a page is a key tile");

constexpr float kLog2OfE = 1.4426950408889634f;

// One instruction on the GPU: right to 2^-22 of its value, and 0 where that is below 2^-126.
__device__ inline float power_of_two(float x) {
#if defined(__CUDA_ARCH__)
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
#else
  return exp2f(x);
#endif
}

}  // namespace masksearch::cuda
