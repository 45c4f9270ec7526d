// Continuous batching on the device.
#include "device_sampler.h"

#include <algorithm>
#include <stdexcept>

namespace masksearch::cuda {

// One pinned block; pointers into it.
struct DeviceSampler::Slots {
  HostBuffer memory;
  double *uniform, *top_p;
  int32_t *tokens, *positions, *page_of, *sampled, *is_limited;
  float *temperature, *log_probs;

  Slots(int slots, int pages_per_sequence)
      : memory(size_t(slots) * (2 * sizeof(double) + 4 * sizeof(int32_t) + 2 * sizeof(float) +
                                size_t(pages_per_sequence) * sizeof(int32_t))) {
    uniform = static_cast<double*>(memory.data());
    top_p = uniform + slots;
    tokens = reinterpret_cast<int32_t*>(top_p + slots);
    positions = tokens + slots;
    sampled = positions + slots;
    is_limited = sampled + slots;
    temperature = reinterpret_cast<float*>(is_limited + slots);
    log_probs = temperature + slots;
    page_of = reinterpret_cast<int32_t*>(log_probs + slots);
  }
};

namespace {

constexpr int kMostSequences = 65535;  // blocks of a grid's second extent
constexpr size_t kGraphs = 17;         // powers of two up to that

int checked(int max_sequences) {
  if (max_sequences > kMostSequences)
    reject("Sampler: expected max_sequences <= " + std::to_string(kMostSequences) + ", received " +
           std::to_string(max_sequences));
  return max_sequences;
}

}  // namespace

int slot_bucket(int sequences, int max_sequences) {
  int slots = 1;
  while (slots < sequences) slots *= 2;
  return std::min(slots, max_sequences);
}

DeviceSampler::DeviceSampler(DeviceModel& model, int max_sequences, int max_context_tokens)
    : model_(model),
      max_sequences_(checked(max_sequences)),
      turns_(model.state.config, max_sequences, max_context_tokens),
      graphs_(model.state.stream, *model.state.gemm, model.state.options.graphs ? kGraphs : 0) {
  plan_ = plan_sampler(model.state.config, model.state.lora, max_sequences, max_context_tokens,
                       model.state.free_bytes() > 256 ? model.state.free_bytes() - 256 : 0);
  slots_ = std::make_unique<Slots>(plan_.slots, plan_.pages_per_sequence);
  base_ = model.state.hold(plan_.bytes);
  model.state.stream.clear(at<void>(0), plan_.bytes);  // masked keys must not be NaN
  for (int page = plan_.pages - 1; page > 0; page--) free_pages_.push_back(page);
  set_rows_to_slots();
}

DeviceSampler::~DeviceSampler() { model_.state.release(base_); }

// -- Sequences and turns --------------------------------------------------------------------------

int DeviceSampler::open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) {
  return turns_.open(tokens, count, key0, key1);
}
void DeviceSampler::append(int handle, const int32_t* tokens, int count) {
  turns_.append(handle, tokens, count);
}
int DeviceSampler::length(int handle) const {
  return int(turns_.find("length", handle).tokens.size());
}
void DeviceSampler::generate(int handle, const GenerateRequest& request) {
  turns_.generate(handle, request, age());
}
void DeviceSampler::cancel(int handle) { turns_.cancel(handle); }
void DeviceSampler::close(int handle) {
  drop_pages(&turns_.find("close", handle));
  turns_.close(handle);
}

// -- Pages ----------------------------------------------------------------------------------------

void DeviceSampler::drop_pages(Sequence* s) {
  free_pages_.insert(free_pages_.end(), s->pages.begin(), s->pages.end());
  s->pages.clear();
  s->cached = 0;
}

// Who gives pages up: the sequence without a running turn that was read longest ago, else the
// running one that was admitted last. Its tokens stay and are read again later.
DeviceSampler::Sequence* DeviceSampler::page_victim(const Sequence* asking) {
  Sequence* victim = nullptr;
  for (auto& [handle, s] : turns_.all())
    if (&s != asking && s.state != TurnState::running && !s.pages.empty() &&
        (victim == nullptr || s.used < victim->used))
      victim = &s;
  const std::vector<Sequence*>& running = turns_.running();
  for (size_t i = running.size(); victim == nullptr && i > 0; i--)
    if (running[i - 1] != asking && !running[i - 1]->pages.empty()) victim = running[i - 1];
  return victim;
}

void DeviceSampler::reserve_pages(Sequence* s, int length) {
  const size_t wanted = size_t(pages_for(length));
  while (s->pages.size() < wanted) {
    if (!free_pages_.empty()) {
      s->pages.push_back(free_pages_.back());
      free_pages_.pop_back();
      continue;
    }
    Sequence* victim = page_victim(s);
    if (victim == nullptr) throw std::logic_error("the pool has pages for one whole context");
    drop_pages(victim);
    if (victim->state == TurnState::running) turns_.suspend(victim);
  }
}

// Whether a sequence could be read without taking pages from a running one.
bool DeviceSampler::fits(const Sequence& sequence) const {
  size_t available = free_pages_.size();
  for (const auto& [handle, s] : turns_.all())
    if (s.state != TurnState::running) available += s.pages.size();
  return turns_.running().empty() ||
         available >= size_t(pages_for(int(sequence.tokens.size()) + 1));
}

void DeviceSampler::admit() {
  while (Sequence* s = turns_.next()) {
    if (!fits(*s)) return;
    turns_.start(s);
    reserve_pages(s, int(s->tokens.size()));
  }
}

// -- Reading and decoding -------------------------------------------------------------------------

void DeviceSampler::write_page_rows(const std::vector<Sequence*>& batch) {
  const size_t width = size_t(plan_.pages_per_sequence);
  for (size_t i = 0; i < batch.size(); i++) {
    int32_t* row = slots_->page_of + i * width;
    std::copy(batch[i]->pages.begin(), batch[i]->pages.end(), row);
    std::fill(row + batch[i]->pages.size(), row + width, 0);
  }
}

PassBuffers DeviceSampler::buffers_of(int rows) const {
  PassBuffers pass{};
  pass.rows = rows;
  pass.tokens = at<int32_t>(plan_.tokens);
  pass.positions = at<int32_t>(plan_.positions);
  pass.hidden = at<bf16>(plan_.hidden);
  pass.product = at<bf16>(plan_.product);
  pass.low = at<bf16>(plan_.low);
  pass.scratch = at<float>(plan_.scratch);
  return pass;
}

void DeviceSampler::run_layers(const PassBuffers& pass, int most_keys) {
  LayerBuffers a{};
  a.x = at<bf16>(plan_.x);
  a.qkv = at<bf16>(plan_.qkv);
  a.attention = at<bf16>(plan_.attention);
  a.x_mid = at<bf16>(plan_.x_mid);
  a.gate_up = at<bf16>(plan_.gate_up);
  model_.decoder.embed(pass, a.x);
  for (int l = 0; l < model_.state.config.layers; l++) {
    bf16* pool = reinterpret_cast<bf16*>(at<unsigned char>(plan_.pool) +
                                         size_t(l) * plan_.layer_pool_bytes);
    const PageTarget to = {{pool, at<int32_t>(plan_.page_of), plan_.pages_per_sequence},
                           pool,
                           at<int32_t>(plan_.sequence_of),
                           most_keys};
    model_.decoder.layer_sample(l, pass, a, to, a.x);
  }
}

// Everything but the last pending token of each sequence, which `decode` reads.
void DeviceSampler::read_prompts() {
  while (read_some_prompts()) {
  }
}

bool DeviceSampler::read_some_prompts() {
  std::vector<Sequence*> batch;
  std::vector<RowRun> runs;
  std::vector<int32_t> tokens, positions, slot_of;
  for (Sequence* s : turns_.running()) {
    const int take = std::min(s->pending() - 1, plan_.read_rows - int(tokens.size()));
    if (take < 1) continue;
    const int slot = int(batch.size());
    runs.push_back({int32_t(tokens.size()), take, s->cached, slot});
    for (int t = 0; t < take; t++) {
      tokens.push_back(s->tokens[size_t(s->cached) + t]);
      positions.push_back(s->cached + t);
      slot_of.push_back(slot);
    }
    batch.push_back(s);
  }
  if (batch.empty()) return false;
  const std::vector<QueryTile> tiles = query_tiles(runs);
  Stream& stream = model_.state.stream;
  write_page_rows(batch);
  stream.to_device(at<int32_t>(plan_.page_of), slots_->page_of,
                   batch.size() * size_t(plan_.pages_per_sequence) * sizeof(int32_t));
  const size_t bytes = tokens.size() * sizeof(int32_t);
  stream.to_device(at<int32_t>(plan_.tokens), tokens.data(), bytes);
  stream.to_device(at<int32_t>(plan_.positions), positions.data(), bytes);
  stream.to_device(at<int32_t>(plan_.sequence_of), slot_of.data(), bytes);
  rows_are_slots_ = false;
  stream.to_device(at<QueryTile>(plan_.tiles), tiles.data(), tiles.size() * sizeof(QueryTile));
  PassBuffers pass = buffers_of(int(tokens.size()));
  pass.tiles = int(tiles.size());
  pass.query_tiles = at<QueryTile>(plan_.tiles);
  run_layers(pass, 0);
  stream.synchronize();  // the pinned page rows are written again next
  for (size_t i = 0; i < batch.size(); i++) {
    batch[i]->cached += runs[i].count;
    batch[i]->cache_epoch = model_.cache_epoch();
    batch[i]->used = ++clock_;
  }
  return true;
}

// Row i belongs to slot i, as decoding has it.
void DeviceSampler::set_rows_to_slots() {
  std::vector<int32_t> slots(static_cast<size_t>(plan_.slots));
  for (int i = 0; i < plan_.slots; i++) slots[i] = i;
  model_.state.stream.to_device(at<int32_t>(plan_.sequence_of), slots.data(),
                                slots.size() * sizeof(int32_t));
  model_.state.stream.synchronize();
  rows_are_slots_ = true;
}

// Slots without a sequence read token 0 at position 0 of page 0, which belongs to nobody.
void DeviceSampler::fill_slots(const std::vector<Sequence*>& batch, int slots) {
  write_page_rows(batch);
  for (int i = 0; i < slots; i++) {
    const bool used = i < int(batch.size());
    if (!used) {
      int32_t* row = slots_->page_of + size_t(i) * plan_.pages_per_sequence;
      std::fill(row, row + plan_.pages_per_sequence, 0);
    }
    slots_->tokens[i] = used ? batch[i]->tokens[size_t(batch[i]->cached)] : 0;
    slots_->positions[i] = used ? batch[i]->cached : 0;
    slots_->temperature[i] = used ? batch[i]->request.temperature : 0;
    slots_->uniform[i] = used ? batch[i]->draw() : 0;
    slots_->top_p[i] = used ? batch[i]->request.top_p : 1;
    slots_->is_limited[i] = used && !batch[i]->request.allowed.empty() ? 1 : 0;
  }
}

// Outside the graph, since few sequences are held to some tokens.
void DeviceSampler::send_allowed(const std::vector<Sequence*>& batch) {
  const size_t words = size_t(allowed_words(model_.state.config));
  for (size_t i = 0; i < batch.size(); i++) {
    const std::vector<uint32_t>& allowed = batch[i]->request.allowed;
    if (!allowed.empty())
      model_.state.stream.to_device(at<uint32_t>(plan_.allowed) + i * words, allowed.data(),
                                    words * sizeof(uint32_t));
  }
}

// From pinned slots to pinned results; every address is the same each time, so it can be recorded.
void DeviceSampler::enqueue_decode(int slots) {
  DeviceState& state = model_.state;
  Stream& stream = state.stream;
  const size_t n = size_t(slots);
  stream.to_device(at<int32_t>(plan_.tokens), slots_->tokens, n * sizeof(int32_t));
  stream.to_device(at<int32_t>(plan_.positions), slots_->positions, n * sizeof(int32_t));
  stream.to_device(at<int32_t>(plan_.page_of), slots_->page_of,
                   n * size_t(plan_.pages_per_sequence) * sizeof(int32_t));
  stream.to_device(at<float>(plan_.temperature), slots_->temperature, n * sizeof(float));
  stream.to_device(at<double>(plan_.uniform), slots_->uniform, n * sizeof(double));
  stream.to_device(at<double>(plan_.top_p), slots_->top_p, n * sizeof(double));
  stream.to_device(at<int32_t>(plan_.is_limited), slots_->is_limited, n * sizeof(int32_t));
  const PassBuffers pass = buffers_of(slots);
  run_layers(pass, plan_.pages_per_sequence * kPageTokens);
  model_.decoder.final_norm(slots, at<bf16>(plan_.x), nullptr, pass.hidden, nullptr);
  model_.decoder.logits(slots, pass.hidden, at<float>(plan_.logits));
  const Draws draws = {at<float>(plan_.temperature), at<double>(plan_.uniform),
                       at<double>(plan_.top_p), at<int32_t>(plan_.is_limited),
                       at<uint32_t>(plan_.allowed)};
  sample(stream, slots, state.config.vocabulary_size, at<float>(plan_.logits),
         logits_row(state.config), draws, at<int32_t>(plan_.sampled),
         at<float>(plan_.log_probs));
  stream.to_host(slots_->sampled, at<int32_t>(plan_.sampled), n * sizeof(int32_t));
  stream.to_host(slots_->log_probs, at<float>(plan_.log_probs), n * sizeof(float));
}

void DeviceSampler::run_decode(int slots) {
  graphs_.run({slots}, false, [&] { enqueue_decode(slots); });
  model_.state.stream.synchronize();
}

void DeviceSampler::decode() {
  for (Sequence* s : std::vector<Sequence*>(turns_.running()))
    if (s->state == TurnState::running) reserve_pages(s, s->cached + 1);
  const std::vector<Sequence*> batch = turns_.running();
  const int n = int(batch.size());
  if (!rows_are_slots_) set_rows_to_slots();
  const int slots = slot_bucket(n, max_sequences_);
  fill_slots(batch, slots);
  send_allowed(batch);
  run_decode(slots);
  for (int i = 0; i < n; i++) turns_.require_token(*batch[i], slots_->sampled[i]);
  for (int i = 0; i < n; i++) {
    batch[i]->cached++;
    batch[i]->cache_epoch = model_.cache_epoch();
    batch[i]->used = ++clock_;
    turns_.take_token(batch[i], slots_->sampled[i], slots_->log_probs[i]);
  }
}

bool DeviceSampler::step(std::vector<Generated>* finished) {
  admit();
  return turns_.step(age(), finished, [&] {
    read_prompts();
    decode();
  });
}

}  // namespace masksearch::cuda
