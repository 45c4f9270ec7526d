// Work that comes again with the same launches, as graphs: it runs as it is the first time, which lets
// products be tuned and kernels be loaded, is recorded when it comes again, and replayed from then on.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "gemm.h"

namespace masksearch::cuda {

class GraphCache {
 public:
  // All that launches and their arguments depend on, but for what they read on the device.
  using Key = std::vector<int64_t>;

  // Remembers at most `capacity` keys and forgets the one used longest ago; 0: everything runs as it
  // is. Graphs hold addresses, so the memory of the work must outlive them.
  GraphCache(Stream& stream, const Gemm& gemm, size_t capacity)
      : stream_(stream), gemm_(gemm), capacity_(capacity) {}

  // `tunes`: products of this run may be tuned that others of its key may not, so that the first of
  // either kind runs as it is, and so does the first after a product was tuned. `work` may use pinned
  // host memory alone.
  void run(const Key& key, bool tunes, const std::function<void()>& work);

  // For tests.
  int64_t recorded() const { return recorded_; }
  int64_t replayed() const { return replayed_; }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Key key;
    bool ran[2] = {false, false};  // as it is: without and with `tunes`
    int64_t revision = 0;          // of the products that the graph holds
    std::unique_ptr<Graph> graph;
  };
  Entry& entry_of(const Key& key);
  void record(Entry* entry, const std::function<void()>& work);

  Stream& stream_;
  const Gemm& gemm_;
  const size_t capacity_;
  std::list<Entry> entries_;  // the last used first
  int64_t recorded_ = 0, replayed_ = 0;
};

}  // namespace masksearch::cuda
