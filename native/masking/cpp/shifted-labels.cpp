// Shifted labels: position t predicts token t + 1 of its own sequence, never across a border.
#include <algorithm>

#include "masking.h"

namespace masksearch {

Result shifted_labels(const Sequences& sequences, const int32_t* ids, int32_t* labels) {
  const Result result =
      check_offsets(sequences.offsets, sequences.count, sequences.tokens, Fault::offsets);
  if (result.fault != Fault::none) return result;
  int64_t labelled = 0;
  for (int64_t b = 0; b < sequences.count; b++) {
    const int64_t first = sequences.offsets[b], last = sequences.offsets[b + 1];
    if (first == last) continue;
    std::copy(ids + first + 1, ids + last, labels + first);
    labels[last - 1] = -1;
    labelled += last - first - 1;
  }
  return {Fault::none, 0, labelled};
}

Result shifted_policy_labels(const Sequences& sequences, const int32_t* ids, const uint8_t* mask,
                             int32_t* labels) {
  const Result result =
      check_offsets(sequences.offsets, sequences.count, sequences.tokens, Fault::offsets);
  if (result.fault != Fault::none) return result;
  const uint8_t* bad =
      std::find_if(mask, mask + sequences.tokens, [](uint8_t flag) { return flag > 1; });
  if (bad != mask + sequences.tokens) return {Fault::mask_flags, bad - mask};
  int64_t labelled = 0;
  for (int64_t b = 0; b < sequences.count; b++) {
    const int64_t first = sequences.offsets[b], last = sequences.offsets[b + 1];
    if (first == last) continue;
    for (int64_t t = first; t < last - 1; t++) {
      labels[t] = mask[t + 1] ? ids[t + 1] : -1;
      labelled += mask[t + 1];
    }
    labels[last - 1] = -1;
  }
  return {Fault::none, 0, labelled};
}

}  // namespace masksearch
