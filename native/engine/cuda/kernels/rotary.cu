// RoPE in place on packed heads. A thread turns eight pairs.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    rope_kernel(int64_t pieces, int heads, int head_width, bf16* x, int64_t ld,
                const int32_t* positions, const float* table, float direction) {
  const int64_t piece = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int half = head_width / 2;
  const int per_head = half / 8;
  const int64_t row = piece / (heads * per_head);
  const int within = int(piece % (heads * per_head));
  const int head = within / per_head, i = within % per_head * 8;
  bf16* low = x + row * ld + head * head_width + i;
  const float* angles = table + int64_t(positions[row]) * head_width + i;
  const Float4 cosines[2] = {load4(angles), load4(angles + 4)};
  const Float4 sines[2] = {load4(angles + half), load4(angles + half + 4)};
  const Bfloat16x8 a = load8(low), b = load8(low + half);
  Bfloat16x8 turned_a, turned_b;
#pragma unroll
  for (int j = 0; j < 8; j++) {
    const float cosine = cosines[j / 4].at[j % 4], sine = direction * sines[j / 4].at[j % 4];
    const float first = to_float(a.at[j]), second = to_float(b.at[j]);
    turned_a.at[j] = to_bfloat16(first * cosine - second * sine);
    turned_b.at[j] = to_bfloat16(second * cosine + first * sine);
  }
  store8(low, turned_a);
  store8(low + half, turned_b);
}

}  // namespace

void rope(Stream& stream, int rows, int heads, int head_width, bf16* x, int64_t ld,
          const int32_t* positions, const float* table, float direction) {
  require(head_width > 0 && head_width % 16 == 0, "rope", "a head width that is a multiple of 16",
          head_width);
  const int64_t pieces = int64_t(rows) * heads * (head_width / 16);
  launch(stream, "rope", rope_kernel, {ceil_div(pieces, kThreads)}, kThreads, 0, pieces, heads,
         head_width, x, ld, positions, table, direction);
}

}  // namespace masksearch::cuda
