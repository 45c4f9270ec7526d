// A decoder on the device with the interface of the CPU's Model: accumulate, score and step over a
// packed batch. Losses are evaluated on the host, chunk by chunk, by the code that the CPU uses.
#pragma once

#include <functional>

#include "device_decoder.h"
#include "graph_cache.h"
#include "pass_lists.h"

namespace masksearch::cuda {

class DeviceModel {
 public:
  // With an adapter (lora.rank > 0) it alone is trained.
  DeviceModel(const DecoderConfig& config, const LoraConfig& lora, const DeviceOptions& options);

  // Forward and backward; gradients +=. log_probs and entropies: (T), 0 where not labelled.
  AccumulateResult accumulate(const Batch& batch, const TokenLoss& loss, float* log_probs,
                              float* entropies);
  void score(const Batch& batch, float* log_probs, float* entropies,
             AdapterUse adapter = AdapterUse::on);
  // Clips, updates, zeroes the gradients, counts a step. Returns the norm before clipping.
  double step(const AdamW& options);

  void read(Arena arena, size_t offset, size_t count, float* out);
  void write(Arena arena, size_t offset, size_t count, const float* values);
  int64_t version() const { return version_; }
  void set_version(int64_t version);

  // e.g. "cuda NVIDIA H200"
  std::string device() const { return "cuda " + state.device.name; }
  // The state's memory and the last pass's, as tables.
  std::string memory_report() const;
  // Grows whenever cached keys and values become stale.
  int64_t cache_epoch() const { return cache_epoch_; }

  DeviceState state;
  DeviceDecoder decoder;
  // Of passes and steps. It goes before the memory that its graphs name.
  GraphCache graphs;

 private:
  struct Pass;
  Pass begin_pass(PassLists lists, bool backward);
  // Passes of few rows take the size of their neighbours where nothing is computed again for it.
  TrainingPlan plan_pass(PassLists* lists, bool backward) const;
  void forward(const Pass& pass);
  void backward(const Pass& pass);
  using Evaluate = std::function<void(int count, const int32_t* labels, const float* log_probs,
                                      const float* entropies, float* d_log_probs,
                                      float* d_entropies)>;
  // Runs the loss head over the pass's labels; without `evaluate` no gradient is made.
  void loss_head(Pass& pass, const Batch& batch, const Evaluate& evaluate, float* log_probs,
                 float* entropies);
  void head_backward(const Pass& pass, int count, bool first);

  Dropout dropout() const;

  int64_t version_ = 0;
  uint32_t accumulated_ = 0;  // calls of accumulate since the last step
  int64_t cache_epoch_ = 0;
  bool gradients_are_zero_ = true;
  std::string last_plan_;
};

}  // namespace masksearch::cuda
