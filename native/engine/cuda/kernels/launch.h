// What every launch checks; plain C++, so that the host's files may include it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace masksearch::cuda {

struct Grid {
  int64_t x = 1, y = 1;
};

// Largest extents of a grid: 2^31 - 1 by 65,535. Throws std::invalid_argument.
void check_grid(const char* kernel, Grid grid);

// Both throw DeviceError with the kernel's name and CUDA's reason.
void check_launch(const char* kernel);
void allow_shared_memory(const char* kernel, const void* function, size_t bytes);

}  // namespace masksearch::cuda
