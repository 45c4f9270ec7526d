// Embedding and its gradient. The gradient's rows are grouped by token on the host
// (embedding_order), so that one block owns a token and adds its rows in order, without atomics.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    embed_kernel(int64_t pieces, int width, const int32_t* tokens, const bf16* table, bf16* out) {
  const int64_t piece = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int64_t row = piece / (width / 8);
  const int column = int(piece % (width / 8)) * 8;
  store8(out + row * width + column, load8(table + int64_t(tokens[row]) * width + column));
}

__global__ void __launch_bounds__(kThreads)
    embed_backward_kernel(int width, const int32_t* token, const int32_t* start,
                          const int32_t* order, const bf16* dx, float* d_table) {
  const int column = (int(blockIdx.y) * kThreads + int(threadIdx.x)) * 8;
  if (column >= width) return;
  const int distinct = int(blockIdx.x);
  float sums[8] = {};
  for (int i = start[distinct]; i < start[distinct + 1]; i++) {
    const Bfloat16x8 values = load8(dx + int64_t(order[i]) * width + column);
    for (int j = 0; j < 8; j++) sums[j] += to_float(values.at[j]);
  }
  float* to = d_table + int64_t(token[distinct]) * width + column;
  for (int half = 0; half < 2; half++) {
    Float4 total = load4(to + half * 4);
    for (int j = 0; j < 4; j++) total.at[j] += sums[half * 4 + j];
    store4(to + half * 4, total);
  }
}

}  // namespace

void embed(Stream& stream, int rows, int width, const int32_t* tokens, const bf16* table,
           bf16* out) {
  require_width("embed", width);
  const int64_t pieces = int64_t(rows) * (width / 8);
  launch(stream, "embed", embed_kernel, {ceil_div(pieces, kThreads)}, kThreads, 0, pieces, width,
         tokens, table, out);
}

void embed_backward(Stream& stream, int distinct, int width, const int32_t* token,
                    const int32_t* start, const int32_t* order, const bf16* dx, float* d_table) {
  require_width("embed_backward", width);
  launch(stream, "embed_backward", embed_backward_kernel,
         {distinct, ceil_div(width, 8 * kThreads)}, kThreads, 0, width, token, start, order, dx,
         d_table);
}

}  // namespace masksearch::cuda
