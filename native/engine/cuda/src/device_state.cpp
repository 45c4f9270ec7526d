// The slab and what is always in it.
#include "device_state.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "device_config.h"
#include "rotary.h"
#include "tiles.h"

namespace masksearch::cuda {

namespace {

constexpr size_t kCopyValues = size_t(1) << 22;  // converted at a time

const DecoderConfig& checked(const DecoderConfig& config, const LoraConfig& lora) {
  check_device_config(config, lora);
  return config;
}

size_t slab_bytes(const DeviceOptions& options, const DeviceDescription& device,
                  const StatePlan& plan) {
  const size_t bytes =
      options.memory_bytes > 0 ? options.memory_bytes : device.free_bytes / 100 * 85;
  if (bytes > plan.end && bytes <= device.free_bytes) return bytes;
  throw MemoryError("model: expected " + readable_bytes(plan.end) + " of device memory for its state\n" +
                    plan.table + "and room for a pass, received " + readable_bytes(bytes) + " with " +
                    readable_bytes(device.free_bytes) + " free on " + device.name +
                    "; set memoryBytes between the two, free the GPU, or use a smaller model");
}

}  // namespace

DeviceState::DeviceState(const DecoderConfig& c, const LoraConfig& l, const DeviceOptions& o)
    : config(checked(c, l)),
      lora(l),
      options(o),
      layout(config),
      adapter_layout(config, lora),
      device(open_device()),
      span_count_(int(arena_spans(trained(), 0).size())) {
  plan = plan_state(config, frozen() ? layout.count : 0, count(Arena::trained_weights),
                    size_t(span_count_));
  slab_bytes_ = slab_bytes(options, device, plan);
  slab_ = std::make_unique<DeviceBuffer>(slab_bytes_);
  stream.clear(slab_->data(), plan.end);
  gemm = std::make_unique<Gemm>(stream, at<void>(plan.workspace), kWorkspaceBytes, device.name,
                                options.gemm);
  upload_rotary();
}

// (max_positions, D): cosines then sines, angles in float64.
void DeviceState::upload_rotary() {
  const int half = config.head_width / 2;
  std::vector<float> table(size_t(config.max_positions) * config.head_width);
  for (int i = 0; i < half; i++) {
    const double frequency = rotary_frequency(config, i);
    for (int p = 0; p < config.max_positions; p++) {
      table[size_t(p) * config.head_width + i] = float(std::cos(p * frequency));
      table[size_t(p) * config.head_width + half + i] = float(std::sin(p * frequency));
    }
  }
  stream.to_device(at<float>(plan.rotary), table.data(), table.size() * sizeof(float));
  stream.synchronize();
}

const Span* DeviceState::spans(float decay) {
  if (decay != decay_) {
    const std::vector<Span> all = arena_spans(trained(), decay);
    stream.to_device(at<Span>(plan.spans), all.data(), all.size() * sizeof(Span));
    stream.synchronize();
    decay_ = decay;
  }
  return at<Span>(plan.spans);
}

// Of gradients and moments.
size_t DeviceState::float_arena(Arena arena) const {
  return arena == Arena::gradients       ? plan.gradients
         : arena == Arena::first_moments ? plan.first_moments
                                         : plan.second_moments;
}

void DeviceState::read(Arena arena, size_t offset, size_t count, float* out) {
  if (arena > Arena::trained_weights) {
    stream.to_host(out, at<float>(float_arena(arena)) + offset, count * sizeof(float));
    return stream.synchronize();
  }
  const size_t from = arena == Arena::weights ? plan.weights : plan.trained_weights;
  std::vector<bf16> weights(std::min(count, kCopyValues));
  std::vector<int16_t> rest(weights.size());  // zeros where there is none
  for (size_t first = 0; first < count; first += kCopyValues) {
    const size_t n = std::min(kCopyValues, count - first);
    stream.to_host(weights.data(), at<bf16>(from) + offset + first, n * sizeof(bf16));
    if (has_rest(arena))
      stream.to_host(rest.data(), at<int16_t>(plan.rest) + offset + first, n * sizeof(int16_t));
    stream.synchronize();
    for (size_t i = 0; i < n; i++) out[first + i] = joined_master({weights[i], rest[i]});
  }
}

void DeviceState::write(Arena arena, size_t offset, size_t count, const float* values) {
  if (arena > Arena::trained_weights) {
    stream.to_device(at<float>(float_arena(arena)) + offset, values, count * sizeof(float));
    return stream.synchronize();
  }
  const size_t to = arena == Arena::weights ? plan.weights : plan.trained_weights;
  std::vector<bf16> weights(std::min(count, kCopyValues));
  std::vector<int16_t> rest(weights.size());
  for (size_t first = 0; first < count; first += kCopyValues) {
    const size_t n = std::min(kCopyValues, count - first);
    for (size_t i = 0; i < n; i++) {
      const SplitMaster parts = split_master(values[first + i]);
      weights[i] = parts.weight;
      rest[i] = parts.rest;
    }
    stream.to_device(at<bf16>(to) + offset + first, weights.data(), n * sizeof(bf16));
    if (has_rest(arena))
      stream.to_device(at<int16_t>(plan.rest) + offset + first, rest.data(), n * sizeof(int16_t));
    stream.synchronize();
  }
}

size_t DeviceState::held_bytes() const {
  return held_.empty() ? 0 : slab_bytes_ - held_.back().first;
}

size_t DeviceState::hold(size_t bytes) {
  const size_t rounded = (bytes + 255) / 256 * 256;
  if (rounded + 256 > free_bytes())
    throw MemoryError("device memory: expected " + readable_bytes(rounded) + ", received " +
                      readable_bytes(free_bytes()) + " free");
  const size_t top = held_.empty() ? slab_bytes_ / 256 * 256 : held_.back().first;
  const size_t offset = top - rounded;
  held_.push_back({offset, rounded});
  return offset;
}

void DeviceState::release(size_t offset) {
  held_.erase(std::remove_if(held_.begin(), held_.end(),
                             [&](const auto& each) { return each.first == offset; }),
              held_.end());
}

}  // namespace masksearch::cuda
