// What packed matrices and kept activations are made of: a property of the buffer, not of the code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace masksearch {

// Sums, norms, losses, master weights, gradients and moments are float32 with either.
enum class DataType { float32, bfloat16 };

constexpr size_t bytes_of(DataType type) { return type == DataType::float32 ? 4 : 2; }

struct bfloat16 {
  uint16_t bits;
};
inline float widened(bfloat16 a) {
  const uint32_t bits = uint32_t(a.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
// To the nearest, ties to even; NaN stays NaN.
inline bfloat16 narrowed(float a) {
  uint32_t bits;
  std::memcpy(&bits, &a, sizeof bits);
  const uint32_t nearest = a != a ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u);
  return {uint16_t(nearest >> 16)};
}

// Elements of a type that is known at run time.
struct Cells {
  void* data = nullptr;
  DataType type = DataType::float32;

  Cells operator+(ptrdiff_t count) const {
    return {static_cast<char*>(data) + count * ptrdiff_t(bytes_of(type)), type};
  }
};

}  // namespace masksearch
