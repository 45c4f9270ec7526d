// What lives on the engine thread: one model, its samplers and the turns they are working on.
#include "model_host.h"

#include <stdexcept>

namespace masksearch::addon {

namespace {

Generated cancelled_turn(int handle) {
  Generated generated{};
  generated.sequence = handle;
  generated.end = GenerateEnd::cancelled;
  return generated;
}

}  // namespace

void ModelHost::open_sampler(SamplerId id, int max_sequences, int max_context_tokens) {
  samplers_[id].sampler = model->open_sampler(max_sequences, max_context_tokens);
}

void ModelHost::refuse_sampler(SamplerId id, const std::string& problem) {
  samplers_.erase(id);
  refused_samplers_[id] = problem;
}

void ModelHost::close_sampler(SamplerId id) {
  auto found = samplers_.find(id);
  if (found == samplers_.end()) return;
  end_as_cancelled(found->second);
  samplers_.erase(found);
  for (auto entry = sequences_.begin(); entry != sequences_.end();) {
    entry = entry->second.sampler == id ? sequences_.erase(entry) : std::next(entry);
  }
}

void ModelHost::open_sequence(SequenceId id, SamplerId sampler_id,
                              const std::vector<int32_t>& tokens, uint32_t key0, uint32_t key1) {
  if (refused_samplers_.count(sampler_id) > 0) refused_sequences_[id] = sampler_id;
  int handle = sampler(sampler_id).sampler->open(tokens.data(), int(tokens.size()), key0, key1);
  sequences_[id] = {sampler_id, handle};
}

void ModelHost::append(SequenceId id, const std::vector<int32_t>& tokens) {
  HostedSequence& hosted = sequence(id);
  sampler(hosted.sampler).sampler->append(hosted.handle, tokens.data(), int(tokens.size()));
}

void ModelHost::close_sequence(SequenceId id) {
  auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  HostedSampler& hosted = sampler(found->second.sampler);
  int handle = found->second.handle;
  sequences_.erase(found);
  auto turn = hosted.turns.find(handle);
  if (turn != hosted.turns.end()) {
    std::shared_ptr<Turn> ended = turn->second;
    hosted.turns.erase(turn);
    turns_--;
    hosted.sampler->close(handle);
    ended->finish(cancelled_turn(handle));
    return;
  }
  hosted.sampler->close(handle);
}

void ModelHost::start_turn(SequenceId id, const GenerateRequest& request,
                           std::shared_ptr<Turn> turn) {
  HostedSequence& hosted = sequence(id);
  if (turn->cancelled) {
    turn->finish(cancelled_turn(hosted.handle));
    return;
  }
  HostedSampler& owner = sampler(hosted.sampler);
  owner.sampler->generate(hosted.handle, request);
  owner.turns[hosted.handle] = std::move(turn);
  turns_++;
}

void ModelHost::advance() {
  for (auto& [id, hosted] : samplers_) {
    if (!hosted.turns.empty()) advance(hosted);
  }
}

void ModelHost::advance(HostedSampler& hosted) {
  std::vector<Generated> finished;
  try {
    for (auto& [handle, turn] : hosted.turns) {
      if (turn->cancelled) hosted.sampler->cancel(handle);
    }
    bool working = hosted.sampler->step(&finished);
    if (!working && finished.empty()) {
      throw std::logic_error("the sampler had nothing to do while turns were in progress");
    }
  } catch (...) {
    turns_ -= hosted.turns.size();
    for (auto& [handle, turn] : hosted.turns) turn->fail(std::current_exception());
    hosted.turns.clear();
    return;
  }
  for (Generated& generated : finished) {
    auto turn = hosted.turns.find(generated.sequence);
    if (turn == hosted.turns.end()) continue;
    std::shared_ptr<Turn> ended = turn->second;
    hosted.turns.erase(turn);
    turns_--;
    ended->finish(std::move(generated));
  }
}

void ModelHost::shut_down() {
  for (auto& [id, hosted] : samplers_) end_as_cancelled(hosted);
  sequences_.clear();
  samplers_.clear();
  model.reset();
}

void ModelHost::end_as_cancelled(HostedSampler& hosted) {
  turns_ -= hosted.turns.size();
  for (auto& [handle, turn] : hosted.turns) turn->finish(cancelled_turn(handle));
  hosted.turns.clear();
}

ModelHost::HostedSequence& ModelHost::sequence(SequenceId id) {
  auto found = sequences_.find(id);
  if (found == sequences_.end()) {
    auto refused = refused_sequences_.find(id);
    if (refused != refused_sequences_.end()) sampler(refused->second);
    throw std::logic_error("the sequence is closed or never opened");
  }
  return found->second;
}

ModelHost::HostedSampler& ModelHost::sampler(SamplerId id) {
  auto found = samplers_.find(id);
  if (found == samplers_.end()) {
    auto refused = refused_samplers_.find(id);
    throw std::runtime_error(refused == refused_samplers_.end()
                                 ? "the sampler is closed or never opened"
                                 : refused->second);
  }
  return found->second;
}

}  // namespace masksearch::addon
