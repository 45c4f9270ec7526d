// Seeded inputs for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "philox.h"

namespace test {

class Random {
 public:
  explicit Random(uint32_t seed) : seed_(seed) {}

  double uniform() { return masksearch::uniform({next_++, 0, 0, 0}, seed_, 7); }
  int below(int n) { return int(uniform() * n); }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  std::vector<float> normals(size_t count, double scale) {
    std::vector<float> values(count);
    for (float& value : values) value = float(scale * normal());
    return values;
  }

 private:
  uint32_t seed_;
  uint32_t next_ = 0;
};

}  // namespace test
