// Second stage of sums over rows: adds the partial sums of groups of rows, in their order.
#pragma once

#include "device_code.h"

namespace masksearch::cuda {

// sums[c] += partials[0,c] + partials[1,c] + …  partials (groups, width).
void add_partial_columns(Stream& stream, int groups, int width, const float* partials,
                         float* sums);

}  // namespace masksearch::cuda
