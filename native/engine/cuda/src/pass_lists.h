// The rows of one pass through the layers and the work lists over them, made on the host. Knows nothing
// about memory or launches.
#pragma once

#include <vector>

#include "memory_plan.h"
#include "tiles.h"

namespace masksearch::cuda {

struct PassLists {
  int first_token = 0;           // of the batch
  std::vector<int32_t> labels;   // of the batch: tokens that have a label
  std::vector<int32_t> tokens, positions;
  std::vector<RowRun> runs;
  std::vector<QueryTile> queries;
  std::vector<KeyTile> keys;

  int rows() const { return int(tokens.size()); }
  PassSize size(bool backward) const {
    return {rows(), int(queries.size()), int(labels.size()), backward, tile_pairs(runs)};
  }
};

// Of sequences first … last - 1.
PassLists pass_lists(const Batch& batch, int first, int last);

// Sizes that passes of nearly equal shape share, so that they replay one graph: rows rounded up by at
// most a sixteenth or to a multiple of 64, tiles to a power of two. Rows that are added repeat the
// beginning of the longest sequence, so they hold nothing that is not in the batch, have no label, and
// add zeros to every gradient; tiles that are added have no rows.
PassLists padded(PassLists lists);
// The size to plan such a pass with: labels and pairs of tiles are powers of two as well.
PassSize padded_size(const PassLists& padded, bool backward);

}  // namespace masksearch::cuda
