// RMSNorm of the query and key heads of packed rows (Qwen3), forward and backward. A warp takes a
// head, a lane eight of its values.
#include "column_reduce.h"
#include "cuda_kernels.h"
#include "launch_checks.h"
#include "partial_rows.h"

namespace masksearch::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kMostWidth = 8 * kWarpSize;

__device__ int normed_heads(const AttentionShape& shape) {
  return shape.heads + shape.key_value_heads;
}

// 1 / sqrt(mean x^2 + epsilon) of the head whose values the warp holds; lanes past its width hold 0.
__device__ float head_rstd(const Bfloat16x8& x, int width, float epsilon) {
  float squares = 0;
  for (int i = 0; i < 8; i++) squares += to_float(x.at[i]) * to_float(x.at[i]);
  return 1.0f / sqrtf(over_warp<Sum<float>>(squares) / float(width) + epsilon);
}

__global__ void __launch_bounds__(kThreads)
    norm_heads_kernel(AttentionShape shape, int64_t heads, const bf16* w, float epsilon, bf16* qkv,
                      bf16* kept) {
  const int64_t index = int64_t(blockIdx.x) * kWarps + threadIdx.x / kWarpSize;
  if (index >= heads) return;  // a whole warp
  const int64_t row = index / normed_heads(shape);
  const int head = int(index % normed_heads(shape));
  const int D = shape.head_width, column = int(threadIdx.x) % kWarpSize * 8;
  bf16* at = qkv + row * shape.columns() + head * D + column;
  const Bfloat16x8 x = column < D ? load8(at) : Bfloat16x8{};
  const float r = head_rstd(x, D, epsilon);
  if (column >= D) return;
  const Bfloat16x8 weights = load8(w + (head < shape.heads ? 0 : D) + column);
  Bfloat16x8 result;
  for (int i = 0; i < 8; i++)
    result.at[i] = to_bfloat16(to_float(x.at[i]) * r * to_float(weights.at[i]));
  store8(at, result);
  if (kept != nullptr) store8(kept + index * D + column, x);
}

// Heads of this block's rows, a warp to each in turn; a lane keeps its columns' part of dw in
// registers, the warps' parts are added in their order.
__global__ void __launch_bounds__(kThreads)
    norm_heads_backward_kernel(AttentionShape shape, int rows, const bf16* kept, const bf16* w,
                               float epsilon, bf16* d_qkv, float* partials) {
  __shared__ float parts[kWarps][kMostWidth];
  const int D = shape.head_width, warp = int(threadIdx.x) / kWarpSize;
  const int column = int(threadIdx.x) % kWarpSize * 8;
  const bool inside = column < D;
  const int64_t first = int64_t(blockIdx.x) * kRowsPerGroup;
  const int count = smaller(kRowsPerGroup, int(rows - first));
  for (int part = 0; part < 2; part++) {  // query heads, key heads
    const int first_head = part == 0 ? 0 : shape.heads;
    const int heads = part == 0 ? shape.heads : shape.key_value_heads;
    const Bfloat16x8 weights = inside ? load8(w + part * D + column) : Bfloat16x8{};
    float sums[8] = {};
    for (int index = warp; index < count * heads; index += kWarps) {
      const int64_t row = first + index / heads;
      const int head = first_head + index % heads;
      bf16* at = d_qkv + row * shape.columns() + head * D + column;
      const bf16* from = kept + (row * normed_heads(shape) + head) * D + column;
      const Bfloat16x8 x = inside ? load8(from) : Bfloat16x8{};
      const Bfloat16x8 dy = inside ? load8(at) : Bfloat16x8{};
      const float r = head_rstd(x, D, epsilon);
      float dot = 0;
      for (int i = 0; i < 8; i++) {
        const float dy_times_x = to_float(dy.at[i]) * to_float(x.at[i]);
        dot += dy_times_x * to_float(weights.at[i]);
        sums[i] += dy_times_x * r;
      }
      const float back = -over_warp<Sum<float>>(dot) / float(D) * r * r;
      Bfloat16x8 dx;
      for (int i = 0; i < 8; i++)
        dx.at[i] = to_bfloat16((to_float(x.at[i]) * back +
                                to_float(dy.at[i]) * to_float(weights.at[i])) * r);
      if (inside) store8(at, dx);
    }
    if (partials == nullptr) continue;
    if (inside)
      for (int i = 0; i < 8; i++) parts[warp][column + i] = sums[i];
    __syncthreads();
    for (int d = int(threadIdx.x); d < D; d += kThreads) {
      float sum = 0;
      for (int other = 0; other < kWarps; other++) sum += parts[other][d];
      partials[(int64_t(blockIdx.x) * 2 + part) * D + d] = sum;
    }
    __syncthreads();  // the key heads' parts overwrite these
  }
}

void require_head_width(const char* kernel, const AttentionShape& shape) {
  require_width(kernel, shape.head_width);
  require(shape.head_width <= kMostWidth, kernel, "a head width of at most 256", shape.head_width);
}

}  // namespace

void norm_heads(Stream& stream, const AttentionShape& shape, int rows, const bf16* w,
                float epsilon, bf16* qkv, bf16* kept) {
  require_head_width("norm_heads", shape);
  const int64_t heads = int64_t(rows) * (shape.heads + shape.key_value_heads);
  launch(stream, "norm_heads", norm_heads_kernel, {ceil_div(heads, kWarps)}, kThreads, 0, shape,
         heads, w, epsilon, qkv, kept);
}

void norm_heads_backward(Stream& stream, const AttentionShape& shape, int rows, const bf16* kept,
                         const bf16* w, float epsilon, bf16* d_qkv, float* dw, float* scratch) {
  require_head_width("norm_heads_backward", shape);
  launch(stream, "norm_heads_backward", norm_heads_backward_kernel, {row_groups(rows)}, kThreads,
         0, shape, rows, kept, w, epsilon, d_qkv, dw == nullptr ? nullptr : scratch);
  if (dw != nullptr)
    add_partial_columns(stream, row_groups(rows), 2 * shape.head_width, scratch, dw);
}

}  // namespace masksearch::cuda
