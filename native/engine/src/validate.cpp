// Checks of everything that comes from outside.
#include "validate.h"

#include <cmath>
#include <stdexcept>

namespace masksearch {

namespace {

std::string text(double value) {
  std::string digits = std::to_string(value);
  return digits;
}

void require_positive(const char* where, const char* name, int value) {
  if (value < 1)
    reject(std::string(where) + ": expected " + name + " >= 1, received " + std::to_string(value));
}

void require_range(const char* where, const char* name, double value, bool valid,
                   const char* range) {
  if (!valid)
    reject(std::string(where) + ": expected " + name + " " + range + ", received " + text(value));
}

void check_allowed(int vocabulary, const std::vector<uint32_t>& allowed) {
  if (allowed.empty()) return;
  const size_t words = (size_t(vocabulary) + 31) / 32;
  if (allowed.size() != words)
    reject("generate: expected " + std::to_string(words) + " words of allowed tokens, received " +
           std::to_string(allowed.size()));
  for (int token = 0; token < vocabulary; token++)
    if (allowed[token / 32] >> (token % 32) & 1) return;
  reject("generate: expected at least one allowed token, received none");
}

}  // namespace

void reject(const std::string& message) { throw std::invalid_argument(message); }

void check_config(const DecoderConfig& c, int threads) {
  const char* where = "Model";
  require_positive(where, "vocabulary_size", c.vocabulary_size);
  require_positive(where, "width", c.width);
  require_positive(where, "layers", c.layers);
  require_positive(where, "heads", c.heads);
  require_positive(where, "key_value_heads", c.key_value_heads);
  require_positive(where, "head_width", c.head_width);
  require_positive(where, "feed_forward_width", c.feed_forward_width);
  require_positive(where, "max_positions", c.max_positions);
  require_positive(where, "threads", threads);
  if (threads > 1024)
    reject("Model: expected threads <= 1024, received " + std::to_string(threads));
  if (c.heads % c.key_value_heads != 0)
    reject("Model: expected key_value_heads to divide heads, received " +
           std::to_string(c.key_value_heads) + " and " + std::to_string(c.heads));
  if (c.head_width % 2 != 0)
    reject("Model: expected an even head_width, received " + std::to_string(c.head_width) +
           "; rotary positions turn pairs");
  require_range(where, "rope_theta", c.rope_theta, std::isfinite(c.rope_theta) && c.rope_theta > 0,
                "finite and > 0");
  require_range(where, "norm_epsilon", c.norm_epsilon,
                std::isfinite(c.norm_epsilon) && c.norm_epsilon > 0, "finite and > 0");
  const RopeScaling& scaling = c.rope_scaling;
  if (scaling.factor != 0) {
    require_range(where, "rope_scaling.factor", scaling.factor,
                  std::isfinite(scaling.factor) && scaling.factor >= 1, "0 (off) or >= 1");
    require_range(where, "rope_scaling.low_frequency_factor", scaling.low_frequency_factor,
                  scaling.low_frequency_factor > 0, "> 0");
    require_range(where, "rope_scaling.high_frequency_factor", scaling.high_frequency_factor,
                  std::isfinite(scaling.high_frequency_factor) &&
                      scaling.high_frequency_factor > scaling.low_frequency_factor,
                  "finite and > low_frequency_factor");
    require_range(where, "rope_scaling.original_max_positions", scaling.original_max_positions,
                  std::isfinite(scaling.original_max_positions) &&
                      scaling.original_max_positions >= 1,
                  ">= 1");
  }
  const double heads = double(c.heads) + 2.0 * c.key_value_heads;
  const double largest = double(1 << 30);
  if (heads * c.head_width > largest || 2.0 * c.feed_forward_width > largest ||
      double(c.vocabulary_size) > largest || double(c.width) > largest)
    reject("Model: expected every matrix side to be at most 2^30");
}

void check_lora(const LoraConfig& lora) {
  if (lora.rank == 0) return;
  require_range("Model", "lora.rank", lora.rank, lora.rank >= 1 && lora.rank <= 4096,
                "in [1, 4096]");
  require_range("Model", "lora.alpha", lora.alpha, std::isfinite(lora.alpha) && lora.alpha > 0,
                "finite and > 0");
  require_range("Model", "lora.dropout", lora.dropout, lora.dropout >= 0 && lora.dropout < 1,
                "in [0, 1)");
  for (bool used : lora.targets)
    if (used) return;
  reject("Model: expected at least one lora target, received none");
}

void check_tokens(const char* where, const DecoderConfig& config, const int32_t* tokens,
                  int count) {
  if (count < 0 || (count > 0 && tokens == nullptr))
    reject(std::string(where) + ": expected token ids, received none for a count of " +
           std::to_string(count));
  for (int t = 0; t < count; t++)
    if (tokens[t] < 0 || tokens[t] >= config.vocabulary_size)
      reject(std::string(where) + ": expected token ids in [0, " +
             std::to_string(config.vocabulary_size) + "), received " + std::to_string(tokens[t]) +
             " at index " + std::to_string(t) + "; was the text encoded with another tokenizer?");
}

void check_batch(const char* where, const DecoderConfig& config, const Batch& b) {
  const std::string at = std::string(where) + ": ";
  if (b.tokens == nullptr || b.offsets == nullptr || b.loss_mask == nullptr)
    reject(at + "expected tokens, offsets and loss_mask, received a null pointer");
  if (b.sequence_count < 1 || b.token_count < 1)
    reject(at + "expected at least one sequence and one token, received " +
           std::to_string(b.sequence_count) + " and " + std::to_string(b.token_count));
  if (b.offsets[0] != 0)
    reject(at + "expected offsets to start at 0, received " + std::to_string(b.offsets[0]));
  for (int s = 0; s < b.sequence_count; s++) {
    const int64_t length = int64_t(b.offsets[s + 1]) - b.offsets[s];
    if (length < 1 || b.offsets[s + 1] > b.token_count)
      reject(at + "expected offsets strictly increasing up to " + std::to_string(b.token_count) +
             ", received " + std::to_string(b.offsets[s]) + " then " +
             std::to_string(b.offsets[s + 1]) + " at sequence " + std::to_string(s));
    if (length > config.max_positions)
      reject(at + "expected sequences of at most max_positions = " +
             std::to_string(config.max_positions) + " tokens, received " + std::to_string(length) +
             " in sequence " + std::to_string(s));
    if (b.loss_mask[b.offsets[s]] != 0)
      reject(at + "expected loss_mask 0 at the first token of sequence " + std::to_string(s) +
             ", received " + std::to_string(b.loss_mask[b.offsets[s]]) +
             "; nothing comes before it to predict it from");
  }
  if (b.offsets[b.sequence_count] != b.token_count)
    reject(at + "expected the last offset to be " + std::to_string(b.token_count) + ", received " +
           std::to_string(b.offsets[b.sequence_count]));
  for (int t = 0; t < b.token_count; t++)
    if (b.loss_mask[t] > 1)
      reject(at + "expected loss_mask of 0 and 1, received " + std::to_string(b.loss_mask[t]) +
             " at token " + std::to_string(t));
  check_tokens(where, config, b.tokens, b.token_count);
}

void check_loss(const TokenLoss& loss) {
  const char* where = "accumulate";
  if (loss.kind == LossKind::custom) {
    if (!loss.custom) reject("accumulate: expected a callback for a custom loss, received none");
    return;
  }
  require_range(where, "scale", loss.scale, std::isfinite(loss.scale), "finite");
  if (loss.kind == LossKind::cross_entropy) return;
  if (loss.old_log_probs == nullptr || loss.advantages == nullptr)
    reject("accumulate: expected old_log_probs and advantages for the dapo loss, received null");
  require_range(where, "clip_low", loss.clip_low, loss.clip_low >= 0 && loss.clip_low < 1,
                "in [0, 1)");
  require_range(where, "clip_high", loss.clip_high,
                loss.clip_high >= 0 && std::isfinite(loss.clip_high), "finite and >= 0");
  require_range(where, "dual_clip", loss.dual_clip,
                loss.dual_clip == 0 || (loss.dual_clip > 1 && std::isfinite(loss.dual_clip)),
                "0 (off) or > 1");
  require_range(where, "entropy_coefficient", loss.entropy_coefficient,
                std::isfinite(loss.entropy_coefficient), "finite");
}

void check_adamw(const AdamW& o) {
  const char* where = "step";
  require_range(where, "learning_rate", o.learning_rate,
                std::isfinite(o.learning_rate) && o.learning_rate >= 0, "finite and >= 0");
  require_range(where, "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
  require_range(where, "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
  require_range(where, "epsilon", o.epsilon, std::isfinite(o.epsilon) && o.epsilon >= 0,
                "finite and >= 0");
  require_range(where, "weight_decay", o.weight_decay,
                std::isfinite(o.weight_decay) && o.weight_decay >= 0, "finite and >= 0");
  require_range(where, "max_gradient_norm", o.max_gradient_norm,
                std::isfinite(o.max_gradient_norm) && o.max_gradient_norm >= 0,
                "finite and >= 0 (0 = no clipping)");
}

void check_request(const DecoderConfig& config, const GenerateRequest& request) {
  require_positive("generate", "max_tokens", request.max_tokens);
  require_range("generate", "temperature", request.temperature,
                std::isfinite(request.temperature) && request.temperature >= 0,
                "finite and >= 0 (0 = greedy)");
  require_range("generate", "top_p", request.top_p, request.top_p >= 0 && request.top_p <= 1,
                "in [0, 1] (1 = all tokens)");
  check_allowed(config.vocabulary_size, request.allowed);
  for (const std::vector<int32_t>& stop : request.stop) {
    if (stop.empty()) reject("generate: expected stop sequences of at least one token");
    check_tokens("generate (stop)", config, stop.data(), int(stop.size()));
  }
}

}  // namespace masksearch
