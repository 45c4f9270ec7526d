// Losses that are functions of a labelled token's log-probability and entropy.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine.h"
#include "kernels.h"

namespace masksearch {

// log softmax of the logits at one of them; the same expression for training and sampling.
inline float log_probability(const RowStatistics& s, float logit) {
  return float(double(logit) - double(s.largest) - std::log(double(s.sum)));
}

// Adds the chunk's loss and clip counts to `result` and sets both gradients, all (n).
void evaluate_loss(const TokenLoss& loss, int n, const int32_t* positions, const float* log_probs,
                   const float* entropies, float* d_log_probs, float* d_entropies,
                   AccumulateResult* result);

}  // namespace masksearch
