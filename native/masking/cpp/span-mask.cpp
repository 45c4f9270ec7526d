// Span masking: character spans to tokens, by one scan over each sequence's token ends.
#include <algorithm>

#include "masking.h"

namespace masksearch {
namespace {

constexpr int64_t kBlock = 16;

// Index of the first token in [first, last) whose range is out of order, or last.
int64_t first_bad_token(const int32_t* starts, const int32_t* ends, int64_t first, int64_t last) {
  if (first == last) return last;
  // Branch-free so that it vectorises; the exact place is looked up only if something is wrong.
  int bad = (starts[first] < 0) | (starts[first] > ends[first]);
  for (int64_t t = first + 1; t < last; t++) {
    bad |= (starts[t] > ends[t]) | (starts[t] < starts[t - 1]) | (ends[t] < ends[t - 1]);
  }
  if (!bad) return last;
  for (int64_t t = first; t < last; t++) {
    if (starts[t] < 0 || starts[t] > ends[t]) return t;
    if (t > first && (starts[t] < starts[t - 1] || ends[t] < ends[t - 1])) return t;
  }
  return last;
}

int64_t first_bad_span(const int32_t* starts, const int32_t* ends, int64_t first, int64_t last) {
  int32_t previous = 0;
  for (int64_t s = first; s < last; s++) {
    if (starts[s] < previous || starts[s] >= ends[s]) return s;
    previous = ends[s];
  }
  return last;
}

// First token in [t, last) that ends after `position`; ends never descend.
int64_t skip_tokens(const int32_t* ends, int64_t t, int64_t last, int32_t position) {
  while (t + kBlock <= last && ends[t + kBlock - 1] <= position) t += kBlock;
  if (t + kBlock <= last) {
    int64_t before = 0;
    for (int64_t i = 0; i < kBlock; i++) before += ends[t + i] <= position;
    return t + before;
  }
  while (t < last && ends[t] <= position) t++;
  return t;
}

template <bool collapse>
Result mask_spans(const SpanMaskInput& input, const SpanMaskOutput& output) {
  const auto& [offsets, count, tokens] = input.sequences;
  Result result = check_offsets(offsets, count, tokens, Fault::offsets);
  if (result.fault != Fault::none) return result;
  result = check_offsets(input.spans.offsets, count, input.spans.tokens, Fault::span_offsets);
  if (result.fault != Fault::none) return result;

  int64_t write = 0;
  for (int64_t b = 0; b < count; b++) {
    const int64_t first = offsets[b], last = offsets[b + 1];
    const int64_t first_span = input.spans.offsets[b], last_span = input.spans.offsets[b + 1];
    const int64_t bad_token = first_bad_token(input.token_starts, input.token_ends, first, last);
    if (bad_token < last) return {Fault::tokens, bad_token};
    const int64_t bad_span = first_bad_span(input.span_starts, input.span_ends, first_span, last_span);
    if (bad_span < last_span) return {Fault::spans, bad_span};

    output.offsets[b] = static_cast<int32_t>(write);
    std::fill(output.labels + first, output.labels + last, -1);
    int64_t cursor = first;
    for (int64_t s = first_span; s < last_span; s++) {
      const int64_t begin = skip_tokens(input.token_ends, cursor, last, input.span_starts[s]);
      int64_t end = begin;
      while (end < last && input.token_starts[end] < input.span_ends[s]) {
        output.labels[end] = input.ids[end];
        end++;
      }
      write = std::copy(input.ids + cursor, input.ids + begin, output.ids + write) - output.ids;
      const int64_t masks = collapse ? end > begin : end - begin;
      std::fill_n(output.ids + write, masks, input.mask_id);
      write += masks;
      output.span_tokens[s] = static_cast<int32_t>(end - begin);
      cursor = end;
    }
    write = std::copy(input.ids + cursor, input.ids + last, output.ids + write) - output.ids;
  }
  output.offsets[count] = static_cast<int32_t>(write);
  return {Fault::none, 0, write};
}

}  // namespace

Result mask_spans_collapsed(const SpanMaskInput& input, const SpanMaskOutput& output) {
  return mask_spans<true>(input, output);
}

Result mask_spans_per_token(const SpanMaskInput& input, const SpanMaskOutput& output) {
  return mask_spans<false>(input, output);
}

}  // namespace masksearch
