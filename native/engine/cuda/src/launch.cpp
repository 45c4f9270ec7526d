// What every launch checks.
#include "launch.h"

#include <stdexcept>
#include <string>

namespace masksearch::cuda {

void check_grid(const char* kernel, Grid grid) {
  if (grid.x >= 0 && grid.x <= INT32_MAX && grid.y >= 0 && grid.y <= 65535) return;
  throw std::invalid_argument(std::string(kernel) +
                              ": expected a grid of at most 2147483647 x 65535 blocks, received " +
                              std::to_string(grid.x) + " x " + std::to_string(grid.y));
}

}  // namespace masksearch::cuda
