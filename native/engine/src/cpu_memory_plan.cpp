// The memory plan: the sizes that engine.cpp, decoder.cpp, loss_head.cpp and sampler.cpp reserve.
#include "cpu_memory_plan.h"

#include <algorithm>

#include "decoder.h"
#include "parameters.h"
#include "sizes.h"
#include "validate.h"

namespace masksearch {

namespace {

struct Widths {
  explicit Widths(const DecoderConfig& c)
      : width(size_t(c.width)),
        queries(size_t(c.heads) * c.head_width),
        keys(size_t(c.key_value_heads) * c.head_width),
        qkv(queries + 2 * keys),
        gate_up(size_t(spread_row(2 * c.feed_forward_width))),
        logits(size_t(spread_row(c.vocabulary_size))) {}
  size_t width, queries, keys, qkv, gate_up, logits;
};

size_t packed_matrices(const DecoderConfig& c, bool backward) {
  const Widths w(c);
  const auto both = [&](int n, int k) {
    return packed_floats(n, k) + (backward ? packed_floats(k, n) : 0);
  };
  const size_t layer = both(int(w.qkv), c.width) + both(c.width, int(w.queries)) +
                       both(2 * c.feed_forward_width, c.width) +
                       both(c.width, c.feed_forward_width);
  return c.layers * layer + both(c.vocabulary_size, c.width);
}

size_t packed_adapter(const AdapterLayout& layout, int rank, bool backward) {
  size_t floats = 0;
  for (const auto& layer : layout.layers)
    for (const AdapterMatrix& m : layer) {
      if (!m.used) continue;
      floats += packed_floats(rank, m.inputs) + packed_floats(m.outputs, rank);
      if (backward) floats += packed_floats(m.inputs, rank) + packed_floats(rank, m.outputs);
    }
  return floats;
}

// What an adapter keeps for n rows, beside its packed copies: a pass's scratch and, to train it,
// low-rank activations of every target and their gradients.
size_t adapter_rows(const DecoderConfig& c, const LoraConfig& lora, int threads, size_t n,
                    bool backward) {
  const Widths w(c);
  const size_t tile = threads * std::min(n, size_t(kRowTile) * threads);
  size_t floats = tile * lora.rank;
  if (!backward) return floats;
  floats += size_t(c.layers + 1) * kLoraTargets * n * lora.rank;
  if (lora.dropout == 0) return floats;
  const size_t widest = std::max({w.width, w.queries, size_t(c.feed_forward_width)});
  return floats + (2 * tile + n) * widest;
}

// One layer's activations for n rows; `kept` for a backward pass.
size_t layer_activations(const DecoderConfig& c, size_t n, bool kept) {
  const Widths w(c);
  size_t row = 2 * w.width + w.qkv + w.queries + w.gate_up;
  if (kept) row += 2 + c.heads;
  if (kept && c.query_key_norm) row += w.queries + w.keys + c.heads + c.key_value_heads;
  return n * row;
}

// Per-thread scratch of a pass over n rows that see at most `longest` keys.
size_t pass_scratch(const DecoderConfig& c, int threads, size_t n, int longest, bool backward) {
  const size_t tile = std::min(n, size_t(kRowTile) * threads);
  size_t attention = attention_scratch(std::max(kAttentionRows, c.heads), longest);
  if (backward)
    attention = std::max(attention, attention_backward_scratch(longest, c.head_width));
  const size_t packing =
      backward ? packed_floats(std::max(c.width, std::max(c.feed_forward_width,
                                                          c.heads * c.head_width)),
                               kGradientTokens)
               : 0;
  return threads * (tile * (c.width + c.feed_forward_width) + attention + packing);
}

}  // namespace

MemoryPlan plan_memory(const DecoderConfig& config, const MemoryUse& use) {
  check_config(config, use.threads);
  for (int size : {use.batch_tokens, use.longest_sequence, use.sequences, use.context_tokens})
    if (size < 0)
      reject("plan_memory: expected numbers of tokens and sequences >= 0, received " +
             std::to_string(size));
  const Widths w(config);
  const bool training = use.batch_tokens > 0;
  const AdapterLayout adapter(config, use.lora);
  const size_t weights = Layout(config).count;
  const size_t trained = use.lora.rank > 0 ? adapter.count : weights;
  MemoryPlan floats;
  floats.weights = weights + adapter.count;
  floats.gradients = trained;
  floats.moments = 2 * trained;
  floats.packed =
      packed_matrices(config, training) + packed_adapter(adapter, use.lora.rank, training);
  int longest = 0;
  if (training) {
    longest = use.longest_sequence == 0 ? use.batch_tokens
                                        : std::min(use.longest_sequence, use.batch_tokens);
    const size_t n = size_t(std::min(use.batch_tokens, std::max(kPassTokens, longest)));
    const size_t sequences = (n + longest - 1) / longest;
    floats.activations = config.layers * layer_activations(config, n, true) + 2 * n * w.width +
                         2 * w.keys * (n + sequences * (kPanel - 1));
    const size_t m = std::min(n, size_t(kChunkRows));
    floats.loss_head = m * (3 * w.width + w.logits + 8);
    floats.scratch = pass_scratch(config, use.threads, n, longest, true) +
                     n * (2 * w.width + config.feed_forward_width + w.queries + w.qkv);
    if (config.query_key_norm) floats.scratch += n * (w.queries + w.keys);
    floats.scratch += adapter_rows(config, use.lora, use.threads, n, true);
  }
  if (use.sequences > 0) {
    const size_t s = size_t(use.sequences);
    const size_t capacity = size_t(use.context_tokens + kCacheBlock - 1) / kCacheBlock * kCacheBlock;
    floats.key_values = s * config.layers * 2 * w.keys * capacity;
    const size_t prompts = std::min(s * use.context_tokens, size_t(kPromptRows));
    const size_t n = std::max(prompts, s);
    floats.scratch += layer_activations(config, n, false) +
                      s * (w.width + w.logits + size_t(config.vocabulary_size));
    const size_t own = pass_scratch(config, use.threads, n, use.context_tokens, false);
    if (!training)
      floats.scratch += own + adapter_rows(config, use.lora, use.threads, n, false);
    longest = std::max(longest, use.context_tokens);
  }
  floats.scratch += size_t(std::min(longest, config.max_positions)) * config.head_width;

  MemoryPlan bytes = floats;
  for (size_t* part : {&bytes.weights, &bytes.gradients, &bytes.moments, &bytes.packed,
                       &bytes.activations, &bytes.loss_head, &bytes.key_values, &bytes.scratch})
    *part *= sizeof(float);
  return bytes;
}

}  // namespace masksearch
