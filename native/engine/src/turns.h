// The book-keeping that samplers of every device share: open sequences, turns that wait, run and
// end, and what is refused. Knows nothing about layers, keys and values, or devices.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine.h"
#include "philox.h"
#include "validate.h"

namespace masksearch {

enum class TurnState { idle, waiting, running };

// What every sampler knows of a sequence; each adds where its keys and values are.
struct TurnSequence {
  int handle = 0;
  std::vector<int32_t> tokens;
  uint32_t key0 = 0, key1 = 0;
  TurnState state = TurnState::idle;
  GenerateRequest request{};
  Generated turn{};
  int cached = 0;           // tokens whose keys and values are kept
  int64_t cache_epoch = 0;  // of the weights that these were computed with

  int pending() const { return int(tokens.size()) - cached; }
  // The random number of the next token.
  double draw() const {
    return uniform({uint32_t(tokens.size()), request.turn, 0, 0}, key0, key1);
  }
};

// The weights of a model at the moment: `epoch` grows whenever keys and values become stale.
struct WeightsAge {
  int64_t epoch;
  int64_t version;
};

// Sequence is a TurnSequence.
template <class Sequence>
class Turns {
 public:
  // The config must outlive it. @throws std::invalid_argument sizes that cannot be.
  Turns(const DecoderConfig& config, int max_sequences, int max_context_tokens);

  // As Sampler in engine.h.
  int open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1);
  void append(int handle, const int32_t* tokens, int count);
  void generate(int handle, const GenerateRequest& request, const WeightsAge& now);
  void cancel(int handle);
  void close(int handle);
  // Lets `advance` work on the running sequences, if there are any, and hands over what has ended.
  // False when there was nothing to do. @throws what `advance` does, or on stale keys and values.
  template <class Advance>
  bool step(const WeightsAge& now, std::vector<Generated>* finished, const Advance& advance);

  // @throws std::invalid_argument no open sequence has this handle.
  Sequence& find(const char* where, int handle) { return look_up(sequences_, where, handle); }
  const Sequence& find(const char* where, int handle) const {
    return look_up(sequences_, where, handle);
  }
  const std::map<int, Sequence>& all() const { return sequences_; }
  std::map<int, Sequence>& all() { return sequences_; }
  const std::vector<Sequence*>& running() const { return running_; }

  // The turn that could start next, first come, first served; null when there is none or no place.
  // Turns whose context is full end here.
  Sequence* next();
  void start(Sequence* sequence);    // the one that `next` gave
  void suspend(Sequence* sequence);  // a running one waits again, before all others
  // Adds a sampled token and ends the turn where it has to.
  void take_token(Sequence* sequence, int32_t token, float log_prob);
  // @throws std::runtime_error naming the sequence: `token` says that its logits were not finite.
  static void require_token(const Sequence& sequence, int32_t token);

 private:
  template <class Map>
  static auto& look_up(Map& sequences, const char* where, int handle) {
    const auto found = sequences.find(handle);
    if (found == sequences.end())
      reject(std::string(where) + ": expected an open sequence, received handle " +
             std::to_string(handle) + "; it was closed or never opened");
    return found->second;
  }
  void require_idle(const char* where, const Sequence& sequence) const;
  void check_cache(const char* where, const Sequence& sequence, const WeightsAge& now) const;
  void end_turn(Sequence* sequence, GenerateEnd end);

  const DecoderConfig& config_;
  const int max_sequences_, max_context_;
  std::map<int, Sequence> sequences_;
  std::deque<int> waiting_;
  std::vector<Sequence*> running_;
  std::vector<Generated> ended_;
  int next_handle_ = 0;
};

inline bool ends_with(const std::vector<int32_t>& tokens, const std::vector<int32_t>& end) {
  return tokens.size() >= end.size() && std::equal(end.rbegin(), end.rend(), tokens.rbegin());
}

template <class Sequence>
Turns<Sequence>::Turns(const DecoderConfig& config, int max_sequences, int max_context_tokens)
    : config_(config), max_sequences_(max_sequences), max_context_(max_context_tokens) {
  if (max_sequences < 1)
    reject("Sampler: expected max_sequences >= 1, received " + std::to_string(max_sequences));
  if (max_context_tokens < 1 || max_context_tokens > config.max_positions)
    reject("Sampler: expected max_context_tokens in [1, max_positions = " +
           std::to_string(config.max_positions) + "], received " +
           std::to_string(max_context_tokens));
}

template <class Sequence>
void Turns<Sequence>::require_idle(const char* where, const Sequence& sequence) const {
  if (sequence.state != TurnState::idle)
    throw std::runtime_error(std::string(where) + ": expected no turn in progress on sequence " +
                             std::to_string(sequence.handle) +
                             ", received a call during one; wait for it to end or cancel it");
}

template <class Sequence>
void Turns<Sequence>::check_cache(const char* where, const Sequence& sequence,
                                  const WeightsAge& now) const {
  if (sequence.cached > 0 && sequence.cache_epoch != now.epoch)
    throw std::runtime_error(
        std::string(where) + ": expected the weights that filled the cache of sequence " +
        std::to_string(sequence.handle) + ", received weights of version " +
        std::to_string(now.version) +
        "; close sequences before a training step, open new ones after");
}

template <class Sequence>
int Turns<Sequence>::open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) {
  check_tokens("open", config_, tokens, count);
  if (count > max_context_)
    reject("open: expected at most max_context_tokens = " + std::to_string(max_context_) +
           " tokens, received " + std::to_string(count));
  const int handle = next_handle_++;
  Sequence& s = sequences_[handle];
  s.handle = handle;
  s.tokens.assign(tokens, tokens + count);
  s.key0 = key0;
  s.key1 = key1;
  return handle;
}

template <class Sequence>
void Turns<Sequence>::append(int handle, const int32_t* tokens, int count) {
  Sequence& s = find("append", handle);
  require_idle("append", s);
  check_tokens("append", config_, tokens, count);
  if (int64_t(s.tokens.size()) + count > max_context_)
    reject("append: expected at most max_context_tokens = " + std::to_string(max_context_) +
           " tokens in sequence " + std::to_string(handle) + ", received " +
           std::to_string(s.tokens.size()) + " + " + std::to_string(count));
  s.tokens.insert(s.tokens.end(), tokens, tokens + count);
}

template <class Sequence>
void Turns<Sequence>::generate(int handle, const GenerateRequest& request, const WeightsAge& now) {
  Sequence& s = find("generate", handle);
  require_idle("generate", s);
  check_request(config_, request);
  check_cache("generate", s, now);
  if (s.tokens.empty())
    reject("generate: expected at least one token in sequence " + std::to_string(handle) +
           ", received none; open it with a prompt or append to it");
  s.request = request;
  s.turn = Generated{};
  s.turn.sequence = handle;
  s.state = TurnState::waiting;
  waiting_.push_back(handle);
}

template <class Sequence>
void Turns<Sequence>::end_turn(Sequence* s, GenerateEnd end) {
  s->turn.end = end;
  ended_.push_back(std::move(s->turn));
  s->turn = Generated{};
  s->state = TurnState::idle;
  running_.erase(std::remove(running_.begin(), running_.end(), s), running_.end());
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), s->handle), waiting_.end());
}

template <class Sequence>
void Turns<Sequence>::cancel(int handle) {
  Sequence& s = find("cancel", handle);
  if (s.state != TurnState::idle) end_turn(&s, GenerateEnd::cancelled);
}

template <class Sequence>
void Turns<Sequence>::close(int handle) {
  Sequence& s = find("close", handle);
  if (s.state != TurnState::idle) end_turn(&s, GenerateEnd::cancelled);
  sequences_.erase(handle);
}

template <class Sequence>
Sequence* Turns<Sequence>::next() {
  while (!waiting_.empty() && int(running_.size()) < max_sequences_) {
    Sequence& s = sequences_.at(waiting_.front());
    if (int(s.tokens.size()) < max_context_) return &s;
    end_turn(&s, GenerateEnd::context_full);
  }
  return nullptr;
}

template <class Sequence>
void Turns<Sequence>::start(Sequence* s) {
  waiting_.pop_front();
  s->state = TurnState::running;
  running_.push_back(s);
}

template <class Sequence>
void Turns<Sequence>::suspend(Sequence* s) {
  s->state = TurnState::waiting;
  running_.erase(std::remove(running_.begin(), running_.end(), s), running_.end());
  waiting_.push_front(s->handle);
}

template <class Sequence>
void Turns<Sequence>::take_token(Sequence* s, int32_t token, float log_prob) {
  s->tokens.push_back(token);
  s->turn.tokens.push_back(token);
  s->turn.log_probs.push_back(log_prob);
  for (const std::vector<int32_t>& stop : s->request.stop)
    if (ends_with(s->turn.tokens, stop)) return end_turn(s, GenerateEnd::stop);
  if (int(s->turn.tokens.size()) >= s->request.max_tokens) return end_turn(s, GenerateEnd::length);
  if (int(s->tokens.size()) >= max_context_) end_turn(s, GenerateEnd::context_full);
}

template <class Sequence>
void Turns<Sequence>::require_token(const Sequence& sequence, int32_t token) {
  if (token < 0)
    throw std::runtime_error("step: expected finite logits for sequence " +
                             std::to_string(sequence.handle) +
                             ", received NaN or infinity; the weights have diverged");
}

template <class Sequence>
template <class Advance>
bool Turns<Sequence>::step(const WeightsAge& now, std::vector<Generated>* finished,
                           const Advance& advance) {
  for (const Sequence* s : running_) check_cache("step", *s, now);
  const bool worked = !running_.empty() || !ended_.empty();
  if (!running_.empty()) advance();
  for (Generated& turn : ended_) finished->push_back(std::move(turn));
  ended_.clear();
  return worked;
}

}  // namespace masksearch
