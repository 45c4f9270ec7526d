// Checks that launchers share.
#pragma once

#include <stdexcept>
#include <string>

#include "device_code.h"

namespace masksearch::cuda {

inline void require(bool valid, const char* kernel, const char* expected, int64_t received) {
  if (valid) return;
  throw std::invalid_argument(std::string(kernel) + ": expected " + expected + ", received " +
                              std::to_string(received));
}

inline void require_width(const char* kernel, int64_t width) {
  require(width > 0 && width % 8 == 0, kernel, "a width that is a positive multiple of 8", width);
}

}  // namespace masksearch::cuda
