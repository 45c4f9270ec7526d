// The public Model: accumulate, score and step over a packed batch.
#include "engine.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine_impl.h"
#include "sizes.h"
#include "validate.h"

namespace masksearch {

namespace {

// Calls body(first, last) over runs of sequences of at most `most` tokens (or one long sequence). Sums
// over tokens go on where the pass before ended, so passes change no result.
template <class Body>
void for_passes(const Batch& batch, int most, const Body& body) {
  int first = 0;
  for (int s = 1; s <= batch.sequence_count; s++) {
    if (s < batch.sequence_count &&
        batch.offsets[s + 1] - batch.offsets[first] <= most)
      continue;
    body(first, s);
    first = s;
  }
}

DecoderConfig checked(const DecoderConfig& config, int threads, const LoraConfig& lora) {
  check_config(config, threads);
  check_lora(lora);
  return config;
}

}  // namespace

void Model::Impl::gather(const Batch& batch, int first, int last) {
  rows.clear();
  labels.clear();
  for (int s = first; s < last; s++)
    rows.add(batch.tokens + batch.offsets[s], batch.offsets[s + 1] - batch.offsets[s], 0);
  rows.plan(decoder.config, decoder.type);
  for (int t = batch.offsets[first]; t < batch.offsets[last]; t++)
    if (batch.loss_mask[t] != 0) labels.push_back(t);
}

void Model::Impl::reserve_activations(bool keep_all) {
  const DecoderConfig& c = decoder.config;
  const DataType type = decoder.type;
  const size_t n = size_t(rows.count);
  const size_t count = keep_all ? size_t(c.layers) : 1;
  if (layers.size() < count) layers.resize(count);
  for (size_t l = 0; l < count; l++) {
    Layer& layer = layers[l];
    layer.x.reserve(n * c.width);
    layer.rstd_in.reserve(n);
    layer.qkv.reserve(type, n * size_t(decoder.row(decoder.qkv_width())));
    layer.attention.reserve(type, n * size_t(decoder.row(decoder.attention_width())));
    layer.log_sums.reserve(n * c.heads);
    layer.x_mid.reserve(n * c.width);
    layer.rstd_post.reserve(n);
    if (keep_all || type == DataType::float32)
      layer.gate_up.reserve(type, n * size_t(decoder.gate_up_row()));
    if (decoder.frozen() && keep_all)
      layer.low.reserve(type, kLoraTargets * n * size_t(decoder.row(decoder.lora.rank)));
    if (!c.query_key_norm || !keep_all) continue;
    layer.queries.reserve(n * decoder.attention_width());
    layer.rstd_queries.reserve(n * c.heads);
    layer.keys.reserve(n * c.key_value_heads * c.head_width);
    layer.rstd_keys.reserve(n * c.key_value_heads);
  }
  last_x.reserve(n * c.width);
  if (keep_all) dx.reserve(n * c.width);

  const auto head_cells = [&](const Segment& s) {
    return size_t(panels(s.count)) * kPanel * size_t(decoder.row(c.head_width));
  };
  size_t cells = 0;
  for (const Segment& s : rows.segments) cells += head_cells(s) * c.key_value_heads * 2;
  Cells at = key_values.reserve(type, cells);
  cache.clear();
  for (const Segment& s : rows.segments) {
    const ptrdiff_t all_heads = ptrdiff_t(head_cells(s) * c.key_value_heads);
    cache.push_back({at, at + all_heads, head_cells(s)});
    at = at + 2 * all_heads;
  }
}

LayerActivations Model::Impl::activations(int layer, bool keep_all) const {
  const Layer& l = layers[layer];
  LayerActivations a{};
  a.x = l.x.data();
  a.rstd_in = l.rstd_in.data();
  a.qkv = l.qkv.data();
  a.attention = l.attention.data();
  a.log_sums = l.log_sums.data();
  a.x_mid = l.x_mid.data();
  a.rstd_post = l.rstd_post.data();
  if (keep_all || decoder.type == DataType::float32) a.gate_up = l.gate_up.data();
  if (!keep_all) return a;
  a.queries = l.queries.data();
  a.rstd_queries = l.rstd_queries.data();
  a.keys = l.keys.data();
  a.rstd_keys = l.rstd_keys.data();
  a.low = l.low.data();
  a.low_rows = size_t(rows.count);
  return a;
}

float* Model::Impl::forward(bool keep_all) {
  reserve_activations(keep_all);
  decoder.reserve_scratch(rows, keep_all);
  decoder.embed(rows, layers[0].x.data());
  const int last = decoder.config.layers - 1;
  for (int l = 0; l <= last; l++) {
    const LayerActivations a = activations(keep_all ? l : 0, keep_all);
    float* out = !keep_all ? a.x : l == last ? last_x.data() : layers[l + 1].x.data();
    decoder.layer_forward(l, rows, a, cache.data(), out);
  }
  return keep_all ? last_x.data() : layers[0].x.data();
}

void Model::Impl::backward(float* d) {
  for (int l = decoder.config.layers - 1; l >= 0; l--)
    decoder.layer_backward(l, rows, activations(l, true), cache.data(), d);
  decoder.embed_backward(rows, d);
}

Model::Model(const DecoderConfig& config, int threads, const LoraConfig& lora, DataType type)
    : impl_(std::make_unique<Impl>(checked(config, threads, lora), threads, lora, type)) {}

Model::~Model() = default;

const DecoderConfig& Model::config() const { return impl_->decoder.config; }
const std::vector<Parameter>& Model::parameters() const { return impl_->decoder.layout.parameters; }
float* Model::weights() {
  impl_->decoder.weights_epoch++;
  return impl_->decoder.weights.data();
}
const std::vector<Parameter>& Model::trained_parameters() const { return impl_->decoder.trained(); }
float* Model::trained_weights() {
  impl_->decoder.touch_trained();
  return impl_->decoder.trained_weights().data();
}
float* Model::gradients() { return impl_->decoder.gradients.data(); }
float* Model::first_moments() { return impl_->decoder.first_moments.data(); }
float* Model::second_moments() { return impl_->decoder.second_moments.data(); }
size_t Model::parameter_count() const { return impl_->decoder.layout.count; }
size_t Model::trained_count() const { return impl_->decoder.trained_count(); }
int64_t Model::version() const { return impl_->version; }

void Model::set_version(int64_t version) {
  if (version < 0)
    reject("set_version: expected a version >= 0, received " + std::to_string(version));
  impl_->version = version;
  impl_->cache_epoch++;
  impl_->accumulated = 0;
  impl_->decoder.touch_trained();
}

DataType Model::type() const { return impl_->decoder.type; }

std::string Model::device() const {
  const int threads = impl_->decoder.pool.threads();
  const char* storage = type() == DataType::float32 ? " " : " bfloat16 ";
  return std::string("cpu ") + impl_->decoder.kernels.name + storage + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

AccumulateResult Model::accumulate(const Batch& batch, const TokenLoss& loss, float* log_probs,
                                   float* entropies) {
  check_batch("accumulate", config(), batch);
  check_loss(loss);
  std::fill_n(log_probs, batch.token_count, 0.0f);
  std::fill_n(entropies, batch.token_count, 0.0f);
  AccumulateResult result;
  impl_->decoder.touch_trained();
  impl_->decoder.adapter_use = AdapterUse::on;
  DropoutState& dropout = impl_->decoder.dropout;
  dropout = {impl_->decoder.lora.dropout > 0, uint32_t(impl_->version), impl_->accumulated++, 0};
  for_passes(batch, pass_tokens(impl_->decoder.frozen()), [&](int first, int last) {
    Impl& m = *impl_;
    m.gather(batch, first, last);
    if (m.labels.empty()) return;
    m.decoder.prepare(m.rows.longest, true);
    dropout.first_token = uint32_t(batch.offsets[first]);
    const float* x = m.forward(true);
    m.head.accumulate(m.labels, batch.offsets[first], m.rows.count, batch.tokens, x, loss,
                      log_probs, entropies, m.dx.data(), &result);
    m.backward(m.dx.data());
  });
  dropout.active = false;
  return result;
}

void Model::score(const Batch& batch, float* log_probs, float* entropies, AdapterUse adapter) {
  check_batch("score", config(), batch);
  if (adapter == AdapterUse::off && !impl_->decoder.frozen())
    reject("score: expected a model with an adapter to switch off, received one without");
  std::fill_n(log_probs, batch.token_count, 0.0f);
  std::fill_n(entropies, batch.token_count, 0.0f);
  impl_->decoder.touch_trained();
  impl_->decoder.adapter_use = adapter;
  for_passes(batch, pass_tokens(impl_->decoder.frozen()), [&](int first, int last) {
    Impl& m = *impl_;
    m.gather(batch, first, last);
    if (m.labels.empty()) return;
    m.decoder.prepare(m.rows.longest, false);
    const float* x = m.forward(false);
    m.head.score(m.labels, batch.offsets[first], batch.tokens, x, log_probs, entropies);
  });
  impl_->decoder.adapter_use = AdapterUse::on;
}

double Model::step(const AdamW& options) {
  check_adamw(options);
  Impl& m = *impl_;
  const Kernels& kernels = m.decoder.kernels;
  const size_t count = trained_count();
  constexpr size_t kPiece = 1 << 16;  // fixed pieces, added in order
  const int pieces = int((count + kPiece - 1) / kPiece);
  std::vector<double> squares(size_t(pieces), 0.0);
  m.decoder.pool.run(pieces, [&](int piece, int) {
    const size_t first = size_t(piece) * kPiece;
    squares[piece] =
        kernels.sum_of_squares(std::min(kPiece, count - first), m.decoder.gradients.data() + first);
  });
  double sum = 0;
  for (double square : squares) sum += square;
  const double norm = std::sqrt(sum);
  if (!std::isfinite(norm))
    throw std::runtime_error(
        "step: expected finite gradients, received a gradient norm of " + std::to_string(norm) +
        "; weights are unchanged, lower the learning rate or look for the batch that caused it");

  const double steps = double(m.version + 1);
  AdamWStep s;
  s.learning_rate = float(options.learning_rate);
  s.beta1 = float(options.beta1);
  s.beta2 = float(options.beta2);
  s.epsilon = float(options.epsilon);
  s.gradient_scale = options.max_gradient_norm > 0
                         ? float(std::min(1.0, options.max_gradient_norm / (norm + 1e-6)))
                         : 1.0f;
  s.first_correction = float(1 / (1 - std::pow(options.beta1, steps)));
  s.second_root_correction = float(1 / std::sqrt(1 - std::pow(options.beta2, steps)));
  const std::vector<Parameter>& all = trained_parameters();
  float* weights = m.decoder.trained_weights().data();
  m.decoder.pool.run(int(all.size()), [&](int p, int) {
    AdamWStep mine = s;
    mine.decay = all[p].decayed ? float(options.weight_decay) : 0.0f;
    const size_t at = all[p].offset;
    kernels.adamw(all[p].count, mine, weights + at,
                  m.decoder.gradients.data() + at, m.decoder.first_moments.data() + at,
                  m.decoder.second_moments.data() + at);
  });
  m.version++;
  m.cache_epoch++;
  m.accumulated = 0;
  m.decoder.touch_trained();
  return norm;
}

}  // namespace masksearch
