// Philox4x32-10, the generator of packages/core/src/random.ts: equal key and counter, equal numbers.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11).
#pragma once

#include <array>
#include <cstdint>

#include "host_device.h"

namespace masksearch {

// The ten rounds, in place.
MASKSEARCH_HOST_DEVICE void philox_rounds(uint32_t (&counter)[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t a = uint64_t(0xd2511f53) * counter[0];
    const uint64_t b = uint64_t(0xcd9e8d57) * counter[2];
    counter[0] = uint32_t(b >> 32) ^ counter[1] ^ key0;
    counter[1] = uint32_t(b);
    counter[2] = uint32_t(a >> 32) ^ counter[3] ^ key1;
    counter[3] = uint32_t(a);
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
}

inline std::array<uint32_t, 4> philox4x32(const std::array<uint32_t, 4>& counter, uint32_t key0,
                                          uint32_t key1) {
  uint32_t words[4] = {counter[0], counter[1], counter[2], counter[3]};
  philox_rounds(words, key0, key1);
  return {words[0], words[1], words[2], words[3]};
}

// Uniform in [0, 1) with 53 random bits.
inline double uniform(std::array<uint32_t, 4> counter, uint32_t key0, uint32_t key1) {
  const std::array<uint32_t, 4> words = philox4x32(counter, key0, key1);
  return (double(words[0] >> 5) * 67108864.0 + double(words[1] >> 6)) / 9007199254740992.0;
}

}  // namespace masksearch
