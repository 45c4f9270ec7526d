// How sums over rows are cut: each group of rows gives a partial sum, whatever the GPU.
#pragma once

namespace masksearch::cuda {

constexpr int kRowsPerGroup = 16;

inline int row_groups(int rows) { return (rows + kRowsPerGroup - 1) / kRowsPerGroup; }

}  // namespace masksearch::cuda
