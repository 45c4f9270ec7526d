// A model and its samplers on any device, as the engine thread uses them. The CPU's are the engine's
// own classes; the GPU's come from the CUDA plug-in, which is loaded when the first one is made.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine.h"

namespace masksearch::addon {

enum class Arena { weights, trained_weights, gradients, first_moments, second_moments };

// As Sampler in engine.h.
class AnySampler {
 public:
  virtual ~AnySampler() = default;
  virtual int open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) = 0;
  virtual void append(int sequence, const int32_t* tokens, int count) = 0;
  virtual void generate(int sequence, const GenerateRequest& request) = 0;
  virtual void cancel(int sequence) = 0;
  virtual void close(int sequence) = 0;
  virtual bool step(std::vector<Generated>* finished) = 0;
};

// As Model in engine.h; arenas are read and written as float32 copies.
class AnyModel {
 public:
  virtual ~AnyModel() = default;
  virtual const std::vector<Parameter>& parameters() const = 0;
  virtual const std::vector<Parameter>& trained_parameters() const = 0;
  virtual std::string device() const = 0;
  // What memory is used for, as a table; empty where there is no plan.
  virtual std::string memory() const = 0;
  virtual size_t count(Arena arena) const = 0;  // floats
  virtual void read(Arena arena, size_t offset, size_t count, float* out) = 0;
  virtual void write(Arena arena, size_t offset, size_t count, const float* values) = 0;
  virtual void set_version(int64_t version) = 0;
  virtual AccumulateResult accumulate(const Batch& batch, const TokenLoss& loss, float* log_probs,
                                      float* entropies) = 0;
  virtual void score(const Batch& batch, float* log_probs, float* entropies,
                     AdapterUse adapter) = 0;
  virtual double step(const AdamW& options) = 0;
  virtual std::unique_ptr<AnySampler> open_sampler(int max_sequences, int max_context_tokens) = 0;
};

std::unique_ptr<AnyModel> make_cpu_model(const DecoderConfig& config, int threads,
                                         const LoraConfig& lora, DataType type);

// Something that this machine lacks; the message names the fix.
struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CudaOptions {
  std::string plugin;      // path of libmasksearch_cuda.so
  double memory_bytes = 0;  // 0 = 85 % of what is free
  int pass_tokens = 0;     // 0 = the plug-in's default
  bool tune = true;
  bool graphs = true;      // record work that comes again and replay it
  std::string cache_file;  // of tuned products; empty = nowhere
};

// @throws Unavailable the plug-in is missing or of another version, or finds no GPU.
std::unique_ptr<AnyModel> make_cuda_model(const DecoderConfig& config, const LoraConfig& lora,
                                          const CudaOptions& options);
// Name of the GPU that the plug-in finds. @throws as make_cuda_model.
std::string probe_cuda(const std::string& plugin);

}  // namespace masksearch::addon
