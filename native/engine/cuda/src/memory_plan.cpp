// Where everything lies in the slab.
#include "memory_plan.h"

#include <algorithm>
#include <cstdio>

namespace masksearch::cuda {

namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kLogitBytes = size_t(1) << 30;      // of one chunk of the loss head, where
constexpr size_t kMostLogitBytes = size_t(5) << 29;  // memory is not plentiful, and at most
constexpr int kLeastChunk = 64;
constexpr size_t kScoreBytes = size_t(4) << 30;  // of kept gradients of scores at most
constexpr int kReadRows = 2048;

size_t bf16_bytes(int64_t rows, int64_t width) { return size_t(rows * width) * sizeof(bf16); }

// Buffers of a layer that `keep` keeps for itself; the others point to `shared`.
LayerPlan plan_layer(const DecoderConfig& c, const PassSize& size, Keep keep,
                     const LayerPlan* shared, Ledger* ledger) {
  const int64_t n = size.rows;
  const AttentionShape shape = attention_shape(c);
  LayerPlan p{};
  if (shared != nullptr) p = *shared;
  p.keep = keep;
  p.x = ledger->take("layer inputs", bf16_bytes(n, c.width));
  if (keep == Keep::input) return p;
  p.qkv = ledger->take("queries, keys and values", bf16_bytes(n, shape.columns()));
  if (c.query_key_norm && size.backward)
    p.heads = ledger->take("heads before their norm",
                           bf16_bytes(n, shape.value_column(0)));  // queries and keys
  p.attention = ledger->take("attention", bf16_bytes(n, int64_t(c.heads) * c.head_width));
  p.log_sums = ledger->take("attention", size_t(n) * c.heads * sizeof(float));
  p.x_mid = ledger->take("residuals", bf16_bytes(n, c.width));
  p.rstd_in = ledger->take("norms", size_t(n) * sizeof(float));
  p.rstd_post = ledger->take("norms", size_t(n) * sizeof(float));
  if (keep == Keep::everything)
    p.gate_up = ledger->take("gate and up", bf16_bytes(n, 2 * int64_t(c.feed_forward_width)));
  return p;
}

// Buffers that layers which keep less than everything write to.
LayerPlan plan_shared(const DecoderConfig& c, const PassSize& size, bool whole_layer,
                      Ledger* ledger) {
  LayerPlan p{};
  if (whole_layer) p = plan_layer(c, size, Keep::without_gate_up, nullptr, ledger);
  p.gate_up =
      ledger->take("gate and up", bf16_bytes(size.rows, 2 * int64_t(c.feed_forward_width)));
  return p;
}

size_t scratch_bytes(const DecoderConfig& c, const PassSize& size) {
  const AttentionShape shape = attention_shape(c);
  return sizeof(float) * std::max({rms_norm_backward_scratch(size.rows, c.width),
                                   column_sums_scratch(size.rows, shape.columns()),
                                   norm_heads_backward_scratch(shape, size.rows),
                                   attention_backward_scratch(shape, size.rows)});
}

// As few chunks as memory has room for, since each reads and writes the whole gradient of the head, and
// of equal size, so that all share the choices of their products.
int chunk_rows_of(const DecoderConfig& c, int labels, size_t available) {
  const size_t row = size_t(logits_row(c)) * sizeof(float);
  const size_t bytes = std::max(std::min(kLogitBytes, available / 8),
                                std::min(kMostLogitBytes, available / 32));
  const int fit = int(std::min(bytes / row, size_t(1) << 20)) / kLeastChunk * kLeastChunk;
  const int most = std::max(fit, kLeastChunk);
  if (labels <= most) return std::max(1, labels);
  const int chunks = (labels + most - 1) / most;
  return ((labels + chunks - 1) / chunks + kLeastChunk - 1) / kLeastChunk * kLeastChunk;
}

void plan_lists(const PassSize& size, Ledger* ledger, TrainingPlan* p) {
  const size_t n = size_t(size.rows);
  const size_t tiles = size_t(size.tiles);
  const char* what = "work lists";
  p->tokens = ledger->take(what, n * sizeof(int32_t));
  p->positions = ledger->take(what, n * sizeof(int32_t));
  p->query_tiles = ledger->take(what, tiles * sizeof(QueryTile));
  p->key_tiles = ledger->take(what, tiles * sizeof(KeyTile));
  p->order_token = ledger->take(what, n * sizeof(int32_t));
  p->order_start = ledger->take(what, (n + 1) * sizeof(int32_t));
  p->order = ledger->take(what, n * sizeof(int32_t));
  p->dropout_moment = ledger->take(what, sizeof(DropoutMoment));
}

void plan_head(const DecoderConfig& c, int chunk_rows, Ledger* ledger, TrainingPlan* p) {
  const size_t rows = size_t(chunk_rows);
  p->chunk_rows = chunk_rows;
  p->row_of = ledger->take("loss head", rows * sizeof(int32_t));
  p->targets = ledger->take("loss head", rows * sizeof(int32_t));
  p->chunk_hidden = ledger->take("loss head", bf16_bytes(chunk_rows, c.width));
  p->d_chunk_hidden = ledger->take("loss head", bf16_bytes(chunk_rows, c.width));
  p->chunk_rstd = ledger->take("loss head", rows * sizeof(float));
  p->statistics = ledger->take("loss head", rows * sizeof(RowStatistics));
  p->log_probs = ledger->take("loss head", rows * sizeof(float));
  p->d_log_probs = ledger->take("loss head", rows * sizeof(float));
  p->d_entropies = ledger->take("loss head", rows * sizeof(float));
  p->logits = ledger->take("logits of a chunk", rows * size_t(logits_row(c)) * sizeof(float));
}

// As many key/value heads at a time as fit, in groups of equal size; none where not even one fits.
int kept_key_heads_of(const DecoderConfig& c, const PassSize& size, size_t available) {
  const AttentionShape shape = attention_shape(c);
  if (!size.backward || size.pairs == 0 || !has_tensor_core_attention(shape)) return 0;
  const size_t fit =
      std::min(kScoreBytes, available / 16) / kept_score_bytes(shape, size.pairs, 1);
  if (fit == 0) return 0;
  const int K = c.key_value_heads, most = int(std::min(fit, size_t(K)));
  const int groups = (K + most - 1) / most;
  return (K + groups - 1) / groups;
}

// What an adapter computes with: the low-rank rows of one matrix at a time, and its input with
// elements dropped.
void plan_adapter(const DecoderConfig& c, const LoraConfig& lora, const PassSize& size,
                  Ledger* ledger, TrainingPlan* p) {
  if (lora.rank == 0) return;
  const char* what = "working set of the adapter";
  p->low = ledger->take(what, bf16_bytes(size.rows, lora.rank));
  if (!size.backward) return;
  p->d_low = ledger->take(what, bf16_bytes(size.rows, lora.rank));
  if (lora.dropout == 0) return;
  const int64_t widest = std::max({int64_t(c.width), int64_t(c.feed_forward_width),
                                   int64_t(c.heads) * c.head_width});
  p->dropped = ledger->take(what, bf16_bytes(size.rows, widest));
}

// What is planned before the layers: rows of a chunk of logits, heads of kept scores.
struct Portions {
  int chunk_rows;
  int kept_key_heads;
};

Portions portions_of(const DecoderConfig& c, const PassSize& size, size_t available) {
  return {chunk_rows_of(c, size.labels, available), kept_key_heads_of(c, size, available)};
}

// How many layers keep less than everything.
struct Recomputation {
  int less;   // keep no gate and up
  int least;  // keep only their input
};

TrainingPlan plan_with(const DecoderConfig& c, const LoraConfig& lora, const PassSize& size,
                       size_t start, const Portions& portions, Recomputation again) {
  const auto [less, least] = again;
  Ledger ledger(start);
  TrainingPlan p{};
  const int64_t n = size.rows;
  const int F = c.feed_forward_width;
  plan_lists(size, &ledger, &p);
  plan_head(c, portions.chunk_rows, &ledger, &p);
  const char* working = "working set of a layer";
  p.last_x = ledger.take(working, bf16_bytes(n, c.width));
  p.hidden = ledger.take(working, bf16_bytes(n, c.width));
  p.product = ledger.take(working, bf16_bytes(n, F));
  p.scratch = ledger.take(working, scratch_bytes(c, size));
  if (size.backward) {
    p.dx = ledger.take(working, bf16_bytes(n, c.width));
    p.d_hidden = ledger.take(working, bf16_bytes(n, c.width));
    p.d_product = ledger.take(working, bf16_bytes(n, F));
    p.d_attention = ledger.take(working, bf16_bytes(n, int64_t(c.heads) * c.head_width));
    p.d_qkv = ledger.take(working, bf16_bytes(n, attention_shape(c).columns()));
  }
  p.kept_key_heads = portions.kept_key_heads;
  if (p.kept_key_heads > 0)
    p.kept_scores =
        ledger.take("gradients of attention's scores",
                    kept_score_bytes(attention_shape(c), size.pairs, p.kept_key_heads));
  plan_adapter(c, lora, size, &ledger, &p);
  const bool whole_layer = least > 0 || !size.backward;
  LayerPlan shared{};
  if (less + least > 0 || !size.backward) shared = plan_shared(c, size, whole_layer, &ledger);
  if (!size.backward) {
    // Nothing is kept: every layer reads and writes the same buffers, its input in turn.
    for (int l = 0; l < c.layers; l++) {
      p.layers.push_back(shared);
      p.layers.back().keep = Keep::input;
      p.layers.back().x = l % 2 == 0 ? shared.x : p.last_x;
    }
    if (c.layers % 2 == 0) p.last_x = shared.x;
  } else {
    for (int l = 0; l < c.layers; l++) {
      const Keep keep = l < least           ? Keep::input
                        : l < least + less ? Keep::without_gate_up
                                           : Keep::everything;
      p.layers.push_back(plan_layer(c, size, keep, &shared, &ledger));
    }
    p.kept_input = least;
    p.kept_without_gate_up = less;
    p.kept_everything = c.layers - less - least;
  }
  p.bytes = ledger.bytes();
  p.table = ledger.table();
  return p;
}

}  // namespace

size_t Ledger::take(const std::string& what, size_t bytes) {
  const size_t offset = end_;
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  end_ += rounded;
  for (auto& [name, sum] : uses_)
    if (name == what) {
      sum += rounded;
      return offset;
    }
  uses_.push_back({what, rounded});
  return offset;
}

std::string readable_bytes(size_t bytes) {
  char text[32];
  const double mebibytes = double(bytes) / double(1 << 20);
  if (mebibytes < 1024)
    std::snprintf(text, sizeof text, "%.2f MiB", mebibytes);
  else
    std::snprintf(text, sizeof text, "%.2f GiB", mebibytes / 1024);
  return text;
}

std::string Ledger::table() const {
  std::string lines;
  for (const auto& [name, bytes] : uses_) {
    char text[96];
    std::snprintf(text, sizeof text, "  %12s  %s\n", readable_bytes(bytes).c_str(), name.c_str());
    lines += text;
  }
  return lines;
}

StatePlan plan_state(const DecoderConfig& config, size_t frozen, size_t trained, size_t spans) {
  Ledger ledger(0);
  StatePlan p{};
  if (frozen > 0) p.weights = ledger.take("frozen weights (bf16)", frozen * sizeof(bf16));
  p.trained_weights = ledger.take(frozen > 0 ? "adapter's weights (bf16)" : "weights (bf16)",
                                  trained * sizeof(bf16));
  if (frozen == 0) p.weights = p.trained_weights;
  p.rest = ledger.take("low bits of the f32 masters", trained * sizeof(int16_t));
  p.gradients = ledger.take("gradients (f32)", trained * sizeof(float));
  p.first_moments = ledger.take("AdamW moments (f32)", trained * sizeof(float));
  p.second_moments = ledger.take("AdamW moments (f32)", trained * sizeof(float));
  p.spans = ledger.take("optimizer lists", spans * sizeof(Span));
  p.partials = ledger.take("optimizer lists", spans * sizeof(double));
  p.norm = ledger.take("optimizer lists", sizeof(double));
  p.adamw_step = ledger.take("optimizer lists", sizeof(AdamWStep));
  p.rotary = ledger.take("rotary table", size_t(config.max_positions) * size_t(config.head_width) *
                                             sizeof(float));
  p.workspace = ledger.take("workspace of products", kWorkspaceBytes);
  p.end = ledger.end();
  p.table = ledger.table();
  return p;
}

std::optional<TrainingPlan> find_training_plan(const DecoderConfig& config, const LoraConfig& lora,
                                               const PassSize& size, size_t start,
                                               size_t available) {
  const Portions portions = portions_of(config, size, available);
  const int L = config.layers;
  // Gate and up first: the cheapest to compute again for what it frees. Scoring keeps nothing.
  std::vector<Recomputation> choices = {{0, 0}};
  if (size.backward) {
    for (int less = 1; less <= L; less++) choices.push_back({less, 0});
    for (int least = 1; least <= L; least++) choices.push_back({L - least, least});
  }
  for (const Recomputation& again : choices) {
    TrainingPlan plan = plan_with(config, lora, size, start, portions, again);
    if (plan.bytes <= available) return plan;
  }
  return std::nullopt;
}

TrainingPlan least_training_plan(const DecoderConfig& config, const LoraConfig& lora,
                                 const PassSize& size, size_t start, size_t available) {
  const Recomputation all = {0, size.backward ? config.layers : 0};
  return plan_with(config, lora, size, start, portions_of(config, size, available), all);
}

TrainingPlan plan_training(const DecoderConfig& config, const LoraConfig& lora,
                           const PassSize& size, size_t start, size_t available, size_t held) {
  if (auto plan = find_training_plan(config, lora, size, start, available)) return *plan;
  const TrainingPlan smallest = least_training_plan(config, lora, size, start, available);
  throw MemoryError(std::string(size.backward ? "accumulate" : "score") + ": expected " +
                    readable_bytes(smallest.bytes) + " of device memory for a pass of " +
                    std::to_string(size.rows) + " tokens with everything computed again\n" +
                    smallest.table + "received " + readable_bytes(available) + " beside the model" +
                    (held > 0 ? " and " + readable_bytes(held) + " held by samplers" : "") +
                    "; lower passTokens or the longest sequence, close samplers, or raise "
                    "memoryBytes");
}

SamplerPlan plan_sampler(const DecoderConfig& c, const LoraConfig& lora, int max_sequences,
                         int max_context_tokens, size_t available) {
  const AttentionShape shape = attention_shape(c);
  Ledger ledger(0);
  SamplerPlan p{};
  p.slots = max_sequences;
  p.pages_per_sequence = (max_context_tokens + kPageTokens - 1) / kPageTokens;
  p.read_rows = std::max(max_sequences, std::min(kReadRows, max_context_tokens * max_sequences));
  const int64_t n = p.read_rows;
  const size_t rows = size_t(n), slots = size_t(p.slots);
  const char* lists = "work lists";
  p.page_of = ledger.take(lists, slots * p.pages_per_sequence * sizeof(int32_t));
  p.tokens = ledger.take(lists, rows * sizeof(int32_t));
  p.positions = ledger.take(lists, rows * sizeof(int32_t));
  p.sequence_of = ledger.take(lists, rows * sizeof(int32_t));
  p.tiles = ledger.take(lists, (rows / kTileRows + slots) * sizeof(QueryTile));
  p.temperature = ledger.take(lists, slots * sizeof(float));
  p.uniform = ledger.take(lists, slots * sizeof(double));
  p.top_p = ledger.take(lists, slots * sizeof(double));
  p.is_limited = ledger.take(lists, slots * sizeof(int32_t));
  p.allowed = ledger.take(lists, slots * size_t(allowed_words(c)) * sizeof(uint32_t));
  p.sampled = ledger.take(lists, slots * sizeof(int32_t));
  p.log_probs = ledger.take(lists, slots * sizeof(float));
  const char* working = "working set of a layer";
  p.x = ledger.take(working, bf16_bytes(n, c.width));
  p.x_mid = ledger.take(working, bf16_bytes(n, c.width));
  p.hidden = ledger.take(working, bf16_bytes(n, c.width));
  p.qkv = ledger.take(working, bf16_bytes(n, shape.columns()));
  p.attention = ledger.take(working, bf16_bytes(n, int64_t(c.heads) * c.head_width));
  p.gate_up = ledger.take(working, bf16_bytes(n, 2 * int64_t(c.feed_forward_width)));
  p.product = ledger.take(working, bf16_bytes(n, c.feed_forward_width));
  if (lora.rank > 0) p.low = ledger.take(working, bf16_bytes(n, lora.rank));
  p.scratch = ledger.take(working, sizeof(float) * decode_scratch(shape, p.slots,
                                                                  p.pages_per_sequence *
                                                                      kPageTokens));
  p.logits = ledger.take("logits", slots * size_t(logits_row(c)) * sizeof(float));

  const size_t page = bf16_bytes(2 * int64_t(c.key_value_heads) * kPageTokens, c.head_width);
  const size_t page_all_layers = page * size_t(c.layers);
  const size_t wanted = slots * size_t(p.pages_per_sequence) + 1;
  const size_t left = available > ledger.bytes() ? available - ledger.bytes() : 0;
  const size_t pages = std::min(wanted, left / page_all_layers);
  if (pages < size_t(p.pages_per_sequence) + 1)
    throw MemoryError("sampler: expected " +
                      readable_bytes(ledger.bytes() +
                                     page_all_layers * (size_t(p.pages_per_sequence) + 1)) +
                      " of device memory for one context of " +
                      std::to_string(max_context_tokens) + " tokens and the buffers of " +
                      std::to_string(max_sequences) + " sequences\n" + ledger.table() +
                      "received " + readable_bytes(available) +
                      " beside the model and other samplers; lower maxContextTokens or "
                      "maxSequences, close other samplers, or raise memoryBytes");
  p.pages = int(pages);
  p.layer_pool_bytes = page * pages;
  p.pool = ledger.take("keys and values", p.layer_pool_bytes * size_t(c.layers));
  p.bytes = ledger.bytes();
  p.table = ledger.table();
  return p;
}

}  // namespace masksearch::cuda
