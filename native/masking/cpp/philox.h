// Philox4x32-10, the counter-based generator of packages/core/src/random.ts.
// @see Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11)
#pragma once

#include <array>
#include <cstdint>

namespace masksearch {

inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, uint32_t key0,
                                          uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t product0 = uint64_t{0xd2511f53} * counter[0];
    const uint64_t product1 = uint64_t{0xcd9e8d57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<uint32_t>(product0)};
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
  return counter;
}

// The words of one stream in order: counter = (block, purpose, sequence low, sequence high).
class PhiloxWords {
 public:
  PhiloxWords(const uint32_t key[2], uint32_t purpose, uint64_t sequence)
      : key0_(key[0]),
        key1_(key[1]),
        purpose_(purpose),
        low_(static_cast<uint32_t>(sequence)),
        high_(static_cast<uint32_t>(sequence >> 32)) {}

  uint32_t next() {
    if (used_ == 4) {
      words_ = philox4x32({block_++, purpose_, low_, high_}, key0_, key1_);
      used_ = 0;
    }
    return words_[used_++];
  }

 private:
  uint32_t key0_, key1_, purpose_, low_, high_;
  uint32_t block_ = 0;
  int used_ = 4;
  std::array<uint32_t, 4> words_{};
};

}  // namespace masksearch
