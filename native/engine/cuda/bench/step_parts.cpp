// The parts of the bench that time whole training steps and decoding.
#include <algorithm>
#include <random>
#include <vector>

#include "bench.h"

namespace masksearch::cuda::bench {

double Bench::training_operations(int length) {
  const DecoderConfig& c = state().config;
  const double q = double(c.heads) * c.head_width, kv = double(c.key_value_heads) * c.head_width;
  const double layer = double(c.width) * (2 * q + 2 * kv + 3.0 * c.feed_forward_width);
  const double matrices = layer * c.layers + double(c.vocabulary_size) * c.width;
  const double frozen = 4 * matrices + 6 * double(state().adapter_layout.count);
  return (state().frozen() ? frozen : 6 * matrices) + 7.0 * length * q * c.layers;
}

void Bench::train(const std::string& name) {
  for (const int length : {std::min(1024, o_.rows), std::min(4096, o_.rows)}) {
    const int count = o_.rows / length;
    std::mt19937 random(3);
    std::vector<int32_t> tokens(size_t(count) * length), offsets;
    std::vector<uint8_t> mask(tokens.size(), 1);
    const uint32_t V = uint32_t(state().config.vocabulary_size);
    for (int32_t& token : tokens) token = int32_t(random() % V);
    for (int i = 0; i <= count; i++) offsets.push_back(i * length);
    for (int i = 0; i < count; i++) mask[size_t(i) * length] = 0;
    std::vector<float> log_probs(tokens.size()), entropies(tokens.size());
    TokenLoss loss{};
    loss.kind = LossKind::cross_entropy;
    loss.scale = 1.0 / double(tokens.size());
    const Batch batch = {tokens.data(), offsets.data(), mask.data(), int(tokens.size()), count};
    const double seconds = time([&] {
      model_->accumulate(batch, loss, log_probs.data(), entropies.data());
      model_->step({1e-6, 0.9, 0.95, 1e-8, 0.1, 1.0});
    });
    const double floor = flops_ / training_operations(length);
    const double rate = double(tokens.size()) / seconds;
    print("train " + name + " " + std::to_string(count) + "x" + std::to_string(length) + how(),
          floor, rate, rate / floor, "tokens/s");
  }
}

void Bench::decode() {
  const DecoderConfig& c = o_.config;
  const int context = std::min(1024, c.max_positions / 2);
  const double key_bytes = 4.0 * c.layers * c.key_value_heads * c.head_width;
  const double weight_bytes = 2.0 * double(state().layout.count);
  for (const int batch : {1, 64, 256}) {
    if (o_.model == "tiny" && batch > 2) continue;
    DeviceSampler sampler(*model_, batch, context + 8 * o_.decode_tokens);
    std::mt19937 random(4);
    for (int i = 0; i < batch; i++) {
      std::vector<int32_t> prompt(static_cast<size_t>(context));
      for (int32_t& token : prompt) token = int32_t(random() % uint32_t(c.vocabulary_size));
      const int handle = sampler.open(prompt.data(), context, uint32_t(i), 0);
      sampler.generate(handle, {7 * o_.decode_tokens, {}, 1, 0});
    }
    std::vector<Generated> finished;
    for (int i = 0; i < 4; i++) sampler.step(&finished);  // reads the prompts, records the graph
    Stopwatch watch;
    watch.start(state().stream);
    for (int i = 0; i < o_.decode_tokens; i++) sampler.step(&finished);
    const double seconds = watch.stop(state().stream) / 1000 / o_.decode_tokens;
    // Products read every weight or do their arithmetic, two operations for the two bytes of one;
    // then attention reads keys and values.
    const double products = std::max(weight_bytes / bandwidth_, batch * weight_bytes / flops_);
    const double keys = batch * (context + o_.decode_tokens / 2.0) * key_bytes / bandwidth_;
    const double floor = batch / (products + keys), rate = batch / seconds;
    print("decode " + o_.model + " B " + std::to_string(batch) + how(), floor, rate,
          rate / floor, "tokens/s");
  }
}

}  // namespace masksearch::cuda::bench
