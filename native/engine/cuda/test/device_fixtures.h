// Small decoders on the device beside the CPU's float32 engine: equal weights, one batch, and how near
// the two must be.
//
// The device stores activations and their gradients as bfloat16. A gradient has passed through some 40
// such roundings (two layers, ten on the way through each, ten back), each off by at most kBf16 of a
// value and kBf16 / sqrt(6) in the mean; independent ones add up to sqrt(40 / 6) kBf16 = 1.0 % of its
// length. kShare is three times that.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "device_array.h"
#include "device_sampler.h"
#include "fixtures.h"

namespace test {

constexpr double kShare = 3 * 2.58 * kBf16;

// One row per reason.
inline const std::vector<Shape>& device_shapes() {
  const auto config = [](int V, int C, int L, int H, int K, int D, int F, bool bias, bool tied) {
    return masksearch::DecoderConfig{V, C, L, H, K, D, F, 1e4, 1e-6, 256, bias, tied};
  };
  const auto normed = [](masksearch::DecoderConfig c) {
    c.query_key_norm = true;
    return c;
  };
  static const std::vector<Shape> all = {
      {"plain attention, tied, bias", config(61, 32, 2, 4, 2, 16, 48, true, true), {7, 1, 33}},
      {"tensor cores, untied, no bias", config(40, 64, 2, 2, 1, 64, 72, false, false), {66, 5}},
      {"Qwen3: normalised heads, plain attention, wider than the width",
       normed(config(40, 24, 2, 4, 2, 16, 40, false, false)),
       {13, 1, 40}},
      {"Qwen3: normalised heads of 128, one key head",
       normed(config(31, 32, 2, 3, 1, 128, 40, false, true)),
       {34}},
  };
  return all;
}

struct Pair : Fixture {
  std::unique_ptr<masksearch::cuda::DeviceModel> device;
};

constexpr size_t kSlab = size_t(96) << 20;

inline masksearch::cuda::DeviceOptions small_options(size_t bytes = kSlab) {
  masksearch::cuda::DeviceOptions o;
  o.memory_bytes = bytes;
  return o;
}

// Seeded values that bfloat16 holds exactly, so that only activations are rounded: normal ones, and
// about 1 for norms.
inline std::vector<float> bf16_weights(const std::vector<masksearch::Parameter>& parameters,
                                       double scale, Random* random) {
  std::vector<float> weights;
  for (const masksearch::Parameter& p : parameters) {
    const double mean = p.name.find("norm") != std::string::npos ? 1.0 : 0.0;
    for (size_t i = 0; i < p.count; i++)
      weights.push_back(masksearch::cuda::to_float(
          masksearch::cuda::to_bfloat16(float(mean + scale * random->normal()))));
  }
  return weights;
}

inline Pair make_pair(const Shape& shape, const masksearch::cuda::DeviceOptions& options,
                      const masksearch::LoraConfig& lora = {}) {
  using masksearch::cuda::Arena;
  Pair p;
  static_cast<Fixture&>(p) = make_fixture(shape, 7, 1, false);
  p.model = std::make_unique<masksearch::Model>(shape.config, 1, lora);
  p.device = std::make_unique<masksearch::cuda::DeviceModel>(shape.config, lora, options);
  Random random(1);
  const auto weights = bf16_weights(p.model->parameters(), 0.15, &random);
  std::copy(weights.begin(), weights.end(), p.model->weights());
  p.device->write(Arena::weights, 0, weights.size(), weights.data());
  if (lora.rank == 0) return p;
  const auto adapter = bf16_weights(p.model->trained_parameters(), 0.1, &random);
  std::copy(adapter.begin(), adapter.end(), p.model->trained_weights());
  p.device->write(Arena::trained_weights, 0, adapter.size(), adapter.data());
  return p;
}

struct Run {
  masksearch::AccumulateResult result;
  std::vector<float> log_probs, entropies, gradients;
};

inline Run run_device(const Pair& p, const masksearch::TokenLoss& loss) {
  Run r;
  r.log_probs.resize(p.tokens.size());
  r.entropies.resize(p.tokens.size());
  r.result = p.device->accumulate(p.batch(), loss, r.log_probs.data(), r.entropies.data());
  r.gradients.resize(p.model->trained_count());
  p.device->read(masksearch::cuda::Arena::gradients, 0, r.gradients.size(), r.gradients.data());
  return r;
}

inline Run run_cpu(const Pair& p, const masksearch::TokenLoss& loss) {
  Run r;
  r.log_probs.resize(p.tokens.size());
  r.entropies.resize(p.tokens.size());
  r.result = p.model->accumulate(p.batch(), loss, r.log_probs.data(), r.entropies.data());
  r.gradients.assign(p.model->gradients(), p.model->gradients() + p.model->trained_count());
  return r;
}

inline double length_of(const float* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += double(x[i]) * x[i];
  return std::sqrt(sum);
}

// Each parameter's gradient within `share` of its length, as a whole.
inline void check_gradients(const Pair& p, const Run& device, const Run& cpu,
                            double share = kShare) {
  for (const masksearch::Parameter& parameter : p.model->trained_parameters()) {
    std::vector<float> difference(parameter.count);
    for (size_t i = 0; i < parameter.count; i++)
      difference[i] = device.gradients[parameter.offset + i] - cpu.gradients[parameter.offset + i];
    const double expected = length_of(cpu.gradients.data() + parameter.offset, parameter.count);
    const double off = length_of(difference.data(), parameter.count);
    // Key biases have almost no gradient of their own: what is left is rounding of larger terms.
    const double floor = 1e-3 * length_of(cpu.gradients.data(), cpu.gradients.size());
    if (!(off <= share * expected + floor))
      fail(__FILE__, __LINE__,
           parameter.name + ": gradient of length " + std::to_string(expected) + " is off by " +
               std::to_string(off));
  }
}

// Whether every product adds in one order, as under the emulator. cuBLASLt may choose another algorithm
// for another number of rows, and two models tune apart: then roundings differ, and a close draw may
// fall on another token.
#if defined(MASKSEARCH_EMULATED)
constexpr bool kOneOrder = true;
#else
constexpr bool kOneOrder = false;
#endif

// Bit for bit where products add in one order, else within `kShare` of the length.
inline void same_but_for_products(const char* file, int line, const std::string& what,
                                  const std::vector<float>& actual,
                                  const std::vector<float>& expected) {
  if (kOneOrder) return same_bits(file, line, what, actual.data(), expected.data(), actual.size());
  std::vector<float> difference(actual.size());
  for (size_t i = 0; i < actual.size(); i++) difference[i] = actual[i] - expected[i];
  const double off = length_of(difference.data(), difference.size());
  const double length = length_of(expected.data(), expected.size());
  if (!(off <= kShare * length))
    fail(file, line, what + ": of length " + std::to_string(length) + ", is off by " +
                         std::to_string(off));
}
#define CHECK_SAME_BUT_FOR_PRODUCTS(what, actual, expected) \
  test::same_but_for_products(__FILE__, __LINE__, what, actual, expected)

inline masksearch::TokenLoss device_loss() {
  masksearch::TokenLoss loss{};
  loss.kind = masksearch::LossKind::cross_entropy;
  loss.scale = 1.0 / 32;
  return loss;
}

}  // namespace test
