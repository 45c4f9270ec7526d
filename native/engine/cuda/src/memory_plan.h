// Where everything lies in the one slab of device memory, computed before anything is allocated:
// the state of the model at the bottom, then what one training pass keeps, and from the top
// downwards the pages and buffers of samplers. Plain arithmetic; runs without a GPU.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_kernels.h"
#include "engine.h"

namespace masksearch::cuda {

// Device memory does not suffice; the message says what asked for how much and what lowers it.
struct MemoryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Hands out offsets one after the other, at multiples of 256 bytes, and remembers what for.
class Ledger {
 public:
  explicit Ledger(size_t start) : start_(start), end_(start) {}
  size_t take(const std::string& what, size_t bytes);
  size_t bytes() const { return end_ - start_; }
  size_t end() const { return end_; }
  // One line for each kind of use, e.g. "  12.00 GiB  logits".
  std::string table() const;

 private:
  size_t start_, end_;
  std::vector<std::pair<std::string, size_t>> uses_;
};

std::string readable_bytes(size_t bytes);  // e.g. "1.50 GiB", "1.50 MiB"

// -- State: 16 bytes a trained parameter, 2 a frozen one, and what every step needs ----------------

struct StatePlan {
  size_t weights;  // the decoder's; where nothing is frozen, the trained ones
  size_t trained_weights, rest, gradients, first_moments, second_moments;  // arenas
  size_t spans, partials, norm, adamw_step;                        // optimizer
  size_t rotary;                                                   // (max_positions, D) f32
  size_t workspace;                                                // of matrix products
  size_t end;
  std::string table;
};
constexpr size_t kWorkspaceBytes = size_t(64) << 20;
// `frozen` parameters beside the `trained` ones.
StatePlan plan_state(const DecoderConfig& config, size_t frozen, size_t trained, size_t spans);

// -- Training -------------------------------------------------------------------------------------

// What a layer keeps for its backward pass; the rest is computed again.
enum class Keep {
  everything,       // qkv (and heads before their norm), attention, both residuals, gate and up
  without_gate_up,  // computes the gate and up product again: 1/6 more work in a typical layer
  input             // only its input: the whole layer again but its last product
};

constexpr int kPassTokens = 16384;  // rows of a pass by default

struct PassSize {
  int rows;
  int tiles;
  int labels;
  bool backward;
  int64_t pairs = 0;  // of tiles in attention; see tile_pair
};

// Offsets of one layer's buffers; those of several layers may be the same. 0: there is none.
struct LayerPlan {
  Keep keep;
  size_t x, qkv, heads, attention, log_sums, x_mid, gate_up, rstd_in, rstd_post;
};

struct TrainingPlan {
  // Work lists of the batch.
  size_t tokens, positions, query_tiles, key_tiles, order_token, order_start, order, dropout_moment;
  std::vector<LayerPlan> layers;
  size_t last_x;  // output of the last layer
  size_t dx, hidden, d_hidden, product, d_product, d_attention, d_qkv, scratch;
  size_t low, d_low, dropped;  // of an adapter
  size_t kept_scores;          // of attention's way back
  int kept_key_heads = 0;      // key/value heads at a time
  // Loss head, of one chunk of labelled rows.
  int chunk_rows;
  size_t row_of, targets, chunk_hidden, d_chunk_hidden, chunk_rstd, logits, statistics, log_probs,
      d_log_probs, d_entropies;
  size_t bytes;
  std::string table;
  int kept_everything = 0, kept_without_gate_up = 0, kept_input = 0;  // layers
};

// The plan that computes least again and fits between `start` and `start + available`, if one does.
std::optional<TrainingPlan> find_training_plan(const DecoderConfig& config, const LoraConfig& lora,
                                               const PassSize& size, size_t start,
                                               size_t available);
// The plan that computes all again, whether it fits or not.
TrainingPlan least_training_plan(const DecoderConfig& config, const LoraConfig& lora,
                                 const PassSize& size, size_t start, size_t available);
// The first, or: @throws MemoryError nothing fits; `held` is said to be held by samplers.
TrainingPlan plan_training(const DecoderConfig& config, const LoraConfig& lora,
                           const PassSize& size, size_t start, size_t available, size_t held);

// -- Sampling -------------------------------------------------------------------------------------

struct SamplerPlan {
  int slots;               // sequences that advance together
  int pages_per_sequence;  // for the longest context
  int pages;               // of the pool, page 0 for slots without a sequence
  int read_rows;           // prompt rows that go through the layers together
  size_t layer_pool_bytes;
  size_t pool, page_of, tokens, positions, sequence_of, tiles;
  size_t x, x_mid, hidden, qkv, attention, gate_up, product, low, logits, scratch;
  size_t temperature, uniform, top_p, is_limited, allowed, sampled, log_probs;
  size_t bytes;
  std::string table;
};

// Offsets from 0. The pool takes what `max_sequences` full contexts need, or what there is; sequences
// that do not fit then wait or are read again. @throws MemoryError not even one context fits.
SamplerPlan plan_sampler(const DecoderConfig& config, const LoraConfig& lora, int max_sequences,
                         int max_context_tokens, size_t available);

// Values between rows of logits: V rounded up to a multiple of 8.
inline int64_t logits_row(const DecoderConfig& config) {
  return (int64_t(config.vocabulary_size) + 7) / 8 * 8;
}

// Words of a bit per token.
inline int64_t allowed_words(const DecoderConfig& config) {
  return (int64_t(config.vocabulary_size) + 31) / 32;
}

inline AttentionShape attention_shape(const DecoderConfig& config) {
  return {config.heads, config.key_value_heads, config.head_width};
}

}  // namespace masksearch::cuda
