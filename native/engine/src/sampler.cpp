// Continuous batching: all running sequences advance together, each with its own key-value cache.
#include <algorithm>

#include "engine_impl.h"
#include "key_value_cache.h"
#include "sample_token.h"
#include "sizes.h"
#include "turns.h"

namespace masksearch {

namespace {

struct Sequence : TurnSequence {
  KeyValueCache cache;
  int64_t weights = 0;  // what all of the cache was computed with, see `weights_now`; -1: several
};

// How many of a's tokens can have the keys and values of b, of which the first `kept` are or will
// be there: as far as the two begin alike, in whole tiles, without the token that `decode` reads.
int shared_tokens(const Sequence& a, const Sequence& b, int kept) {
  const int most = std::min(kept, int(a.tokens.size()) - 1);
  if (most < kPanel) return 0;
  const auto start = a.tokens.begin();
  const auto differs = std::mismatch(start, start + most, b.tokens.begin()).first;
  return int(differs - start) / kPanel * kPanel;
}

}  // namespace

struct Sampler::Impl {
  Impl(Model::Impl* owner, int sequences, int context)
      : model(*owner),
        decoder(owner->decoder),
        turns(decoder.config, sequences, context),
        max_context(context) {}

  WeightsAge age() const { return {model.cache_epoch, model.version}; }
  // Grows whenever weights may have been written, also where caches stay in use.
  int64_t weights_now() const { return decoder.weights_epoch + decoder.adapter_epoch; }
  // Runs `take[i]` pending tokens of each sequence through the layers; returns the output (N, C).
  const float* read(const std::vector<Sequence*>& sequences, const std::vector<int>& take);
  static bool waits_for(const Sequence& sequence, const std::vector<Sequence*>& batch,
                        const std::vector<int>& take);
  // Takes over what an open sequence has of the same beginning and this one has not.
  void copy_beginning(Sequence* sequence);
  void read_prompts();
  void decode();

  Model::Impl& model;
  Decoder& decoder;
  Turns<Sequence> turns;
  int max_context;

  Rows rows;
  std::vector<KeyValues> cache;
  Buffer x, x_mid, logits, weights;
  StoredBuffer qkv, attention, gate_up, hidden;
  std::vector<SampledToken> sampled;
};

const float* Sampler::Impl::read(const std::vector<Sequence*>& batch,
                                 const std::vector<int>& take) {
  const DecoderConfig& c = decoder.config;
  const DataType type = decoder.type;
  rows.clear();
  for (size_t i = 0; i < batch.size(); i++) {
    Sequence& s = *batch[i];
    if (s.cached == 0) s.weights = weights_now();
    if (s.weights != weights_now()) s.weights = -1;
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

void Sampler::Impl::copy_beginning(Sequence* sequence) {
  const Sequence* source = nullptr;
  int tokens = sequence->cached;
  for (const auto& [handle, other] : turns.all()) {
    if (&other == sequence || other.cached == 0 || other.weights != weights_now()) continue;
    const int shared = shared_tokens(*sequence, other, other.cached);
    if (shared <= tokens) continue;
    source = &other;
    tokens = shared;
  }
  if (source == nullptr) return;
  const DecoderConfig& c = decoder.config;
  sequence->cache.reserve(c, decoder.type, tokens, sequence->cached, max_context);
  sequence->cache.copy_first(c, source->cache, tokens);
  sequence->cached = tokens;
  sequence->cache_epoch = model.cache_epoch;
  sequence->weights = weights_now();
}

// Whether the batch reads, of the same beginning, more than the sequence has.
bool Sampler::Impl::waits_for(const Sequence& sequence, const std::vector<Sequence*>& batch,
                              const std::vector<int>& take) {
  for (size_t i = 0; i < batch.size(); i++)
    if (shared_tokens(sequence, *batch[i], batch[i]->cached + take[i]) > sequence.cached) return true;
  return false;
}

// Everything but the last pending token of each sequence, which `decode` reads. What begins like a
// sequence that is being read waits for it: the samples of one prompt read it once.
void Sampler::Impl::read_prompts() {
  for (;;) {
    std::vector<Sequence*> batch;
    std::vector<int> take;
    int space = kPromptRows;
    for (Sequence* s : turns.running()) {
      if (s->pending() > 1) copy_beginning(s);
      const int wanted = std::min(s->pending() - 1, space);
      if (wanted < 1 || waits_for(*s, batch, take)) continue;
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
  const std::vector<Sequence*> batch = turns.running();
  const int n = int(batch.size());
  const float* out = read(batch, std::vector<int>(size_t(n), 1));
  hidden.reserve(decoder.type, n * size_t(decoder.row(decoder.config.width)));
  decoder.final_norm(n, out, hidden.data(), nullptr);
  decoder.logits(n, hidden.data(), logits.reserve(n * decoder.logits_row()));
  weights.reserve(n * V);
  sampled.resize(size_t(n));
  decoder.pool.run(n, [&](int i, int) {
    const Sequence& s = *batch[i];
    const std::vector<uint32_t>& allowed = s.request.allowed;
    const Draw draw = {s.request.temperature, s.draw(), s.request.top_p,
                       allowed.empty() ? nullptr : allowed.data()};
    sampled[i] = sample_token(decoder.kernels, int(V), logits.data() + i * decoder.logits_row(),
                              draw, weights.data() + i * V);
  });
  if (std::any_of(sampled.begin(), sampled.end(), [](const auto& t) { return t.token < 0; }))
    for (Sequence* s : batch) s->cached--;  // nothing is taken; the tokens stay pending
  for (int i = 0; i < n; i++) turns.require_token(*batch[i], sampled[i].token);
  for (int i = 0; i < n; i++) turns.take_token(batch[i], sampled[i].token, sampled[i].log_prob);
}

Sampler::Sampler(Model& model, int max_sequences, int max_context_tokens)
    : impl_(std::make_unique<Impl>(model.impl_.get(), max_sequences, max_context_tokens)) {}

Sampler::~Sampler() = default;

int Sampler::open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) {
  return impl_->turns.open(tokens, count, key0, key1);
}
void Sampler::append(int sequence, const int32_t* tokens, int count) {
  impl_->turns.append(sequence, tokens, count);
}
int Sampler::length(int sequence) const {
  return int(impl_->turns.find("length", sequence).tokens.size());
}
void Sampler::generate(int sequence, const GenerateRequest& request) {
  impl_->turns.generate(sequence, request, impl_->age());
}
void Sampler::cancel(int sequence) { impl_->turns.cancel(sequence); }
void Sampler::close(int sequence) { impl_->turns.close(sequence); }

bool Sampler::step(std::vector<Generated>* finished) {
  Impl& m = *impl_;
  while (Sequence* next = m.turns.next()) m.turns.start(next);
  return m.turns.step(m.age(), finished, [&] {
    m.read_prompts();
    m.decode();
  });
}

}  // namespace masksearch
