// bfloat16 as storage: sixteen bits that widen to float32 exactly and are made by rounding to nearest even.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../src/host_device.h"

namespace masksearch::cuda {

struct bfloat16 {
  uint16_t bits;
};

MASKSEARCH_HOST_DEVICE uint32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

MASKSEARCH_HOST_DEVICE float float_of(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

MASKSEARCH_HOST_DEVICE float to_float(bfloat16 x) { return float_of(uint32_t(x.bits) << 16); }

MASKSEARCH_HOST_DEVICE bfloat16 to_bfloat16(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};  // NaN
  return {uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// Two values in one register, `low` in the low half: what the tensor cores read.
MASKSEARCH_HOST_DEVICE uint32_t pack_bfloat16(float low, float high) {
#if defined(__CUDA_ARCH__)
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#else
  return uint32_t(to_bfloat16(low).bits) | uint32_t(to_bfloat16(high).bits) << 16;
#endif
}

// The exact float32 master of a weight in two parts: the bfloat16 that the kernels read, and the
// sixteen bits by which the master differs from it. joined(split(x)) is x for every finite x whose
// bfloat16 is finite; the bfloat16 is x rounded to nearest, ties away from zero.
struct SplitMaster {
  bfloat16 weight;
  int16_t rest;
};

MASKSEARCH_HOST_DEVICE SplitMaster split_master(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t high = (bits + 0x8000u) >> 16;
  return {{uint16_t(high)}, int16_t(uint16_t(bits - (high << 16)))};
}

MASKSEARCH_HOST_DEVICE float joined_master(SplitMaster parts) {
  return float_of((uint32_t(parts.weight.bits) << 16) + uint32_t(int32_t(parts.rest)));
}

// Eight values that move as one 16-byte access.
struct alignas(16) Bfloat16x8 {
  bfloat16 at[8];
};

static_assert(sizeof(bfloat16) == 2 && sizeof(Bfloat16x8) == 16);

}  // namespace masksearch::cuda
