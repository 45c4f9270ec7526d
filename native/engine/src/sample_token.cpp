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

bool is_allowed(const uint32_t* allowed, int token) {
  return (allowed[token / 32] >> (token % 32) & 1) != 0;
}

// Of the largest allowed logit, the first among equals; -1 where it is -infinity.
int best_token(int n, const float* logits, const uint32_t* allowed) {
  if (allowed == nullptr) return int(std::max_element(logits, logits + n) - logits);
  int best = -1;
  for (int j = 0; j < n; j++)
    if (is_allowed(allowed, j) && logits[j] > (best < 0 ? -INFINITY : logits[best])) best = j;
  return best;
}

void remove_forbidden(int n, const uint32_t* allowed, float* weights) {
  for (int j = 0; j < n; j++)
    if (!is_allowed(allowed, j)) weights[j] = 0;
}

// Zeroes all weights but the largest ones, the lower id first among equals, that just hold `share`
// of the sum.
void keep_nucleus(int n, double share, float* weights) {
  double total = 0;
  for (int j = 0; j < n; j++) total += double(weights[j]);
  // All that are lighter hold less, together, than what may be left out.
  const float least = float((1 - share) * total / n / 2);
  std::vector<int> heaviest;
  for (int j = 0; j < n; j++)
    if (weights[j] > least) heaviest.push_back(j);
  std::sort(heaviest.begin(), heaviest.end(), [&](int a, int b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  });
  double held = 0;
  int last = heaviest[0];
  for (const int j : heaviest) {
    last = j;
    held += double(weights[j]);
    if (held >= share * total) break;
  }
  const float lightest = weights[last];
  for (int j = 0; j < n; j++)
    if (weights[j] < lightest || (weights[j] == lightest && j > last)) weights[j] = 0;
}

}  // namespace

SampledToken sample_token(const Kernels& kernels, int n, float* logits, const Draw& draw,
                          float* scratch) {
  const float temperature = draw.temperature;
  if (temperature != 0 && temperature != 1) kernels.scale(size_t(n), logits, 1 / temperature);
  const RowStatistics s = kernels.row_statistics(n, logits);
  if (!std::isfinite(s.sum) || !std::isfinite(s.largest)) return {-1, 0};
  int token;
  if (temperature == 0) {
    token = best_token(n, logits, draw.allowed);
  } else {
    float largest = s.largest;
    if (draw.allowed != nullptr) {
      const int best = best_token(n, logits, draw.allowed);
      if (best < 0) return {-1, 0};
      largest = logits[best];  // the others may be so much larger that nothing would be left
    }
    kernels.row_exponentials(n, logits, largest, scratch);
    if (draw.allowed != nullptr) remove_forbidden(n, draw.allowed, scratch);
    if (draw.top_p < 1) keep_nucleus(n, draw.top_p, scratch);
    token = inverse_cumulative(n, scratch, draw.uniform);
  }
  if (token < 0) return {-1, 0};
  return {token, log_probability(s, logits[token])};
}

}  // namespace masksearch
