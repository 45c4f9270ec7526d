// Keys and values of one sequence in all layers.
#include "key_value_cache.h"

#include <algorithm>
#include <cstring>

#include "sizes.h"

namespace masksearch {

size_t KeyValueCache::head_cells(const DecoderConfig& config) const {
  return size_t(capacity_) * size_t(stored_row(data_.data().type, config.head_width));
}

void KeyValueCache::reserve(const DecoderConfig& config, DataType type, int length, int kept,
                            int most) {
  if (length <= capacity_) return;
  const size_t head_row = size_t(stored_row(type, config.head_width));
  const size_t old_cells = head_cells(config);
  // Half as much again, so that the copies add up to a constant per token.
  const int wanted = std::max(length, std::min(capacity_ + capacity_ / 2, most));
  capacity_ = (wanted + kCacheBlock - 1) / kCacheBlock * kCacheBlock;
  const size_t new_cells = size_t(capacity_) * head_row;
  const size_t heads = size_t(config.layers) * 2 * config.key_value_heads;
  StoredBuffer grown;
  const Cells to = grown.reserve(type, heads * new_cells);
  const size_t used = size_t(panels(kept)) * kPanel * head_row;
  if (kept > 0)
    for (size_t head = 0; head < heads; head++)
      std::memcpy((to + ptrdiff_t(head * new_cells)).data,
                  (data_.data() + ptrdiff_t(head * old_cells)).data, used * bytes_of(type));
  data_ = std::move(grown);
}

void KeyValueCache::copy_first(const DecoderConfig& config, const KeyValueCache& from, int tokens) {
  const DataType type = data_.data().type;
  const size_t bytes = size_t(tokens) * size_t(stored_row(type, config.head_width)) * bytes_of(type);
  const ptrdiff_t heads = ptrdiff_t(config.layers) * 2 * config.key_value_heads;
  for (ptrdiff_t head = 0; head < heads; head++)
    std::memcpy((data_.data() + head * ptrdiff_t(head_cells(config))).data,
                (from.data_.data() + head * ptrdiff_t(from.head_cells(config))).data, bytes);
}

KeyValues KeyValueCache::layer(const DecoderConfig& config, int layer) const {
  const size_t cells = head_cells(config);
  const ptrdiff_t all_heads = ptrdiff_t(size_t(config.key_value_heads) * cells);
  const Cells keys = data_.data() + layer * 2 * all_heads;
  return {keys, keys + all_heads, cells};
}

void KeyValueCache::release() {
  data_ = StoredBuffer();
  capacity_ = 0;
}

}  // namespace masksearch
