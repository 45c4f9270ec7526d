// Tiles of keys and values that stream through shared memory: one is computed with while the next
// one arrives.
#pragma once

#include "attention_keys.h"
#include "tensor_core.h"

namespace masksearch::cuda {

// Two buffers of 64 keys and 64 values of D columns, filled in turn by kThreads threads.
template <int D, int kThreads>
struct KeyBuffers {
  static constexpr int kTileValues = kTileRows * D;
  static constexpr size_t kBytes = size_t(4) * kTileValues * sizeof(bf16);

  bf16* memory;

  __device__ SharedTile<D> keys(int tile) const {
    return {memory + (tile & 1) * 2 * kTileValues};
  }
  __device__ SharedTile<D> values(int tile) const {
    return {memory + ((tile & 1) * 2 + 1) * kTileValues};
  }

  // Starts copying a tile, as far as `query` sees it, and closes the group of copies, which is empty
  // from tile `end` on.
  template <class Source>
  __device__ void fetch(const Source& source, const AttentionShape& shape, const QueryTile& query,
                        int key_head, int tile, int end) const {
    if (tile < end) {
      const KeyRows from = source.tile(shape, query, key_head, tile);
      const int visible =
          smaller(kTileRows, query.position + query.rows - tile * kTileRows);
      keys(tile).template copy_rows<kTileRows, kThreads>(from.keys, from.stride, visible);
      values(tile).template copy_rows<kTileRows, kThreads>(from.values, from.stride, visible);
    }
    commit_copies();
  }
};

}  // namespace masksearch::cuda
