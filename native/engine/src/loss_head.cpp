// The last norm, the output projection and the loss.
#include "loss_head.h"

#include <algorithm>
#include <cstring>

#include "sizes.h"
#include "token_loss.h"

namespace masksearch {

namespace {
template <class Body>
void for_chunks(const std::vector<int32_t>& labels, const Body& body) {
  for (size_t first = 0; first < labels.size(); first += kChunkRows)
    body(labels.data() + first, int(std::min(labels.size() - first, size_t(kChunkRows))));
}
}  // namespace

void LossHead::reserve(int rows, bool backward) {
  const size_t n = size_t(rows);
  gathered_.reserve(n * decoder_.config.width);
  hidden_.reserve(decoder_.type, n * size_t(decoder_.row(decoder_.config.width)));
  rstd_.reserve(n);
  logits_.reserve(n * decoder_.logits_row());
  log_probs_.reserve(n);
  entropies_.reserve(n);
  if (statistics_.size() < n) statistics_.resize(n);
  if (!backward) return;
  d_hidden_.reserve(n * decoder_.config.width);
  d_log_probs_.reserve(n);
  d_entropies_.reserve(n);
}

void LossHead::forward(const Chunk& chunk, float* log_probs, float* entropies) {
  const size_t C = size_t(decoder_.config.width);
  const int V = decoder_.config.vocabulary_size;
  rows_.clear();
  for (int i = 0; i < chunk.count; i++) {
    rows_.push_back(chunk.labels[i] - 1 - chunk.first_token);
    std::memcpy(gathered_.data() + i * C, chunk.x + size_t(rows_.back()) * C, C * sizeof(float));
  }
  decoder_.final_norm(chunk.count, gathered_.data(), hidden_.data(), rstd_.data());
  decoder_.logits(chunk.count, hidden_.data(), logits_.data());
  decoder_.pool.run_ranges(chunk.count, 8, [&](int first, int last, int) {
    for (int i = first; i < last; i++) {
      const float* row = logits_.data() + i * decoder_.logits_row();
      const int32_t label = chunk.labels[i];
      statistics_[i] = decoder_.kernels.row_statistics(V, row);
      log_probs_.data()[i] = log_probability(statistics_[i], row[chunk.tokens[label]]);
      entropies_.data()[i] = statistics_[i].entropy;
      log_probs[label] = log_probs_.data()[i];
      entropies[label] = entropies_.data()[i];
    }
  });
}

void LossHead::backward(const Chunk& chunk, float* dx) {
  const int V = decoder_.config.vocabulary_size;
  decoder_.pool.run_ranges(chunk.count, 8, [&](int first, int last, int) {
    for (int i = first; i < last; i++)
      decoder_.kernels.row_gradient(V, logits_.data() + i * decoder_.logits_row(), statistics_[i],
                                    chunk.tokens[chunk.labels[i]], d_log_probs_.data()[i],
                                    d_entropies_.data()[i]);
    decoder_.store_logits(first, last - first, logits_.data());
  });
  decoder_.logits_backward(chunk.count, decoder_.stored_logits(logits_.data()), hidden_.data(),
                           d_hidden_.data());
  decoder_.final_norm_backward(chunk.count, d_hidden_.data(), gathered_.data(), rstd_.data(),
                               rows_.data(), dx);
}

void LossHead::score(const std::vector<int32_t>& labels, int first_token, const int32_t* tokens,
                     const float* x, float* log_probs, float* entropies) {
  for_chunks(labels, [&](const int32_t* first, int count) {
    reserve(count, false);
    forward({count, first, first_token, tokens, x}, log_probs, entropies);
  });
}

void LossHead::accumulate(const std::vector<int32_t>& labels, int first_token, int row_count,
                          const int32_t* tokens, const float* x, const TokenLoss& loss,
                          float* log_probs, float* entropies, float* dx,
                          AccumulateResult* result) {
  std::fill_n(dx, size_t(row_count) * decoder_.config.width, 0.0f);
  for_chunks(labels, [&](const int32_t* first, int count) {
    reserve(count, true);
    const Chunk chunk{count, first, first_token, tokens, x};
    forward(chunk, log_probs, entropies);
    evaluate_loss(loss, count, first, log_probs_.data(), entropies_.data(), d_log_probs_.data(),
                  d_entropies_.data(), result);
    backward(chunk, dx);
  });
}

}  // namespace masksearch
