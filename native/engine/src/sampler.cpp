// Continuous batching: all running sequences advance together, each with its own key-value cache.
#include <algorithm>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>

#include "engine_impl.h"
#include "key_value_cache.h"
#include "philox.h"
#include "sample_token.h"
#include "sizes.h"
#include "validate.h"

namespace masksearch {

namespace {

enum class State { idle, waiting, running };

struct Sequence {
  int handle = 0;
  std::vector<int32_t> tokens;
  uint32_t key0 = 0;
  uint32_t key1 = 0;
  State state = State::idle;
  GenerateRequest request{};
  Generated turn{};
  KeyValueCache cache;
  int cached = 0;  // tokens whose keys and values are in the cache
  int64_t cache_epoch = 0;

  int pending() const { return int(tokens.size()) - cached; }
};

bool ends_with(const std::vector<int32_t>& tokens, const std::vector<int32_t>& end) {
  return tokens.size() >= end.size() && std::equal(end.rbegin(), end.rend(), tokens.rbegin());
}

}  // namespace

struct Sampler::Impl {
  Impl(Model::Impl* owner, int sequences, int context)
      : model(*owner), decoder(owner->decoder), max_sequences(sequences), max_context(context) {}

  Sequence& find(const char* where, int handle);
  void require_idle(const char* where, const Sequence& sequence) const;
  void check_cache(const char* where, const Sequence& sequence) const;
  void end_turn(Sequence* sequence, GenerateEnd end);
  void admit();
  // Runs `take[i]` pending tokens of each sequence through the layers; returns the output (N, C).
  const float* read(const std::vector<Sequence*>& sequences, const std::vector<int>& take);
  void read_prompts();
  void decode();
  void take_token(Sequence* sequence, const SampledToken& sampled);

  Model::Impl& model;
  Decoder& decoder;
  int max_sequences;
  int max_context;
  std::map<int, Sequence> sequences;
  std::deque<int> waiting;  // first come, first served
  std::vector<Sequence*> running;
  std::vector<Generated> ended;
  int next_handle = 0;

  Rows rows;
  std::vector<KeyValues> cache;
  Buffer x, x_mid, logits, weights;
  StoredBuffer qkv, attention, gate_up, hidden;
  std::vector<SampledToken> sampled;
};

Sequence& Sampler::Impl::find(const char* where, int handle) {
  const auto found = sequences.find(handle);
  if (found == sequences.end())
    reject(std::string(where) + ": expected an open sequence, received handle " +
           std::to_string(handle) + "; it was closed or never opened");
  return found->second;
}

void Sampler::Impl::require_idle(const char* where, const Sequence& sequence) const {
  if (sequence.state != State::idle)
    throw std::runtime_error(std::string(where) + ": expected no turn in progress on sequence " +
                             std::to_string(sequence.handle) +
                             ", received a call during one; wait for it to end or cancel it");
}

void Sampler::Impl::check_cache(const char* where, const Sequence& sequence) const {
  if (sequence.cached > 0 && sequence.cache_epoch != model.cache_epoch)
    throw std::runtime_error(
        std::string(where) + ": expected the weights that filled the cache of sequence " +
        std::to_string(sequence.handle) + ", received weights of version " +
        std::to_string(model.version) +
        "; close sequences before a training step, open new ones after");
}

void Sampler::Impl::end_turn(Sequence* sequence, GenerateEnd end) {
  sequence->turn.end = end;
  ended.push_back(std::move(sequence->turn));
  sequence->turn = Generated{};
  sequence->state = State::idle;
  running.erase(std::remove(running.begin(), running.end(), sequence), running.end());
  waiting.erase(std::remove(waiting.begin(), waiting.end(), sequence->handle), waiting.end());
}

void Sampler::Impl::admit() {
  while (!waiting.empty() && int(running.size()) < max_sequences) {
    Sequence& sequence = sequences.at(waiting.front());
    if (int(sequence.tokens.size()) >= max_context) {
      end_turn(&sequence, GenerateEnd::context_full);
      continue;
    }
    waiting.pop_front();
    sequence.state = State::running;
    running.push_back(&sequence);
  }
}

const float* Sampler::Impl::read(const std::vector<Sequence*>& batch,
                                 const std::vector<int>& take) {
  const DecoderConfig& c = decoder.config;
  const DataType type = decoder.type;
  rows.clear();
  for (size_t i = 0; i < batch.size(); i++) {
    Sequence& s = *batch[i];
    rows.add(s.tokens.data() + s.cached, take[i], s.cached);
    s.cache.reserve(c, type, s.cached + take[i], s.cached, max_context);
  }
  rows.plan(c, type);
  decoder.prepare(rows.longest, false);
  decoder.reserve_scratch(rows, false);
  const size_t n = size_t(rows.count);
  LayerActivations a{};
  a.x = x.reserve(n * c.width);
  a.qkv = qkv.reserve(type, n * size_t(decoder.row(decoder.qkv_width())));
  a.attention = attention.reserve(type, n * size_t(decoder.row(decoder.attention_width())));
  a.x_mid = x_mid.reserve(n * c.width);
  if (type == DataType::float32)
    a.gate_up = gate_up.reserve(type, n * size_t(decoder.gate_up_row()));
  decoder.embed(rows, a.x);
  for (int l = 0; l < c.layers; l++) {
    cache.clear();
    for (Sequence* s : batch) cache.push_back(s->cache.layer(c, l));
    decoder.layer_forward(l, rows, a, cache.data(), a.x);
  }
  for (size_t i = 0; i < batch.size(); i++) {
    batch[i]->cached += take[i];
    batch[i]->cache_epoch = model.cache_epoch;
  }
  return a.x;
}

// Everything but the last pending token of each sequence, which `decode` reads.
void Sampler::Impl::read_prompts() {
  for (;;) {
    std::vector<Sequence*> batch;
    std::vector<int> take;
    int space = kPromptRows;
    for (Sequence* s : running) {
      const int wanted = std::min(s->pending() - 1, space);
      if (wanted < 1) continue;
      batch.push_back(s);
      take.push_back(wanted);
      space -= wanted;
    }
    if (batch.empty()) return;
    read(batch, take);
  }
}

void Sampler::Impl::decode() {
  const size_t V = size_t(decoder.config.vocabulary_size);
  const std::vector<Sequence*> batch = running;
  const int n = int(batch.size());
  const float* out = read(batch, std::vector<int>(size_t(n), 1));
  hidden.reserve(decoder.type, n * size_t(decoder.row(decoder.config.width)));
  decoder.final_norm(n, out, hidden.data(), nullptr);
  decoder.logits(n, hidden.data(), logits.reserve(n * decoder.logits_row()));
  weights.reserve(n * V);
  sampled.resize(size_t(n));
  decoder.pool.run(n, [&](int i, int) {
    const Sequence& s = *batch[i];
    const uint32_t position = uint32_t(s.tokens.size());
    sampled[i] = sample_token(decoder.kernels, int(V), logits.data() + i * decoder.logits_row(),
                              s.request.temperature,
                              uniform({position, s.request.turn, 0, 0}, s.key0, s.key1),
                              weights.data() + i * V);
  });
  for (int i = 0; i < n; i++)
    if (sampled[i].token < 0) {
      for (Sequence* s : batch) s->cached--;  // nothing was taken; the tokens stay pending
      throw std::runtime_error("step: expected finite logits for sequence " +
                               std::to_string(batch[i]->handle) +
                               ", received NaN or infinity; the weights have diverged");
    }
  for (int i = 0; i < n; i++) take_token(batch[i], sampled[i]);
}

void Sampler::Impl::take_token(Sequence* s, const SampledToken& token) {
  s->tokens.push_back(token.token);
  s->turn.tokens.push_back(token.token);
  s->turn.log_probs.push_back(token.log_prob);
  for (const std::vector<int32_t>& stop : s->request.stop)
    if (ends_with(s->turn.tokens, stop)) return end_turn(s, GenerateEnd::stop);
  if (int(s->turn.tokens.size()) >= s->request.max_tokens) return end_turn(s, GenerateEnd::length);
  if (int(s->tokens.size()) >= max_context) end_turn(s, GenerateEnd::context_full);
}

Sampler::Sampler(Model& model, int max_sequences, int max_context_tokens) {
  const int positions = model.config().max_positions;
  if (max_sequences < 1)
    reject("Sampler: expected max_sequences >= 1, received " + std::to_string(max_sequences));
  if (max_context_tokens < 1 || max_context_tokens > positions)
    reject("Sampler: expected max_context_tokens in [1, max_positions = " +
           std::to_string(positions) + "], received " + std::to_string(max_context_tokens));
  impl_ = std::make_unique<Impl>(model.impl_.get(), max_sequences, max_context_tokens);
}

Sampler::~Sampler() = default;

int Sampler::open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) {
  check_tokens("open", impl_->decoder.config, tokens, count);
  if (count > impl_->max_context)
    reject("open: expected at most max_context_tokens = " + std::to_string(impl_->max_context) +
           " tokens, received " + std::to_string(count));
  const int handle = impl_->next_handle++;
  Sequence& s = impl_->sequences[handle];
  s.handle = handle;
  s.tokens.assign(tokens, tokens + count);
  s.key0 = key0;
  s.key1 = key1;
  return handle;
}

void Sampler::append(int sequence, const int32_t* tokens, int count) {
  Sequence& s = impl_->find("append", sequence);
  impl_->require_idle("append", s);
  check_tokens("append", impl_->decoder.config, tokens, count);
  if (int64_t(s.tokens.size()) + count > impl_->max_context)
    reject("append: expected at most max_context_tokens = " + std::to_string(impl_->max_context) +
           " tokens in sequence " + std::to_string(sequence) + ", received " +
           std::to_string(s.tokens.size()) + " + " + std::to_string(count));
  s.tokens.insert(s.tokens.end(), tokens, tokens + count);
}

int Sampler::length(int sequence) const {
  return int(impl_->find("length", sequence).tokens.size());
}

void Sampler::generate(int sequence, const GenerateRequest& request) {
  Sequence& s = impl_->find("generate", sequence);
  impl_->require_idle("generate", s);
  check_request(impl_->decoder.config, request);
  impl_->check_cache("generate", s);
  if (s.tokens.empty())
    reject("generate: expected at least one token in sequence " + std::to_string(sequence) +
           ", received none; open it with a prompt or append to it");
  s.request = request;
  s.turn = Generated{};
  s.turn.sequence = sequence;
  s.state = State::waiting;
  impl_->waiting.push_back(sequence);
}

void Sampler::cancel(int sequence) {
  Sequence& s = impl_->find("cancel", sequence);
  if (s.state != State::idle) impl_->end_turn(&s, GenerateEnd::cancelled);
}

void Sampler::close(int sequence) {
  Sequence& s = impl_->find("close", sequence);
  if (s.state != State::idle) impl_->end_turn(&s, GenerateEnd::cancelled);
  impl_->sequences.erase(sequence);
}

bool Sampler::step(std::vector<Generated>* finished) {
  Impl& m = *impl_;
  m.admit();
  for (const Sequence* s : m.running) m.check_cache("step", *s);
  const bool worked = !m.running.empty() || !m.ended.empty();
  if (!m.running.empty()) {
    m.read_prompts();
    m.decode();
  }
  for (Generated& turn : m.ended) finished->push_back(std::move(turn));
  m.ended.clear();
  return worked;
}

}  // namespace masksearch
