// Keys and values of one sequence in all layers. Grows in blocks, so that a long conversation
// copies its cache a few times only.
#pragma once

#include "arena.h"
#include "decoder.h"

namespace masksearch {

class KeyValueCache {
 public:
  // Room for `length` tokens, of which the first `kept` already hold keys and values; the sequence
  // will have `most` tokens at most.
  void reserve(const DecoderConfig& config, DataType type, int length, int kept, int most);
  // The first `tokens`, a multiple of kPanel, are those of `from`. There is room for them.
  void copy_first(const DecoderConfig& config, const KeyValueCache& from, int tokens);
  KeyValues layer(const DecoderConfig& config, int layer) const;
  void release();

 private:
  size_t head_cells(const DecoderConfig& config) const;

  StoredBuffer data_;  // (L, 2, K, capacity, D): key tiles, then values
  int capacity_ = 0;
};

}  // namespace masksearch
