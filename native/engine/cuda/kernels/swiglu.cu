// SwiGLU forward and backward on packed gate and up halves. A thread takes eight columns.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 256;

__device__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

__global__ void __launch_bounds__(kThreads)
    swiglu_kernel(int64_t pieces, int width, const bf16* gate_up, bf16* out) {
  const int64_t piece = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int64_t row = piece / (width / 8);
  const int column = int(piece % (width / 8)) * 8;
  const bf16* at = gate_up + row * 2 * width + column;
  const Bfloat16x8 gates = load8(at), ups = load8(at + width);
  Bfloat16x8 result;
  for (int i = 0; i < 8; i++) {
    const float gate = to_float(gates.at[i]);
    result.at[i] = to_bfloat16(gate * sigmoid(gate) * to_float(ups.at[i]));
  }
  store8(out + row * width + column, result);
}

__global__ void __launch_bounds__(kThreads)
    swiglu_backward_kernel(int64_t pieces, int width, const bf16* d_out, bf16* gate_up,
                           bf16* product) {
  const int64_t piece = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int64_t row = piece / (width / 8);
  const int column = int(piece % (width / 8)) * 8;
  bf16* at = gate_up + row * 2 * width + column;
  const Bfloat16x8 gates = load8(at), ups = load8(at + width);
  const Bfloat16x8 d = load8(d_out + row * width + column);
  Bfloat16x8 d_gates, d_ups, products;
  for (int i = 0; i < 8; i++) {
    const float gate = to_float(gates.at[i]), up = to_float(ups.at[i]), back = to_float(d.at[i]);
    const float s = sigmoid(gate);
    const float silu = gate * s;
    // d silu / d gate = s (1 + gate (1 - s))
    d_gates.at[i] = to_bfloat16(back * up * s * (1.0f + gate * (1.0f - s)));
    d_ups.at[i] = to_bfloat16(back * silu);
    products.at[i] = to_bfloat16(silu * up);
  }
  store8(at, d_gates);
  store8(at + width, d_ups);
  store8(product + row * width + column, products);
}

}  // namespace

void swiglu(Stream& stream, int rows, int width, const bf16* gate_up, bf16* out) {
  require_width("swiglu", width);
  const int64_t pieces = int64_t(rows) * (width / 8);
  launch(stream, "swiglu", swiglu_kernel, {ceil_div(pieces, kThreads)}, kThreads, 0, pieces, width,
         gate_up, out);
}

void swiglu_backward(Stream& stream, int rows, int width, const bf16* d_out, bf16* gate_up,
                     bf16* product) {
  require_width("swiglu_backward", width);
  const int64_t pieces = int64_t(rows) * (width / 8);
  launch(stream, "swiglu_backward", swiglu_backward_kernel, {ceil_div(pieces, kThreads)}, kThreads,
         0, pieces, width, d_out, gate_up, product);
}

}  // namespace masksearch::cuda
