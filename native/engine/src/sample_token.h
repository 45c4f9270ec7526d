// Draws one token from one row of logits.
#pragma once

#include "kernels.h"

namespace masksearch {

struct SampledToken {
  int token;  // -1 where the logits are not finite
  float log_prob;
};

// How a token is drawn; see GenerateRequest.
struct Draw {
  float temperature;  // 0 = greedy
  double uniform;     // in [0, 1)
  double top_p = 1;
  const uint32_t* allowed = nullptr;  // a bit per token; null = all may be sampled
};

// The token where the cumulative softmax(logits / temperature) of the tokens that may be drawn, in
// vocabulary order, passes `uniform`; temperature 0 takes the largest logit of the allowed ones,
// the lowest id among equals. Log-probabilities are of the whole distribution, at temperature 1
// where it is 0. Overwrites logits; scratch has n floats.
SampledToken sample_token(const Kernels& kernels, int n, float* logits, const Draw& draw,
                          float* scratch);

}  // namespace masksearch
