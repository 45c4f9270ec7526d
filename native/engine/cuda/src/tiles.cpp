// Work lists of a batch.
#include "tiles.h"

#include <algorithm>
#include <numeric>

namespace masksearch::cuda {

namespace {

// Of a query tile with a key tile that it sees, where the run is a whole sequence.
int64_t pairs_of(const RowRun& run) {
  const int64_t tiles = (int64_t(run.count) + kTileRows - 1) / kTileRows;
  return tiles * (tiles + 1) / 2;
}

}  // namespace

int64_t tile_pairs(const std::vector<RowRun>& runs) {
  int64_t pairs = 0;
  for (const RowRun& run : runs) pairs += pairs_of(run);
  return pairs;
}

std::vector<QueryTile> query_tiles(const std::vector<RowRun>& runs) {
  std::vector<QueryTile> tiles;
  int64_t pairs = 0;
  for (const RowRun& run : runs) {
    for (int32_t first = 0; first < run.count; first += kTileRows)
      tiles.push_back({run.row + first, std::min(kTileRows, run.count - first),
                       run.position + first, run.sequence, int32_t(pairs)});
    pairs += pairs_of(run);
  }
  std::stable_sort(tiles.begin(), tiles.end(), [](const QueryTile& a, const QueryTile& b) {
    return a.position + a.rows > b.position + b.rows;
  });
  return tiles;
}

std::vector<KeyTile> key_tiles(const std::vector<RowRun>& runs) {
  std::vector<KeyTile> tiles;
  int64_t pairs = 0;
  for (const RowRun& run : runs) {
    for (int32_t first = 0; first < run.count; first += kTileRows)
      tiles.push_back({run.row + first, std::min(kTileRows, run.count - first), first, run.count,
                       int32_t(pairs)});
    pairs += pairs_of(run);
  }
  std::stable_sort(tiles.begin(), tiles.end(), [](const KeyTile& a, const KeyTile& b) {
    return a.length - a.position > b.length - b.position;
  });
  return tiles;
}

EmbeddingOrder embedding_order(const std::vector<int32_t>& tokens) {
  EmbeddingOrder result;
  result.order.resize(tokens.size());
  std::iota(result.order.begin(), result.order.end(), 0);
  std::stable_sort(result.order.begin(), result.order.end(),
                   [&](int32_t a, int32_t b) { return tokens[a] < tokens[b]; });
  for (size_t i = 0; i < result.order.size(); i++) {
    const int32_t token = tokens[result.order[i]];
    if (!result.token.empty() && result.token.back() == token) continue;
    result.token.push_back(token);
    result.start.push_back(int32_t(i));
  }
  result.start.push_back(int32_t(tokens.size()));
  return result;
}

std::vector<Span> arena_spans(const std::vector<Parameter>& parameters, float decay) {
  std::vector<Span> spans;
  for (const Parameter& p : parameters)
    for (size_t first = 0; first < p.count; first += kSpanValues)
      spans.push_back({int64_t(p.offset + first),
                       int32_t(std::min(size_t(kSpanValues), p.count - first)),
                       p.decayed ? decay : 0.0f});
  return spans;
}

}  // namespace masksearch::cuda
