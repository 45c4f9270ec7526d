// Work that comes again, as graphs.
#include "graph_cache.h"

#include <algorithm>

namespace masksearch::cuda {

void GraphCache::run(const Key& key, bool tunes, const std::function<void()>& work) {
  if (capacity_ == 0) return work();
  Entry& entry = entry_of(key);
  if (entry.graph != nullptr && entry.revision != gemm_.revision()) {
    entry.graph = nullptr;
    entry.ran[tunes] = false;
  }
  if (!entry.ran[tunes]) {
    work();
    entry.ran[tunes] = true;
    return;
  }
  if (entry.graph == nullptr) record(&entry, work);
  stream_.replay(*entry.graph);
  replayed_++;
}

GraphCache::Entry& GraphCache::entry_of(const Key& key) {
  const auto known = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  if (known != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, known);
    return entries_.front();
  }
  if (entries_.size() == capacity_) entries_.pop_back();
  entries_.emplace_front();
  entries_.front().key = key;
  return entries_.front();
}

void GraphCache::record(Entry* entry, const std::function<void()>& work) {
  entry->graph = nullptr;
  stream_.begin_recording();
  try {
    work();
  } catch (...) {
    stream_.drop_recording();
    throw;
  }
  entry->graph = stream_.end_recording();
  entry->revision = gemm_.revision();
  recorded_++;
}

}  // namespace masksearch::cuda
