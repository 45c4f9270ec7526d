// Draws one token from one row of logits.
#pragma once

#include "kernels.h"

namespace masksearch {

struct SampledToken {
  int token;  // -1 where the logits are not finite
  float log_prob;
};

// The token where the cumulative softmax(logits / temperature), in vocabulary order, passes
// `uniform`; temperature 0 takes the largest logit, the lowest id among equals, and reports
// log-probabilities at temperature 1. Overwrites logits; scratch has n floats.
SampledToken sample_token(const Kernels& kernels, int n, float* logits, float temperature,
                          double uniform, float* scratch);

}  // namespace masksearch
