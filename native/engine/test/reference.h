// The decoder, its losses and all gradients in float64 plain loops; shares no code with the engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine.h"

namespace test {

struct ReferenceResult {
  double loss = 0;
  std::vector<double> log_probs;  // (T)
  std::vector<double> entropies;  // (T)
  std::vector<double> gradients;  // like the arena
};

// `weights` laid out by `parameters`.
ReferenceResult reference(const masksearch::DecoderConfig& config,
                          const std::vector<masksearch::Parameter>& parameters,
                          const std::vector<double>& weights, const masksearch::Batch& batch,
                          const masksearch::TokenLoss& loss);

}  // namespace test
