// accumulate, score and step on the device.
#include "device_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "token_loss.h"
#include "validate.h"

namespace masksearch::cuda {

// A pass on the device: its lists, and where its buffers lie. Copies to the device may read host
// memory until the stream is waited for, so what they read lives as long as the pass.
struct DeviceModel::Pass {
  PassLists lists;
  EmbeddingOrder order;  // of the batch's own rows
  std::vector<int32_t> row_of, targets;         // of a chunk of the loss head
  std::vector<float> d_log_probs, d_entropies;  // likewise
  bool backward;
  bool first = false;  // the gradients are still zeros
  TrainingPlan plan;
  PassBuffers buffers{};
  std::vector<LayerBuffers> layers;
  bf16* last_x = nullptr;
};

namespace {

// Calls body(first, last) over runs of sequences of at most `tokens` tokens, or one long sequence.
template <class Body>
void for_passes(const Batch& batch, int tokens, const Body& body) {
  int first = 0;
  for (int s = 1; s <= batch.sequence_count; s++) {
    if (s < batch.sequence_count && batch.offsets[s + 1] - batch.offsets[first] <= tokens) continue;
    body(first, s);
    first = s;
  }
}

LayerBuffers buffers_of(const DeviceState& s, const LayerPlan& p) {
  return {s.at<bf16>(p.x),
          s.at<bf16>(p.qkv),
          p.heads == 0 ? nullptr : s.at<bf16>(p.heads),
          s.at<bf16>(p.attention),
          s.at<float>(p.log_sums),
          s.at<bf16>(p.x_mid),
          s.at<bf16>(p.gate_up),
          s.at<float>(p.rstd_in),
          s.at<float>(p.rstd_post)};
}

template <class T>
void upload(DeviceState* s, size_t offset, const std::vector<T>& values) {
  if (!values.empty())
    s->stream.to_device(s->at<T>(offset), values.data(), values.size() * sizeof(T));
}

constexpr size_t kGraphs = 64;      // e.g. 20 sizes of passes forward, backward and scored
constexpr int kMostPaddedRows = 4096;  // above, kernels outlast their launches anyway

// What of a step is recorded apart from the rest: the host looks at log-probabilities in between.
enum Section : int64_t { kForward, kBackward, kOptimizer };

// A plan is a function of its pass's size, of what it computes again and of the rows of a chunk.
GraphCache::Key key_of(Section section, const PassBuffers& pass, const TrainingPlan& p,
                       bool backward) {
  return {section,
          backward,
          pass.adapter == AdapterUse::on,
          pass.rows,
          pass.tiles,
          p.chunk_rows,
          p.kept_key_heads,
          p.kept_without_gate_up,
          p.kept_input,
          int64_t(p.bytes)};
}

}  // namespace

DeviceModel::DeviceModel(const DecoderConfig& config, const LoraConfig& lora,
                         const DeviceOptions& options)
    : state(config, lora, options),
      decoder(&state),
      graphs(state.stream, *state.gemm, options.graphs ? kGraphs : 0) {
  if (options.pass_tokens < 1)
    reject("cuda: expected pass_tokens >= 1, received " + std::to_string(options.pass_tokens));
}

std::string DeviceModel::memory_report() const {
  const std::string& problem = state.gemm->cache_problem();
  const std::string note =
      problem.empty() ? "" : "choices of products are not kept: " + problem + "\n";
  return note + "model on " + state.device.name + ", " + readable_bytes(state.plan.end) + "\n" +
         state.plan.table + last_plan_;
}

void DeviceModel::read(Arena arena, size_t offset, size_t count, float* out) {
  state.read(arena, offset, count, out);
}

void DeviceModel::write(Arena arena, size_t offset, size_t count, const float* values) {
  if (arena == Arena::weights || arena == Arena::trained_weights) cache_epoch_++;
  if (arena == Arena::gradients) gradients_are_zero_ = false;
  state.write(arena, offset, count, values);
}

void DeviceModel::set_version(int64_t version) {
  if (version < 0)
    reject("set_version: expected a version >= 0, received " + std::to_string(version));
  version_ = version;
  accumulated_ = 0;
  cache_epoch_++;
}

// Of the adapter's input, the same in every pass but for its moment.
Dropout DeviceModel::dropout() const {
  const LoraConfig& lora = state.lora;
  Dropout d;
  d.threshold = uint32_t(std::floor(lora.dropout * 4294967296.0));
  d.scale = float(1 / (1 - lora.dropout));
  d.seed = lora.seed;
  return d;
}

TrainingPlan DeviceModel::plan_pass(PassLists* lists, bool backward) const {
  if (state.options.graphs && lists->rows() <= kMostPaddedRows) {
    PassLists more = padded(*lists);
    const auto plan = find_training_plan(state.config, state.lora, padded_size(more, backward),
                                         state.free_begin(), state.free_bytes());
    if (plan && (!backward || plan->kept_everything == state.config.layers)) {
      *lists = std::move(more);
      return *plan;
    }
  }
  return plan_training(state.config, state.lora, lists->size(backward), state.free_begin(),
                       state.free_bytes(), state.held_bytes());
}

DeviceModel::Pass DeviceModel::begin_pass(PassLists lists, bool backward) {
  Pass pass;
  pass.backward = backward;
  if (backward) pass.order = embedding_order(lists.tokens);
  pass.plan = plan_pass(&lists, backward);
  pass.lists = std::move(lists);
  const PassLists& l = pass.lists;
  const TrainingPlan& p = pass.plan;
  last_plan_ = std::string(backward ? "training" : "scoring") + " pass of " +
               std::to_string(l.rows()) + " rows, " + readable_bytes(p.bytes) + "; layers that keep " +
               "everything " + std::to_string(p.kept_everything) + ", all but gate and up " +
               std::to_string(p.kept_without_gate_up) + ", their input " +
               std::to_string(p.kept_input) + "\n" + p.table;
  upload(&state, p.tokens, l.tokens);
  upload(&state, p.positions, l.positions);
  upload(&state, p.query_tiles, l.queries);
  upload(&state, p.key_tiles, l.keys);
  if (backward) {
    upload(&state, p.order_token, pass.order.token);
    upload(&state, p.order_start, pass.order.start);
    upload(&state, p.order, pass.order.order);
  }
  pass.buffers = {l.rows(),
                  int(l.queries.size()),
                  state.at<int32_t>(p.tokens),
                  state.at<int32_t>(p.positions),
                  state.at<QueryTile>(p.query_tiles),
                  state.at<KeyTile>(p.key_tiles),
                  state.at<bf16>(p.hidden),
                  state.at<bf16>(p.product),
                  state.at<float>(p.scratch),
                  state.at<bf16>(p.d_hidden),
                  state.at<bf16>(p.d_product),
                  state.at<bf16>(p.d_attention),
                  state.at<bf16>(p.d_qkv),
                  state.at<bf16>(p.low),
                  state.at<bf16>(p.d_low),
                  state.at<bf16>(p.dropped),
                  {state.at<bf16>(p.kept_scores), p.kept_key_heads},
                  AdapterUse::on,
                  {}};
  for (const LayerPlan& layer : p.layers) pass.layers.push_back(buffers_of(state, layer));
  pass.last_x = state.at<bf16>(p.last_x);
  return pass;
}

// All layers, and for a way back its empty gradient.
void DeviceModel::forward(const Pass& pass) {
  const auto work = [&] {
    decoder.embed(pass.buffers, pass.layers[0].x);
    const size_t last = pass.layers.size() - 1;
    for (size_t l = 0; l <= last; l++)
      decoder.layer_forward(int(l), pass.buffers, pass.layers[l],
                            l == last ? pass.last_x : pass.layers[l + 1].x);
    if (pass.backward)
      state.stream.clear(state.at<bf16>(pass.plan.dx),
                         size_t(pass.buffers.rows) * state.config.width * sizeof(bf16));
  };
  graphs.run(key_of(kForward, pass.buffers, pass.plan, pass.backward), false, work);
}

void DeviceModel::backward(const Pass& pass) {
  bf16* dx = state.at<bf16>(pass.plan.dx);
  const auto work = [&] {
    for (int l = int(pass.layers.size()) - 1; l >= 0; l--)
      decoder.layer_backward(l, pass.buffers, pass.layers[l], pass.plan.layers[l].keep,
                             pass.first, dx);
  };
  graphs.run(key_of(kBackward, pass.buffers, pass.plan, true), pass.first, work);
  decoder.embed_backward(pass.order, state.at<int32_t>(pass.plan.order_token),
                         state.at<int32_t>(pass.plan.order_start),
                         state.at<int32_t>(pass.plan.order), dx);
}

void DeviceModel::head_backward(const Pass& pass, int count, bool first) {
  const TrainingPlan& p = pass.plan;
  upload(&state, p.d_log_probs, pass.d_log_probs);
  upload(&state, p.d_entropies, pass.d_entropies);
  float* logits = state.at<float>(p.logits);
  row_gradient(state.stream, count, state.config.vocabulary_size, logits,
               logits_row(state.config), state.at<int32_t>(p.targets),
               state.at<RowStatistics>(p.statistics), state.at<float>(p.d_log_probs),
               state.at<float>(p.d_entropies));
  decoder.logits_backward(count, logits, state.at<bf16>(p.chunk_hidden), first,
                          state.at<bf16>(p.d_chunk_hidden));
  decoder.final_norm_backward(count, state.at<bf16>(p.d_chunk_hidden), pass.last_x,
                              state.at<int32_t>(p.row_of), state.at<float>(p.chunk_rstd),
                              state.at<bf16>(p.dx), pass.buffers.scratch);
}

void DeviceModel::loss_head(Pass& pass, const Batch& batch, const Evaluate& evaluate,
                            float* log_probs, float* entropies) {
  const TrainingPlan& p = pass.plan;
  const size_t chunk = size_t(p.chunk_rows);
  pass.row_of.resize(chunk);
  pass.targets.resize(chunk);
  pass.d_log_probs.resize(chunk);
  pass.d_entropies.resize(chunk);
  std::vector<RowStatistics> statistics(chunk);
  std::vector<float> chunk_log_probs(chunk), chunk_entropies(chunk);
  for (size_t first = 0; first < pass.lists.labels.size(); first += chunk) {
    const int32_t* labels = pass.lists.labels.data() + first;
    const int count = int(std::min(chunk, pass.lists.labels.size() - first));
    for (int i = 0; i < count; i++) {
      pass.row_of[i] = labels[i] - 1 - pass.lists.first_token;
      pass.targets[i] = batch.tokens[labels[i]];
    }
    upload(&state, p.row_of, pass.row_of);
    upload(&state, p.targets, pass.targets);
    bf16* hidden = state.at<bf16>(p.chunk_hidden);
    float* logits = state.at<float>(p.logits);
    decoder.final_norm(count, pass.last_x, state.at<int32_t>(p.row_of), hidden,
                       state.at<float>(p.chunk_rstd));
    decoder.logits(count, hidden, logits);
    row_statistics(state.stream, count, state.config.vocabulary_size, logits,
                   logits_row(state.config), state.at<int32_t>(p.targets),
                   state.at<RowStatistics>(p.statistics), state.at<float>(p.log_probs));
    state.stream.to_host(statistics.data(), state.at<RowStatistics>(p.statistics),
                         size_t(count) * sizeof(RowStatistics));
    state.stream.to_host(chunk_log_probs.data(), state.at<float>(p.log_probs),
                         size_t(count) * sizeof(float));
    state.stream.synchronize();
    for (int i = 0; i < count; i++) {
      chunk_entropies[i] = statistics[i].entropy;
      log_probs[labels[i]] = chunk_log_probs[i];
      entropies[labels[i]] = chunk_entropies[i];
    }
    if (!evaluate) continue;
    evaluate(count, labels, chunk_log_probs.data(), chunk_entropies.data(),
             pass.d_log_probs.data(), pass.d_entropies.data());
    head_backward(pass, count, pass.first && first == 0);
  }
}

AccumulateResult DeviceModel::accumulate(const Batch& batch, const TokenLoss& loss,
                                         float* log_probs, float* entropies) {
  check_batch("accumulate", state.config, batch);
  check_loss(loss);
  std::fill_n(log_probs, batch.token_count, 0.0f);
  std::fill_n(entropies, batch.token_count, 0.0f);
  AccumulateResult result;
  DropoutMoment moment = {uint32_t(version_), accumulated_++, 0};
  const Evaluate evaluate = [&](int count, const int32_t* labels, const float* chunk_log_probs,
                                const float* chunk_entropies, float* d_log_probs,
                                float* d_entropies) {
    evaluate_loss(loss, count, labels, chunk_log_probs, chunk_entropies, d_log_probs, d_entropies,
                  &result);
  };
  for_passes(batch, state.options.pass_tokens, [&](int first, int last) {
    PassLists lists = pass_lists(batch, first, last);
    if (lists.labels.empty()) return;
    Pass pass = begin_pass(std::move(lists), true);
    moment.first_token = uint32_t(pass.lists.first_token);
    auto* device_moment = state.at<DropoutMoment>(pass.plan.dropout_moment);
    state.stream.to_device(device_moment, &moment, sizeof moment);
    pass.buffers.dropout = dropout();
    pass.buffers.dropout.moment = device_moment;
    forward(pass);
    pass.first = std::exchange(gradients_are_zero_, false);  // also where the loss throws
    loss_head(pass, batch, evaluate, log_probs, entropies);
    backward(pass);
    state.stream.synchronize();
  });
  return result;
}

void DeviceModel::score(const Batch& batch, float* log_probs, float* entropies,
                        AdapterUse adapter) {
  check_batch("score", state.config, batch);
  if (adapter == AdapterUse::off && !state.frozen())
    reject("score: expected a model with an adapter to switch off, received one without");
  std::fill_n(log_probs, batch.token_count, 0.0f);
  std::fill_n(entropies, batch.token_count, 0.0f);
  for_passes(batch, state.options.pass_tokens, [&](int first, int last) {
    PassLists lists = pass_lists(batch, first, last);
    if (lists.labels.empty()) return;
    Pass pass = begin_pass(std::move(lists), false);
    pass.buffers.adapter = adapter;
    forward(pass);
    loss_head(pass, batch, nullptr, log_probs, entropies);
  });
}

double DeviceModel::step(const AdamW& o) {
  check_adamw(o);
  const double steps = double(version_ + 1);
  const AdamWStep s = {float(o.learning_rate),
                       float(o.beta1),
                       float(o.beta2),
                       float(o.epsilon),
                       float(1 / (1 - std::pow(o.beta1, steps))),
                       float(1 / std::sqrt(1 - std::pow(o.beta2, steps))),
                       o.max_gradient_norm};
  const StatePlan& p = state.plan;
  const Span* spans = state.spans(float(o.weight_decay));
  double* norm = state.at<double>(p.norm);
  auto* device_step = state.at<AdamWStep>(p.adamw_step);
  state.stream.to_device(device_step, &s, sizeof s);
  graphs.run({kOptimizer}, false, [&] {
    gradient_norm(state.stream, state.span_count(), spans, state.at<float>(p.gradients),
                  state.at<double>(p.partials), norm);
    adamw(state.stream, state.span_count(), spans, device_step, norm,
          state.at<bf16>(p.trained_weights), state.at<int16_t>(p.rest),
          state.at<float>(p.gradients), state.at<float>(p.first_moments),
          state.at<float>(p.second_moments));
  });
  double length = 0;
  state.stream.to_host(&length, norm, sizeof length);
  state.stream.synchronize();
  if (!std::isfinite(length))
    throw std::runtime_error(
        "step: expected finite gradients, received a gradient norm of " + std::to_string(length) +
        "; weights are unchanged, lower the learning rate or look for the batch that caused it");
  gradients_are_zero_ = true;
  version_++;
  accumulated_ = 0;
  cache_epoch_++;
  return length;
}

}  // namespace masksearch::cuda
