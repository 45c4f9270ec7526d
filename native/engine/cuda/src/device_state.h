// What a model owns on the device: one slab with its arenas at the bottom and the rest for whoever
// needs it at the time, a stream, and the library of products.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gemm.h"
#include "memory_plan.h"
#include "parameters.h"

namespace masksearch::cuda {

struct DeviceOptions {
  size_t memory_bytes = 0;        // of the slab; 0 = 85 % of what is free
  int pass_tokens = kPassTokens;  // rows that go through the layers together, at least one sequence
  bool graphs = true;             // record work that comes again; see GraphCache
  GemmOptions gemm;
};

// As the addon's: all but `weights` hold what is trained, the adapter where there is one.
enum class Arena { weights, trained_weights, gradients, first_moments, second_moments };

class DeviceState {
 public:
  // With an adapter (lora.rank > 0) the decoder's weights are frozen, kept as bfloat16 alone.
  // @throws std::invalid_argument a config that the kernels do not take.
  // @throws MemoryError the state does not fit. @throws UnavailableError no usable GPU.
  DeviceState(const DecoderConfig& config, const LoraConfig& lora, const DeviceOptions& options);

  const DecoderConfig config;
  const LoraConfig lora;
  const DeviceOptions options;
  const Layout layout;
  const AdapterLayout adapter_layout;
  const DeviceDescription device;
  Stream stream;

  template <class T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(static_cast<unsigned char*>(slab_->data()) + offset);
  }
  const bf16* weight(size_t offset) const { return at<bf16>(plan.weights) + offset; }
  const bf16* trained_weight(size_t offset) const {
    return at<bf16>(plan.trained_weights) + offset;
  }
  float* gradient(size_t offset) const { return at<float>(plan.gradients) + offset; }
  bool frozen() const { return lora.rank > 0; }
  const std::vector<Parameter>& trained() const {
    return frozen() ? adapter_layout.parameters : layout.parameters;
  }
  size_t count(Arena arena) const {
    return frozen() && arena != Arena::weights ? adapter_layout.count : layout.count;
  }
  const float* rotary() const { return at<float>(plan.rotary); }
  int span_count() const { return span_count_; }
  // Of the decay that the last step used; uploaded again when it changes.
  const Span* spans(float decay);

  // A copy of `count` values from `offset` on, as float32; trained weights are the exact masters.
  void read(Arena arena, size_t offset, size_t count, float* out);
  void write(Arena arena, size_t offset, size_t count, const float* values);

  // Memory between the state and the lowest sampler, for a pass.
  size_t free_begin() const { return plan.end; }
  size_t free_bytes() const { return slab_bytes_ - held_bytes() - plan.end; }
  // From the top downwards. Returns the offset. @throws MemoryError.
  size_t hold(size_t bytes);
  void release(size_t offset);
  size_t held_bytes() const;

  StatePlan plan;
  std::unique_ptr<Gemm> gemm;

 private:
  void upload_rotary();
  size_t float_arena(Arena arena) const;
  bool has_rest(Arena arena) const { return !frozen() || arena == Arena::trained_weights; }

  size_t slab_bytes_;
  std::unique_ptr<DeviceBuffer> slab_;
  std::vector<std::pair<size_t, size_t>> held_;  // offset, bytes; the last is the lowest
  int span_count_ = 0;
  float decay_ = -1;
};

}  // namespace masksearch::cuda
