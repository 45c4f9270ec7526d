// What lives on the engine thread: one model, its samplers and the turns they are working on.
// Knows nothing about JavaScript.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <unordered_map>

#include "any_model.h"
#include "engine.h"

namespace masksearch::addon {

using SamplerId = uint32_t;
using SequenceId = uint32_t;

// One turn of generation. `cancelled` may be set from any thread; the rest is the engine thread's.
struct Turn {
  std::atomic<bool> cancelled{false};
  std::function<void(Generated)> finish;
  std::function<void(const std::exception_ptr&)> fail;
};

class ModelHost {
 public:
  std::unique_ptr<AnyModel> model;

  void open_sampler(SamplerId id, int max_sequences, int max_context_tokens);
  // A sampler that could not be made: whoever uses it learns why.
  void refuse_sampler(SamplerId id, const std::string& problem);
  // Turns of its sequences end as cancelled.
  void close_sampler(SamplerId id);

  void open_sequence(SequenceId id, SamplerId sampler, const std::vector<int32_t>& tokens,
                     uint32_t key0, uint32_t key1);
  void append(SequenceId id, const std::vector<int32_t>& tokens);
  // A turn of it ends as cancelled. Closing a sequence that is not there does nothing.
  void close_sequence(SequenceId id);
  void start_turn(SequenceId id, const GenerateRequest& request, std::shared_ptr<Turn> turn);

  bool has_turns() const { return turns_ > 0; }
  // One token for every turn.
  void advance();
  // Ends all turns as cancelled and drops samplers and model.
  void shut_down();

 private:
  struct HostedSampler {
    std::unique_ptr<AnySampler> sampler;
    // By the engine's handle of the sequence.
    std::unordered_map<int, std::shared_ptr<Turn>> turns;
  };
  struct HostedSequence {
    SamplerId sampler;
    int handle;
  };

  HostedSequence& sequence(SequenceId id);
  HostedSampler& sampler(SamplerId id);
  void advance(HostedSampler& hosted);
  void end_as_cancelled(HostedSampler& hosted);

  std::unordered_map<SamplerId, HostedSampler> samplers_;
  std::unordered_map<SamplerId, std::string> refused_samplers_;
  std::unordered_map<SequenceId, SamplerId> refused_sequences_;
  std::unordered_map<SequenceId, HostedSequence> sequences_;
  size_t turns_ = 0;
};

}  // namespace masksearch::addon
