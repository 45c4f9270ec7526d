// Rows and work lists of a pass.
#include "pass_lists.h"

#include <algorithm>

namespace masksearch::cuda {

namespace {

template <class Count>
Count power_of_two_from(Count count) {
  Count power = 1;
  while (power < count) power *= 2;
  return power;
}

int padded_rows(int rows) {
  int step = kTileRows;
  while (step * 16 < rows) step *= 2;
  return (rows + step - 1) / step * step;
}

}  // namespace

PassLists pass_lists(const Batch& batch, int first, int last) {
  PassLists lists;
  lists.first_token = batch.offsets[first];
  for (int s = first; s < last; s++) {
    const int count = batch.offsets[s + 1] - batch.offsets[s];
    lists.runs.push_back({lists.rows(), count, 0, s - first});
    for (int t = 0; t < count; t++) {
      const int token = batch.offsets[s] + t;
      lists.tokens.push_back(batch.tokens[token]);
      lists.positions.push_back(t);
      if (batch.loss_mask[token] != 0) lists.labels.push_back(token);
    }
  }
  lists.queries = query_tiles(lists.runs);
  lists.keys = key_tiles(lists.runs);
  return lists;
}

PassLists padded(PassLists lists) {
  const RowRun longest =
      *std::max_element(lists.runs.begin(), lists.runs.end(),
                        [](const RowRun& a, const RowRun& b) { return a.count < b.count; });
  const int rows = padded_rows(lists.rows());
  while (lists.rows() < rows) {
    const int count = std::min({longest.count, kTileRows, rows - lists.rows()});
    lists.runs.push_back({lists.rows(), count, 0, int32_t(lists.runs.size())});
    for (int t = 0; t < count; t++) {
      lists.tokens.push_back(lists.tokens[size_t(longest.row) + t]);
      lists.positions.push_back(t);
    }
  }
  lists.queries = query_tiles(lists.runs);
  lists.keys = key_tiles(lists.runs);
  const size_t tiles = size_t(power_of_two_from(int(lists.queries.size())));
  lists.queries.resize(tiles);
  lists.keys.resize(tiles);
  return lists;
}

PassSize padded_size(const PassLists& padded, bool backward) {
  PassSize size = padded.size(backward);
  size.labels = std::min(power_of_two_from(size.labels), size.rows);
  size.pairs = power_of_two_from(size.pairs);
  return size;
}

}  // namespace masksearch::cuda
