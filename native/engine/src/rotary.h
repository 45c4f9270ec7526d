// The angles of rotary positions, for every device.
#pragma once

#include <algorithm>
#include <cmath>

#include "engine.h"

namespace masksearch {

// Radians per position of pair i: theta^(-2i/D). Llama 3's scaling divides slow pairs by the
// factor, keeps fast ones, and blends by how often a pair turns within the original context.
inline double rotary_frequency(const DecoderConfig& c, int i) {
  constexpr double kTurn = 6.283185307179586476925;
  const double plain = std::pow(c.rope_theta, -2.0 * i / c.head_width);
  const RopeScaling& s = c.rope_scaling;
  if (s.factor == 0) return plain;
  const double turns = s.original_max_positions * plain / kTurn;
  const double share = (turns - s.low_frequency_factor) /
                       (s.high_frequency_factor - s.low_frequency_factor);
  const double kept = std::min(std::max(share, 0.0), 1.0);
  return ((1 - kept) / s.factor + kept) * plain;
}

}  // namespace masksearch
