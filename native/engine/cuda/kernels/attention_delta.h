// First step of the attention gradient: what the softmax subtracts from each score's gradient.
#pragma once

#include "cuda_kernels.h"

namespace masksearch::cuda {

// deltas[h,n] = sum_d d_out[n,h,d] out[n,h,d].  out, d_out (N, H D) bf16; deltas (H, N) f32.
void attention_delta(Stream& stream, const AttentionShape& shape, int rows, const bf16* out,
                     const bf16* d_out, float* deltas);

}  // namespace masksearch::cuda
