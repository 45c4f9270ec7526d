// Draws one token from one row of logits.
#include "sample_token.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "token_loss.h"

namespace masksearch {

namespace {

constexpr int kPart = 64;  // probabilities summed together, to find the part before the token

double sum_of_part(int n, const float* weights, int part) {
  double sum = 0;
  for (int j = part * kPart; j < std::min(n, (part + 1) * kPart); j++) sum += double(weights[j]);
  return sum;
}

// First index whose cumulative weight passes uniform * total; the last positive one at the edge.
int inverse_cumulative(int n, const float* weights, double uniform) {
  const int parts = (n + kPart - 1) / kPart;
  double total = 0;
  for (int part = 0; part < parts; part++) total += sum_of_part(n, weights, part);
  const double target = uniform * total;
  double before = 0;
  int found = -1;
  for (int part = 0; part < parts; part++) {
    const double sum = sum_of_part(n, weights, part);
    if (before + sum <= target && part + 1 < parts) {
      before += sum;
      continue;
    }
    for (int j = part * kPart; j < n; j++) {
      before += double(weights[j]);
      if (weights[j] > 0) found = j;
      if (before > target && found >= 0) return found;
    }
  }
  if (found >= 0) return found;
  for (int j = n - 1; j >= 0; j--)
    if (weights[j] > 0) return j;
  return -1;
}

}  // namespace

SampledToken sample_token(const Kernels& kernels, int n, float* logits, float temperature,
                          double uniform, float* scratch) {
  if (temperature != 0 && temperature != 1) kernels.scale(size_t(n), logits, 1 / temperature);
  const RowStatistics s = kernels.row_statistics(n, logits);
  if (!std::isfinite(s.sum) || !std::isfinite(s.largest)) return {-1, 0};
  int token;
  if (temperature == 0) {
    token = int(std::max_element(logits, logits + n) - logits);
  } else {
    kernels.row_exponentials(n, logits, s.largest, scratch);
    token = inverse_cumulative(n, scratch, uniform);
  }
  if (token < 0) return {-1, 0};
  return {token, log_probability(s, logits[token])};
}

}  // namespace masksearch
