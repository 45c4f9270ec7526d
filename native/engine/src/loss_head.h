// The last norm, the output projection and the loss, at labelled tokens only, chunk by chunk: the
// logits of one chunk exist at a time, and both directions pass over the vocabulary once.
#pragma once

#include <cstdint>
#include <vector>

#include "decoder.h"

namespace masksearch {

class LossHead {
 public:
  explicit LossHead(Decoder* decoder) : decoder_(*decoder) {}

  // `labels`: labelled tokens of the batch; token t is predicted by row t - 1 - first_token of
  // x (N, C), the last layer's output. Writes log_probs and entropies at the labels.
  void score(const std::vector<int32_t>& labels, int first_token, const int32_t* tokens,
             const float* x, float* log_probs, float* entropies);

  // The same, then the loss and its gradient: dx (N, C) =, weight gradients +=.
  void accumulate(const std::vector<int32_t>& labels, int first_token, int row_count,
                  const int32_t* tokens, const float* x, const TokenLoss& loss, float* log_probs,
                  float* entropies, float* dx, AccumulateResult* result);

 private:
  struct Chunk {
    int count;
    const int32_t* labels;
    int first_token;
    const int32_t* tokens;
    const float* x;
  };
  void forward(const Chunk& chunk, float* log_probs, float* entropies);
  void backward(const Chunk& chunk, float* dx);
  void reserve(int rows, bool backward);

  Decoder& decoder_;
  Buffer gathered_, rstd_, logits_, d_hidden_;
  StoredBuffer hidden_;
  std::vector<int32_t> rows_;  // of x that predict the labels
  Buffer log_probs_, entropies_, d_log_probs_, d_entropies_;
  std::vector<RowStatistics> statistics_;
};

}  // namespace masksearch
