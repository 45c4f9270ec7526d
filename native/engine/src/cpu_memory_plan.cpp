// The memory plan: the sizes that engine.cpp, decoder.cpp, loss_head.cpp and sampler.cpp reserve.
#include "cpu_memory_plan.h"

#include <algorithm>

#include "decoder.h"
#include "parameters.h"
#include "sizes.h"
#include "validate.h"

namespace masksearch {

namespace {

// Widths of rows: float32 ones in floats, stored ones in bytes.
struct Widths {
  Widths(const DecoderConfig& c, DataType t)
      : type(t),
        width(c.width),
        product(c.feed_forward_width),
        queries(c.heads * c.head_width),
        keys(c.key_value_heads * c.head_width),
        qkv(queries + 2 * keys),
        logits(size_t(spread_row(DataType::float32, c.vocabulary_size))) {}
  size_t stored(int n) const { return size_t(stored_row(type, n)) * bytes_of(type); }
  size_t gate_up() const { return size_t(spread_row(type, 2 * product)) * bytes_of(type); }
  // Bytes that only a model in bfloat16 has.
  size_t narrow(size_t bytes) const { return type == DataType::bfloat16 ? bytes : 0; }
  size_t head(const DecoderConfig& c) const {
    return size_t(c.key_value_heads) * stored(c.head_width);
  }

  DataType type;
  int width, product, queries, keys, qkv;
  size_t logits;
};

constexpr size_t kFloat = sizeof(float);

size_t packed_bytes(const Widths& w, int n, int k, bool backward) {
  return (packed_cells(w.type, n, k) + (backward ? packed_cells(w.type, k, n) : 0)) *
         bytes_of(w.type);
}

size_t packed_matrices(const DecoderConfig& c, const Widths& w, bool backward) {
  const size_t layer = packed_bytes(w, w.qkv, w.width, backward) +
                       packed_bytes(w, w.width, w.queries, backward) +
                       packed_bytes(w, 2 * w.product, w.width, backward) +
                       packed_bytes(w, w.width, w.product, backward);
  return c.layers * layer + packed_bytes(w, c.vocabulary_size, w.width, backward);
}

size_t packed_adapter(const AdapterLayout& layout, const Widths& w, int rank, bool backward) {
  size_t bytes = 0;
  for (const auto& layer : layout.layers)
    for (const AdapterMatrix& m : layer)
      if (m.used)
        bytes += packed_bytes(w, rank, m.inputs, backward) +
                 packed_bytes(w, m.outputs, rank, backward);
  return bytes;
}

size_t rows_of_tile(const Widths& w, int threads, size_t n) {
  return std::min(n, size_t(row_tile(w.type)) * threads);
}

// What an adapter keeps for n rows, beside its packed copies: a pass's scratch and, to train it,
// low-rank activations of every target and their gradients.
size_t adapter_rows(const DecoderConfig& c, const Widths& w, const LoraConfig& lora, int threads,
                    size_t n, bool backward) {
  const size_t tile = threads * rows_of_tile(w, threads, n);
  const size_t low = w.stored(lora.rank);
  size_t bytes = tile * (low + w.narrow(lora.rank * kFloat));
  if (!backward || lora.rank == 0) return bytes;
  bytes += size_t(c.layers + 1) * kLoraTargets * n * low;
  if (lora.dropout == 0) return bytes;
  const int widest = std::max({w.width, w.queries, w.product});
  return bytes + (tile + n) * w.stored(widest) + 2 * tile * widest * kFloat;
}

// One layer's activations for n rows; `kept` for a backward pass.
size_t layer_activations(const DecoderConfig& c, const Widths& w, size_t n, bool kept) {
  size_t floats = 2 * size_t(w.width);
  if (kept) floats += 2 + c.heads;
  if (kept && c.query_key_norm) floats += w.queries + w.keys + c.heads + c.key_value_heads;
  const bool gates = kept || w.type == DataType::float32;
  return n * (floats * kFloat + w.stored(w.qkv) + w.stored(w.queries) + (gates ? w.gate_up() : 0));
}

// Per-thread scratch of a pass over n rows that see at most `longest` keys.
size_t pass_scratch(const DecoderConfig& c, const Widths& w, int threads, size_t n, int longest,
                    bool backward) {
  const size_t widest = size_t(std::max({w.qkv, 2 * w.product, w.queries})) + 16;
  const size_t row = w.stored(w.width) + w.stored(w.product) + w.narrow(widest * kFloat);
  size_t attention =
      attention_scratch(std::max(attention_rows(w.type), c.heads), longest, c.head_width);
  if (backward)
    attention = std::max(attention, attention_backward_scratch(longest, c.head_width));
  const int packed = std::max({w.width, w.product, w.queries});
  const size_t packing =
      backward ? packed_cells(w.type, packed, kGradientTokens) * bytes_of(w.type) : 0;
  return threads * (rows_of_tile(w, threads, n) * row + attention * kFloat + packing);
}

// What a backward pass over n rows needs beside the activations.
size_t backward_scratch(const DecoderConfig& c, const Widths& w, size_t n) {
  size_t floats = size_t(w.width) + w.qkv;
  if (c.query_key_norm) floats += w.queries + w.keys;
  return n * (floats * kFloat + w.stored(w.width) + w.stored(w.product) + w.stored(w.queries) +
              w.narrow(w.stored(w.width) + w.stored(w.qkv)));
}

}  // namespace

MemoryPlan plan_memory(const DecoderConfig& config, const MemoryUse& use) {
  check_config(config, use.threads);
  for (int size : {use.batch_tokens, use.longest_sequence, use.sequences, use.context_tokens})
    if (size < 0)
      reject("plan_memory: expected numbers of tokens and sequences >= 0, received " +
             std::to_string(size));
  const Widths w(config, use.type);
  const bool training = use.batch_tokens > 0;
  const AdapterLayout adapter(config, use.lora);
  const size_t weights = Layout(config).count;
  const size_t trained = use.lora.rank > 0 ? adapter.count : weights;
  MemoryPlan plan;
  plan.weights = (weights + adapter.count) * kFloat;
  plan.gradients = trained * kFloat;
  plan.moments = 2 * trained * kFloat;
  plan.packed = packed_matrices(config, w, training) +
                packed_adapter(adapter, w, use.lora.rank, training);
  int longest = 0;
  if (training) {
    longest = use.longest_sequence == 0 ? use.batch_tokens
                                        : std::min(use.longest_sequence, use.batch_tokens);
    const int pass = std::max(pass_tokens(use.lora.rank > 0), longest);
    const size_t n = size_t(std::min(use.batch_tokens, pass));
    const size_t sequences = (n + longest - 1) / longest;
    plan.activations = config.layers * layer_activations(config, w, n, true) +
                       2 * n * w.width * kFloat +
                       2 * w.head(config) * (n + sequences * (kPanel - 1));
    const size_t m = std::min(n, size_t(kChunkRows));
    plan.loss_head = m * ((2 * w.width + w.logits + 8) * kFloat + w.stored(w.width));
    plan.scratch = pass_scratch(config, w, use.threads, n, longest, true) +
                   backward_scratch(config, w, n) +
                   adapter_rows(config, w, use.lora, use.threads, n, true);
  }
  if (use.sequences > 0) {
    const size_t s = size_t(use.sequences);
    const size_t capacity = size_t(use.context_tokens + kCacheBlock - 1) / kCacheBlock * kCacheBlock;
    plan.key_values = s * config.layers * 2 * w.head(config) * capacity;
    const size_t prompts = std::min(s * use.context_tokens, size_t(kPromptRows));
    const size_t n = std::max(prompts, s);
    plan.scratch += layer_activations(config, w, n, false) +
                    s * (w.stored(w.width) + (w.logits + size_t(config.vocabulary_size)) * kFloat);
    if (!training)
      plan.scratch += pass_scratch(config, w, use.threads, n, use.context_tokens, false) +
                      adapter_rows(config, w, use.lora, use.threads, n, false);
    longest = std::max(longest, use.context_tokens);
  }
  plan.scratch += size_t(std::min(longest, config.max_positions)) * config.head_width * kFloat;
  return plan;
}

}  // namespace masksearch
