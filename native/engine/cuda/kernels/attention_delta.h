// What the gradients of attention share, on tensor cores and in plain loops: their arguments, and
// their first step.
#pragma once

#include "cuda_kernels.h"

namespace masksearch::cuda {

// What both passes read, and d_qkv, of which each writes its columns; see attention_backward.
struct AttentionGradient {
  AttentionShape shape;
  int rows;
  const bf16 *qkv, *d_out;
  const float *log_sums, *deltas;
  bf16* d_qkv;
};

// deltas[h,n] = sum_d d_out[n,h,d] out[n,h,d], what the softmax subtracts from the gradient of each
// score.  out, d_out (N, H D) bf16; deltas (H, N) f32.
void attention_delta(Stream& stream, const AttentionShape& shape, int rows, const bf16* out,
                     const bf16* d_out, float* deltas);

}  // namespace masksearch::cuda
