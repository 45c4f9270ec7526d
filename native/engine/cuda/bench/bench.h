// The bench: a model on the device, the ceilings of the run, and the parts that are held against them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device_sampler.h"
#include "options.h"

namespace masksearch::cuda::bench {

class Bench {
 public:
  explicit Bench(const Options& options) : o_(options) {}

  // Whether no part failed.
  bool run();

 private:
  // The one model of the moment, with random weights; says what the one before used.
  void open(const DecoderConfig& config, const LoraConfig& lora);
  void part(const char* name, const std::function<void()>& work);
  // Median seconds of a run after two that warm up.
  double time(const std::function<void()>& work);
  void fill_weights(Arena arena, const std::vector<Parameter>& parameters);
  // Random bfloat16 in device memory; multiplying zeros is faster than multiplying numbers.
  bf16* random_values(size_t offset, size_t count);
  void ceilings();
  void print_bytes(const std::string& name, double bytes, const std::function<void()>& work);
  void print_flops(const std::string& name, double operations, const std::function<void()>& work);
  DeviceState& state() { return model_->state; }
  const char* how() const { return o_.graphs == "on" ? "" : " without graphs"; }

  // kernel_parts.cpp
  void kernels();
  // The products of a layer: forward, and the gradient of the weights.
  void products();
  void clear_gradients();
  // Norm, logits, log-probabilities and entropies, the host's turn, and the way back, of some 8,192 rows
  // in the chunks that training takes. Operations of its three products alone, none twice.
  void loss_head();
  void row_kernels();
  // Of o_.rows tokens in sequences of `length`.
  void attention(int length);
  void optimizer();

  // step_parts.cpp
  // Floating-point operations of a token: every matrix three times (frozen ones twice, as they get
  // no gradient), and causal attention: two products forward, five backward.
  double training_operations(int length);
  void train(const std::string& name);
  void decode();

  Options o_;
  std::unique_ptr<DeviceModel> model_;
  double flops_ = 0, bandwidth_ = 0;
  int failed_ = 0;
};

// One row.
void print(const std::string& name, double floor, double measured, double ratio, const char* unit);

}  // namespace masksearch::cuda::bench
