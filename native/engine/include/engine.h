// The engine as the addon sees it: a decoder that trains and samples over one copy of its weights.
// Everything here is synchronous and belongs to one thread; the addon's engine thread calls it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data_type.h"

namespace masksearch {

// Llama 3's stretched rotary positions; factor 0 = off. See rotaryFrequencies in packages/model.
struct RopeScaling {
  double factor = 0;
  double low_frequency_factor = 0;
  double high_frequency_factor = 0;
  double original_max_positions = 0;
};

// Sizes of a Qwen2, Qwen3 or Llama 3 decoder. Letters as in docs: V, C, L, H, K, D, F.
struct DecoderConfig {
  int vocabulary_size;     // V
  int width;               // C
  int layers;              // L
  int heads;               // H
  int key_value_heads;     // K, divides H
  int head_width;          // D, even
  int feed_forward_width;  // F
  double rope_theta;
  double norm_epsilon;
  int max_positions;
  bool attention_bias;
  bool tied_embeddings;
  bool query_key_norm = false;  // RMSNorm of each query and key head before RoPE
  RopeScaling rope_scaling = {};
};

// The matrices of a layer that an adapter can change, in the order of the layer.
enum LoraTarget { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown, kLoraTargets };

// Low-rank adapters: y = W x + (alpha / rank) B A dropout(x), W frozen. Source: arXiv:2106.09685.
struct LoraConfig {
  int rank = 0;  // 0 = no adapter, everything is trained
  double alpha = 0;
  double dropout = 0;  // of the adapter's input, in accumulate only
  uint32_t seed = 0;   // of dropout
  bool targets[kLoraTargets] = {};
};

// Whether a pass goes through the adapter: without it the model is the frozen one.
enum class AdapterUse { on, off };

// T tokens in B sequences laid end to end; see PackedBatch in packages/model.
struct Batch {
  const int32_t* tokens;     // (T)
  const int32_t* offsets;    // (B + 1)
  const uint8_t* loss_mask;  // (T) 1 = token t is a label, predicted from t - 1
  int token_count;           // T
  int sequence_count;        // B
};

// Gradient of any loss of (log-probability, entropy) at n labelled tokens. Returns the loss.
using ChunkLoss = std::function<double(int n, const int32_t* positions, const float* log_probs,
                                       const float* entropies, float* d_log_probs,
                                       float* d_entropies)>;

enum class LossKind { cross_entropy, dapo, custom };

// See TokenLoss in packages/model for the formulas. Unused pointers are null.
struct TokenLoss {
  LossKind kind;
  double scale = 0;
  const float* weights = nullptr;             // (T) cross_entropy
  const float* old_log_probs = nullptr;       // (T) dapo
  const float* advantages = nullptr;          // (T) dapo
  const float* importance_weights = nullptr;  // (T) dapo
  double clip_low = 0;
  double clip_high = 0;
  double dual_clip = 0;            // 0 = off
  double entropy_coefficient = 0;  // 0 = off
  ChunkLoss custom;
};

struct AccumulateResult {
  double loss = 0;
  int64_t clipped_low = 0;
  int64_t clipped_high = 0;
};

struct AdamW {
  double learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0;       // matrices of the layers only
  double max_gradient_norm = 0;  // 0 = no clipping
};

// One named parameter inside the arenas; names and shapes are Hugging Face's.
struct Parameter {
  std::string name;
  std::vector<int> shape;
  size_t offset;  // floats from the start of each arena
  size_t count;
  bool decayed;
};

struct GenerateRequest {
  int max_tokens;
  std::vector<std::vector<int32_t>> stop;
  float temperature;  // 0 = greedy
  uint32_t turn;
  // Draws from the fewest most probable tokens that hold this share, the lower id first among
  // equals; 1 = all.
  double top_p = 1;
  // A bit per token, 32 in a word from the lowest: whether it may be sampled. Empty = all may.
  std::vector<uint32_t> allowed = {};
};

enum class GenerateEnd { stop, length, context_full, cancelled };

struct Generated {
  int sequence;
  std::vector<int32_t> tokens;
  std::vector<float> log_probs;
  GenerateEnd end;
};

class Sampler;

// Weights, gradients and moments live in four arenas of equal layout; `parameters` describes it.
class Model {
 public:
  // `type`: of packed matrices and kept activations. The arenas below are float32 with either.
  Model(const DecoderConfig& config, int threads, const LoraConfig& lora = {},
        DataType type = DataType::float32);
  ~Model();

  const DecoderConfig& config() const;
  const std::vector<Parameter>& parameters() const;
  // What is trained: the adapter's parameters where there is one (A and B by their names in PEFT's
  // files), else `parameters`. Gradients and moments are laid out by it.
  const std::vector<Parameter>& trained_parameters() const;
  // A call announces that weights may be written before the next pass; a pointer kept from an
  // earlier call must not be written to without another call.
  float* weights();
  float* trained_weights();
  float* gradients();
  float* first_moments();
  float* second_moments();
  size_t parameter_count() const;  // floats in `weights`
  size_t trained_count() const;    // floats in `trained_weights`, gradients and moments

  // Forward and backward; gradients +=. log_probs and entropies: (T), 0 where not labelled.
  AccumulateResult accumulate(const Batch& batch, const TokenLoss& loss, float* log_probs,
                              float* entropies);
  void score(const Batch& batch, float* log_probs, float* entropies,
             AdapterUse adapter = AdapterUse::on);
  // Clips, updates, zeroes the gradients, counts a step. Returns the norm before clipping.
  double step(const AdamW& options);

  int64_t version() const;
  void set_version(int64_t version);
  DataType type() const;
  // e.g. "cpu avx512 2 threads", "cpu amx bfloat16 2 threads"
  std::string device() const;

 private:
  friend class Sampler;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Continuous batching with one KV cache per sequence, kept between turns.
class Sampler {
 public:
  Sampler(Model& model, int max_sequences, int max_context_tokens);
  ~Sampler();

  // Returns a handle. The random number at a token depends on (key, turn, position) alone.
  int open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1);
  void append(int sequence, const int32_t* tokens, int count);
  int length(int sequence) const;
  // Queues a turn; `step` works on it from then on.
  void generate(int sequence, const GenerateRequest& request);
  void cancel(int sequence);
  void close(int sequence);
  // Reads pending tokens and samples one token for each running sequence (at most max_sequences
  // at once). Turns that ended are appended to `finished`. False when there was nothing to do.
  bool step(std::vector<Generated>* finished);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace masksearch
