// The model of the moment, ceilings, clocks and rows of the bench.
#include "bench.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <random>

namespace masksearch::cuda::bench {

void print(const std::string& name, double floor, double measured, double ratio,
           const char* unit) {
  std::printf("{\"case\":\"%s\",\"floor\":%.5g,\"measured\":%.5g,\"ratio\":%.3f,\"unit\":\"%s\"}\n",
              name.c_str(), floor, measured, ratio, unit);
  std::fflush(stdout);
}

bool Bench::run() {
  open(o_.config, {});
  std::printf("# %s, %d multiprocessors, model %s\n", model_->state.device.name.c_str(),
              model_->state.device.multiprocessors, o_.model.c_str());
  ceilings();
  part("kernels", [&] { kernels(); });
  part("head", [&] { loss_head(); });
  part("train", [&] { train(o_.model); });
  part("decode", [&] { decode(); });
  part("lora", [&] {
    LoraConfig lora;
    lora.rank = 16;
    lora.alpha = 32;
    std::fill_n(lora.targets, int(kLoraTargets), true);
    open(o_.config, lora);
    train(o_.model + " lora 16");
  });
  part("qwen3", [&] {
    open(o_.qwen3, {});
    train(o_.qwen3_name);
  });
  if (model_ != nullptr) std::fprintf(stderr, "%s", model_->memory_report().c_str());
  return failed_ == 0;
}

void Bench::open(const DecoderConfig& config, const LoraConfig& lora) {
  if (model_ != nullptr) std::fprintf(stderr, "%s", model_->memory_report().c_str());
  model_.reset();
  DeviceOptions device;
  device.pass_tokens = o_.rows;
  device.gemm.cache_file = o_.cache;
  device.graphs = o_.graphs == "on";
  if (o_.model == "tiny") device.memory_bytes = size_t(256) << 20;
  model_ = std::make_unique<DeviceModel>(config, lora, device);
  fill_weights(Arena::weights, state().layout.parameters);
  if (state().frozen()) fill_weights(Arena::trained_weights, state().trained());
}

void Bench::part(const char* name, const std::function<void()>& work) {
  if (!o_.only.empty() && o_.only != name) return;
  try {
    work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s failed: %s\n", name, error.what());
    failed_++;
  }
}

double Bench::time(const std::function<void()>& work) {
  Stopwatch watch;
  std::vector<double> seconds;
  for (int i = 0; i < o_.runs + 2; i++) {
    watch.start(state().stream);
    work();
    const double elapsed = watch.stop(state().stream) / 1000;
    if (i >= 2) seconds.push_back(elapsed);
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

void Bench::fill_weights(Arena arena, const std::vector<Parameter>& parameters) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> block(1 << 20);
  for (float& x : block) x = normal(random);
  for (const Parameter& p : parameters) {
    const bool norm = p.name.find("norm") != std::string::npos;
    const std::vector<float> ones(norm ? p.count : 0, 1.0f);
    for (size_t first = 0; first < p.count; first += block.size()) {
      const size_t n = std::min(block.size(), p.count - first);
      model_->write(arena, p.offset + first, n, norm ? ones.data() + first : block.data());
    }
  }
}

bf16* Bench::random_values(size_t offset, size_t count) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 1);
  std::vector<bf16> block(std::min(count, size_t(1) << 20));
  for (bf16& x : block) x = to_bfloat16(normal(random));
  bf16* to = state().at<bf16>(offset);
  for (size_t first = 0; first < count; first += block.size())
    state().stream.to_device(to + first, block.data(),
                             std::min(block.size(), count - first) * sizeof(bf16));
  state().stream.synchronize();
  return to;
}

void Bench::ceilings() {
  const int64_t n = o_.ceiling;
  Ledger ledger(state().free_begin());
  const size_t bytes = size_t(n * n) * sizeof(bf16);
  const size_t a = ledger.take("a", bytes), b = ledger.take("b", bytes);
  Product p{n, n, n, {random_values(a, size_t(n * n)), n, false},
            {random_values(b, size_t(n * n)), n, true}};
  p.d = state().at<bf16>(ledger.take("d", bytes));
  p.d_row = n;
  flops_ = 2.0 * double(n) * double(n) * double(n) / time([&] { state().gemm->run(p); });
  print("ceiling product " + std::to_string(n), flops_ / 1e12, flops_ / 1e12, 1, "TFLOP/s");
  const size_t copied = std::min(size_t(2) << 30, state().free_bytes() / 4);
  const size_t from = state().free_begin();
  bandwidth_ = 2.0 * double(copied) / time([&] {
                 state().stream.copy(state().at<char>(from + copied), state().at<char>(from),
                                     copied);
               });
  print("ceiling copy", bandwidth_ / 1e9, bandwidth_ / 1e9, 1, "GB/s");
}

void Bench::print_bytes(const std::string& name, double bytes, const std::function<void()>& work) {
  const double rate = bytes / time(work);
  print(name, bandwidth_ / 1e9, rate / 1e9, rate / bandwidth_, "GB/s");
}

void Bench::print_flops(const std::string& name, double operations, const std::function<void()>& work) {
  const double rate = operations / time(work);
  print(name, flops_ / 1e12, rate / 1e12, rate / flops_, "TFLOP/s");
}

}  // namespace masksearch::cuda::bench
