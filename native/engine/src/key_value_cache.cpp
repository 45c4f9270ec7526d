// Keys and values of one sequence in all layers.
#include "key_value_cache.h"

#include <algorithm>
#include <cstring>

#include "sizes.h"

namespace masksearch {

size_t KeyValueCache::head_floats(const DecoderConfig& config) const {
  return size_t(capacity_) * config.head_width;
}

void KeyValueCache::reserve(const DecoderConfig& config, int length, int kept, int most) {
  if (length <= capacity_) return;
  const size_t old_floats = head_floats(config);
  // Half as much again, so that the copies add up to a constant per token.
  const int wanted = std::max(length, std::min(capacity_ + capacity_ / 2, most));
  capacity_ = (wanted + kCacheBlock - 1) / kCacheBlock * kCacheBlock;
  const size_t new_floats = head_floats(config);
  const size_t heads = size_t(config.layers) * 2 * config.key_value_heads;
  Buffer grown(heads * new_floats);
  const size_t used = size_t(panels(kept)) * kPanel * config.head_width;
  if (kept > 0)
    for (size_t head = 0; head < heads; head++)
      std::memcpy(grown.data() + head * new_floats, data_.data() + head * old_floats,
                  used * sizeof(float));
  data_ = std::move(grown);
}

KeyValues KeyValueCache::layer(const DecoderConfig& config, int layer) const {
  const size_t floats = head_floats(config);
  float* keys = data_.data() + size_t(layer) * 2 * config.key_value_heads * floats;
  return {keys, keys + size_t(config.key_value_heads) * floats, floats};
}

void KeyValueCache::release() {
  data_ = Buffer();
  capacity_ = 0;
}

}  // namespace masksearch
