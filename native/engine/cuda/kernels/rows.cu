// RMSNorm forward and backward, and sums over rows. A block works on one row (forward) or on a
// fixed group of rows (sums), so no result depends on the number of multiprocessors.
#include "column_reduce.h"
#include "cuda_kernels.h"
#include "launch_checks.h"
#include "partial_rows.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kVectors = 4;  // of 8 columns a thread holds at most: C <= 8192

__device__ int source_row(const int32_t* row_of, int row) {
  return row_of == nullptr ? row : row_of[row];
}

__global__ void __launch_bounds__(kThreads)
    rms_norm_kernel(int width, const bf16* x, const int32_t* row_of, const bf16* w, float epsilon,
                    bf16* out, float* r) {
  const int row = int(blockIdx.x);
  const bf16* from = x + int64_t(source_row(row_of, row)) * width;
  bf16* to = out + int64_t(row) * width;
  const int vectors = width / 8;
  float squares = 0;
  for (int v = int(threadIdx.x); v < vectors; v += kThreads) {
    const Bfloat16x8 values = load8(from + v * 8);
    for (int i = 0; i < 8; i++) squares += to_float(values.at[i]) * to_float(values.at[i]);
  }
  const float rstd = 1.0f / sqrtf(block_sum<kThreads>(squares) / float(width) + epsilon);
  for (int v = int(threadIdx.x); v < vectors; v += kThreads) {
    const Bfloat16x8 values = load8(from + v * 8), weights = load8(w + v * 8);
    Bfloat16x8 result;
    for (int i = 0; i < 8; i++)
      result.at[i] = to_bfloat16(to_float(values.at[i]) * rstd * to_float(weights.at[i]));
    store8(to + v * 8, result);
  }
  if (r != nullptr && threadIdx.x == 0) r[row] = rstd;
}

// Eight columns of a row and of its norm's weight.
struct NormColumns {
  Bfloat16x8 dy, x, w;
};
__device__ NormColumns load_columns(const bf16* dy, const bf16* x, const bf16* w, int column) {
  return {load8(dy + column), load8(x + column), load8(w + column)};
}

// Eight columns of a group's sums.
__device__ void store_partials(float* to, const float (&sums)[8]) {
  store4(to, {{sums[0], sums[1], sums[2], sums[3]}});
  store4(to + 4, {{sums[4], sums[5], sums[6], sums[7]}});
}

// Rows of this block one after the other; a thread keeps its columns' part of dw in registers.
__global__ void __launch_bounds__(kThreads)
    rms_norm_backward_kernel(int rows, int width, const bf16* dy, const bf16* x,
                             const int32_t* row_of, const bf16* w, const float* r, bf16* dx,
                             float* partials) {
  const int vectors = width / 8;
  const int first = int(blockIdx.x) * kRowsPerGroup;
  const int last = first + kRowsPerGroup < rows ? first + kRowsPerGroup : rows;
  float sums[kVectors][8] = {};
  for (int row = first; row < last; row++) {
    const int64_t source = int64_t(source_row(row_of, row)) * width;
    const bf16* dy_row = dy + int64_t(row) * width;
    const float rstd = r[row];
    float dot = 0;
#pragma unroll
    for (int k = 0; k < kVectors; k++) {
      const int v = k * kThreads + int(threadIdx.x);
      if (v >= vectors) continue;
      const NormColumns at = load_columns(dy_row, x + source, w, v * 8);
      for (int i = 0; i < 8; i++) {
        const float d_times_x = to_float(at.dy.at[i]) * to_float(at.x.at[i]);
        dot += d_times_x * to_float(at.w.at[i]);
        sums[k][i] += d_times_x * rstd;
      }
    }
    const float back = -block_sum<kThreads>(dot) / float(width) * rstd * rstd;
#pragma unroll
    for (int k = 0; k < kVectors; k++) {
      const int v = k * kThreads + int(threadIdx.x);
      if (v >= vectors) continue;
      const NormColumns at = load_columns(dy_row, x + source, w, v * 8);
      Bfloat16x8 sum = load8(dx + source + v * 8);
      for (int i = 0; i < 8; i++) {
        const float inner =
            to_float(at.x.at[i]) * back + to_float(at.dy.at[i]) * to_float(at.w.at[i]);
        sum.at[i] = to_bfloat16(to_float(sum.at[i]) + inner * rstd);
      }
      store8(dx + source + v * 8, sum);
    }
  }
  if (partials == nullptr) return;
#pragma unroll
  for (int k = 0; k < kVectors; k++) {
    const int v = k * kThreads + int(threadIdx.x);
    if (v < vectors) store_partials(partials + int64_t(blockIdx.x) * width + v * 8, sums[k]);
  }
}

// Columns of this block are 8 * kThreads from blockIdx.y * 8 * kThreads on.
__global__ void __launch_bounds__(kThreads)
    column_sums_kernel(int rows, int width, const bf16* x, int64_t ld, float* partials) {
  const int column = (int(blockIdx.y) * kThreads + int(threadIdx.x)) * 8;
  if (column >= width) return;
  const int first = int(blockIdx.x) * kRowsPerGroup;
  const int last = first + kRowsPerGroup < rows ? first + kRowsPerGroup : rows;
  float sums[8] = {};
  for (int row = first; row < last; row++) {
    const Bfloat16x8 values = load8(x + row * ld + column);
    for (int i = 0; i < 8; i++) sums[i] += to_float(values.at[i]);
  }
  store_partials(partials + int64_t(blockIdx.x) * width + column, sums);
}

// A warp takes every kWarps-th group of 32 columns; the warps' sums are added in their order.
__global__ void __launch_bounds__(kThreads)
    add_partial_columns_kernel(int groups, int width, const float* partials, float* sums) {
  constexpr int kWarps = kThreads / kWarpSize;
  __shared__ float parts[kWarps][kWarpSize];
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int column = int(blockIdx.x) * kWarpSize + lane;
  float sum = 0;
  if (column < width)
    for (int group = warp; group < groups; group += kWarps)
      sum += partials[int64_t(group) * width + column];
  parts[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= width) return;
  float total = 0;
  for (int other = 0; other < kWarps; other++) total += parts[other][lane];
  sums[column] += total;
}

}  // namespace

void add_partial_columns(Stream& stream, int groups, int width, const float* partials,
                         float* sums) {
  launch(stream, "add_partial_columns", add_partial_columns_kernel, {ceil_div(width, kWarpSize)},
         kThreads, 0, groups, width, partials, sums);
}

void rms_norm(Stream& stream, int rows, int width, const bf16* x, const int32_t* row_of,
              const bf16* w, float epsilon, bf16* out, float* r) {
  require_width("rms_norm", width);
  launch(stream, "rms_norm", rms_norm_kernel, {rows}, kThreads, 0, width, x, row_of, w, epsilon,
         out, r);
}

void rms_norm_backward(Stream& stream, int rows, int width, const bf16* dy, const bf16* x,
                       const int32_t* row_of, const bf16* w, const float* r, bf16* dx, float* dw,
                       float* scratch) {
  require_width("rms_norm_backward", width);
  require(width <= 8 * kVectors * kThreads, "rms_norm_backward", "a width of at most 8192", width);
  if (rows == 0) return;
  launch(stream, "rms_norm_backward", rms_norm_backward_kernel, {row_groups(rows)}, kThreads, 0,
         rows, width, dy, x, row_of, w, r, dx, dw == nullptr ? nullptr : scratch);
  if (dw != nullptr) add_partial_columns(stream, row_groups(rows), width, scratch, dw);
}

void column_sums(Stream& stream, int rows, int width, const bf16* x, int64_t ld, float* sums,
                 float* scratch) {
  require_width("column_sums", width);
  require_width("column_sums (distance of rows)", ld);
  if (rows == 0) return;
  launch(stream, "column_sums", column_sums_kernel,
         {row_groups(rows), ceil_div(width, 8 * kThreads)}, kThreads, 0, rows, width, x, ld,
         scratch);
  add_partial_columns(stream, row_groups(rows), width, scratch, sums);
}

}  // namespace masksearch::cuda
