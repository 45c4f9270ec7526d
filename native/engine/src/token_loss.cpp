// Cross-entropy, DAPO and callback losses over one chunk of labelled tokens.
#include "token_loss.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace masksearch {

namespace {

void cross_entropy(const TokenLoss& loss, int n, const int32_t* positions, const float* log_probs,
                   float* d_log_probs, AccumulateResult* result) {
  for (int i = 0; i < n; i++) {
    const double weight = loss.weights == nullptr ? 1.0 : double(loss.weights[positions[i]]);
    result->loss -= loss.scale * weight * double(log_probs[i]);
    d_log_probs[i] = float(-loss.scale * weight);
  }
}

// DAPO (arXiv:2503.14476) Eq. 8 for one token, with the dual clip of arXiv:1912.09729.
struct Surrogate {
  double value;
  double slope;  // by the log-probability
  bool cut_low;
  bool cut_high;
};

Surrogate surrogate(const TokenLoss& loss, double log_prob, double old_log_prob, double advantage) {
  constexpr double kLargestDifference = 20;  // keeps the ratio finite
  const double difference = log_prob - old_log_prob;
  const double bounded = std::clamp(difference, -kLargestDifference, kLargestDifference);
  const double ratio = std::exp(bounded);
  const double free = -advantage * ratio;
  const double clipped = -advantage * std::clamp(ratio, 1 - loss.clip_low, 1 + loss.clip_high);
  const bool cut = clipped > free;
  Surrogate s;
  s.value = cut ? clipped : free;
  s.slope = cut || bounded != difference ? 0 : free;
  s.cut_low = cut && ratio < 1;
  s.cut_high = cut && ratio > 1;
  if (loss.dual_clip > 0 && advantage < 0 && s.value > -advantage * loss.dual_clip) {
    s.value = -advantage * loss.dual_clip;
    s.slope = 0;
  }
  return s;
}

void dapo(const TokenLoss& loss, int n, const int32_t* positions, const float* log_probs,
          const float* entropies, float* d_log_probs, float* d_entropies,
          AccumulateResult* result) {
  for (int i = 0; i < n; i++) {
    const int t = positions[i];
    const double weight =
        loss.importance_weights == nullptr ? 1.0 : double(loss.importance_weights[t]);
    const Surrogate s = surrogate(loss, log_probs[i], loss.old_log_probs[t], loss.advantages[t]);
    result->loss += loss.scale * (weight * s.value - loss.entropy_coefficient * entropies[i]);
    result->clipped_low += s.cut_low;
    result->clipped_high += s.cut_high;
    d_log_probs[i] = float(loss.scale * weight * s.slope);
    d_entropies[i] = float(-loss.scale * loss.entropy_coefficient);
  }
}

}  // namespace

void evaluate_loss(const TokenLoss& loss, int n, const int32_t* positions, const float* log_probs,
                   const float* entropies, float* d_log_probs, float* d_entropies,
                   AccumulateResult* result) {
  std::fill_n(d_log_probs, n, 0.0f);
  std::fill_n(d_entropies, n, 0.0f);
  switch (loss.kind) {
    case LossKind::cross_entropy:
      return cross_entropy(loss, n, positions, log_probs, d_log_probs, result);
    case LossKind::dapo:
      return dapo(loss, n, positions, log_probs, entropies, d_log_probs, d_entropies, result);
    case LossKind::custom:
      result->loss += loss.custom(n, positions, log_probs, entropies, d_log_probs, d_entropies);
      return;
  }
  throw std::invalid_argument("accumulate: expected a loss kind of 0 to 2, received " +
                              std::to_string(int(loss.kind)));
}

}  // namespace masksearch
