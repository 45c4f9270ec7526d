// First-fit-decreasing bin packing in O(B log B), with a tree over the bins' free room.
#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

#include "masking.h"

namespace masksearch {
namespace {

// A complete binary tree whose inner nodes hold the larger room of their children.
class Rooms {
 public:
  Rooms(int64_t bins, int32_t budget)
      : leaves_(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(bins, 1)))),
        rooms_(2 * leaves_, budget) {}

  // Takes `length` from the first bin with that much room; there must be one.
  int32_t take(int32_t length) {
    uint64_t node = 1;
    while (node < leaves_) {
      node *= 2;
      if (rooms_[node] < length) node++;
    }
    const auto bin = static_cast<int32_t>(node - leaves_);
    rooms_[node] -= length;
    for (node /= 2; node >= 1; node /= 2) {
      rooms_[node] = std::max(rooms_[2 * node], rooms_[2 * node + 1]);
    }
    return bin;
  }

 private:
  uint64_t leaves_;
  std::vector<int32_t> rooms_;
};

}  // namespace

Result pack_first_fit_decreasing(const int32_t* lengths, int64_t count, int32_t budget,
                                 const PackingOutput& output) {
  for (int64_t b = 0; b < count; b++) {
    if (lengths[b] < 0) return {Fault::lengths, b};
  }
  std::vector<int32_t> sorted(static_cast<size_t>(count));
  std::iota(sorted.begin(), sorted.end(), 0);
  std::sort(sorted.begin(), sorted.end(), [lengths](int32_t a, int32_t b) {
    return lengths[a] != lengths[b] ? lengths[a] > lengths[b] : a < b;
  });
  const auto first_fitting = std::find_if(
      sorted.begin(), sorted.end(), [=](int32_t b) { return lengths[b] <= budget; });
  const int64_t overlong = first_fitting - sorted.begin();
  const int64_t packed = count - overlong;

  // One bin per sequence is always enough.
  Rooms rooms(packed, budget);
  std::vector<int32_t> bin_of(static_cast<size_t>(packed));
  std::fill_n(output.bin_offsets, packed + 1, 0);
  int32_t bins = 0;
  for (int64_t i = 0; i < packed; i++) {
    const int32_t bin = rooms.take(lengths[first_fitting[i]]);
    bin_of[static_cast<size_t>(i)] = bin;
    bins = std::max(bins, bin + 1);
    output.bin_offsets[bin + 1]++;
  }
  std::partial_sum(output.bin_offsets, output.bin_offsets + bins + 1, output.bin_offsets);
  std::vector<int32_t> next(output.bin_offsets, output.bin_offsets + bins);
  for (int64_t i = 0; i < packed; i++) {
    output.order[next[static_cast<size_t>(bin_of[static_cast<size_t>(i)])]++] = first_fitting[i];
  }
  std::copy(sorted.begin(), first_fitting, output.order + packed);
  return {Fault::none, 0, bins};
}

}  // namespace masksearch
