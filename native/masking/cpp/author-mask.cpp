// Author masks: which tokens the policy wrote.
#include <algorithm>

#include "masking.h"

namespace masksearch {

constexpr uint8_t kPolicy = 2;
constexpr uint8_t kAuthors = 4;

Result author_mask(const AuthorMaskInput& input, uint8_t* mask) {
  const auto& [offsets, count, tokens] = input.sequences;
  Result result = check_offsets(offsets, count, tokens, Fault::offsets);
  if (result.fault != Fault::none) return result;
  result = check_offsets(input.segments.offsets, count, input.segments.tokens,
                         Fault::segment_offsets);
  if (result.fault != Fault::none) return result;

  int64_t policy_tokens = 0;
  for (int64_t b = 0; b < count; b++) {
    const int64_t first = offsets[b];
    const int32_t length = offsets[b + 1] - offsets[b];
    const int64_t last_segment = input.segments.offsets[b + 1];
    int32_t cursor = 0;
    for (int64_t s = input.segments.offsets[b]; s < last_segment; s++) {
      const int32_t start = input.segment_starts[s], end = input.segment_ends[s];
      if (start != cursor || end < start || end > length) return {Fault::segments, s};
      if (input.authors[s] >= kAuthors) return {Fault::authors, s};
      const bool policy = input.authors[s] == kPolicy;
      std::fill_n(mask + first + start, end - start, static_cast<uint8_t>(policy));
      policy_tokens += policy ? end - start : 0;
      cursor = end;
    }
    if (cursor != length) return {Fault::segments, last_segment};
  }
  return {Fault::none, 0, policy_tokens};
}

}  // namespace masksearch
