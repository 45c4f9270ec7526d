// Work lists that the host makes once a batch and every layer's kernels read: query and key tiles
// of packed sequences, the order of rows by token, and the arena in spans.
#pragma once

#include <vector>

#include "cuda_kernels.h"
#include "engine.h"

namespace masksearch::cuda {

// `count` consecutive rows of one sequence from `row` on; `position` of them are in its past.
struct RowRun {
  int32_t row, count, position, sequence;
};

// Tiles of at most 64 rows, those with the most keys first. `position` of every tile counts from
// the run's, so a tile starts where a key tile does only if the run starts at position 0.
std::vector<QueryTile> query_tiles(const std::vector<RowRun>& runs);
// Tiles of 64 keys of whole sequences (position 0), those with the most queries first.
std::vector<KeyTile> key_tiles(const std::vector<RowRun>& runs);

// Pairs of a query tile and a key tile that it sees, of whole sequences.
int64_t tile_pairs(const std::vector<RowRun>& runs);

// Rows of equal tokens together, in row order, tokens ascending: the input of embed_backward.
struct EmbeddingOrder {
  std::vector<int32_t> token;  // (U) distinct tokens
  std::vector<int32_t> start;  // (U + 1)
  std::vector<int32_t> order;  // (N)
};
EmbeddingOrder embedding_order(const std::vector<int32_t>& tokens);

// Every value of the arena in one span; `decay` where a parameter is decayed.
std::vector<Span> arena_spans(const std::vector<Parameter>& parameters, float decay);

}  // namespace masksearch::cuda
