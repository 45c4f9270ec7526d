// The engine's own model and sampler behind AnyModel.
#include <algorithm>
#include <stdexcept>

#include "any_model.h"

namespace masksearch::addon {

namespace {

class CpuSampler final : public AnySampler {
 public:
  CpuSampler(Model& model, int max_sequences, int max_context_tokens)
      : sampler_(model, max_sequences, max_context_tokens) {}

  int open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) override {
    return sampler_.open(tokens, count, key0, key1);
  }
  void append(int sequence, const int32_t* tokens, int count) override {
    sampler_.append(sequence, tokens, count);
  }
  void generate(int sequence, const GenerateRequest& request) override {
    sampler_.generate(sequence, request);
  }
  void cancel(int sequence) override { sampler_.cancel(sequence); }
  void close(int sequence) override { sampler_.close(sequence); }
  bool step(std::vector<Generated>* finished) override { return sampler_.step(finished); }

 private:
  Sampler sampler_;
};

class CpuModel final : public AnyModel {
 public:
  CpuModel(const DecoderConfig& config, int threads, const LoraConfig& lora, DataType type)
      : model_(config, threads, lora, type) {}

  const std::vector<Parameter>& parameters() const override { return model_.parameters(); }
  const std::vector<Parameter>& trained_parameters() const override {
    return model_.trained_parameters();
  }
  std::string device() const override { return model_.device(); }
  std::string memory() const override { return ""; }
  size_t count(Arena arena) const override {
    return arena == Arena::weights ? model_.parameter_count() : model_.trained_count();
  }
  void read(Arena arena, size_t offset, size_t count, float* out) override {
    std::copy_n(arena_of(arena) + offset, count, out);
  }
  void write(Arena arena, size_t offset, size_t count, const float* values) override {
    std::copy_n(values, count, arena_of(arena) + offset);
  }
  void set_version(int64_t version) override { model_.set_version(version); }
  AccumulateResult accumulate(const Batch& batch, const TokenLoss& loss, float* log_probs,
                              float* entropies) override {
    return model_.accumulate(batch, loss, log_probs, entropies);
  }
  void score(const Batch& batch, float* log_probs, float* entropies,
             AdapterUse adapter) override {
    model_.score(batch, log_probs, entropies, adapter);
  }
  double step(const AdamW& options) override { return model_.step(options); }
  std::unique_ptr<AnySampler> open_sampler(int max_sequences, int max_context_tokens) override {
    return std::make_unique<CpuSampler>(model_, max_sequences, max_context_tokens);
  }

 private:
  float* arena_of(Arena arena) {
    switch (arena) {
      case Arena::weights:
        return model_.weights();
      case Arena::trained_weights:
        return model_.trained_weights();
      case Arena::gradients:
        return model_.gradients();
      case Arena::first_moments:
        return model_.first_moments();
      case Arena::second_moments:
        return model_.second_moments();
    }
    throw std::invalid_argument("expected an arena of the model");
  }

  Model model_;
};

}  // namespace

std::unique_ptr<AnyModel> make_cpu_model(const DecoderConfig& config, int threads,
                                         const LoraConfig& lora, DataType type) {
  return std::make_unique<CpuModel>(config, threads, lora, type);
}

}  // namespace masksearch::addon
