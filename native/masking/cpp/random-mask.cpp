// Random masking of tokens, of whole words and of geometric spans, one Philox stream per sequence.
#include <algorithm>
#include <cmath>

#include "masking.h"
#include "philox.h"

namespace masksearch {
namespace {

constexpr double kWords = 4294967296.0;  // 2^32

// Second word of the counter: what a stream's numbers are for.
enum Purpose : uint32_t { random_tokens = 1, whole_words, span_lengths, span_positions };

void copy_unmasked(const RandomMaskInput& input, const RandomMaskOutput& output) {
  std::copy(input.ids, input.ids + input.sequences.tokens, output.ids);
  std::fill(output.labels, output.labels + input.sequences.tokens, -1);
}

Result check(const RandomMaskInput& input) {
  const auto& [offsets, count, tokens] = input.sequences;
  return check_offsets(offsets, count, tokens, Fault::offsets);
}

int64_t span_length(uint32_t word, const double* thresholds, int64_t max_length) {
  int64_t length = 1;
  while (length < max_length && word >= thresholds[length - 1]) length++;
  return length;
}

}  // namespace

Result mask_random_tokens(const RandomMaskInput& input, double probability,
                          const RandomMaskOutput& output) {
  Result result = check(input);
  if (result.fault != Fault::none) return result;
  copy_unmasked(input, output);
  for (int64_t b = 0; b < input.sequences.count; b++) {
    PhiloxWords words(input.key, random_tokens, input.first_sequence + static_cast<uint64_t>(b));
    for (int64_t t = input.sequences.offsets[b]; t < input.sequences.offsets[b + 1]; t++) {
      if (words.next() >= probability * kWords) continue;
      output.ids[t] = input.mask_id;
      output.labels[t] = input.ids[t];
      result.value++;
    }
  }
  return result;
}

Result mask_whole_words(const RandomMaskInput& input, const uint8_t* word_starts,
                        double probability, const RandomMaskOutput& output) {
  Result result = check(input);
  if (result.fault != Fault::none) return result;
  for (int64_t t = 0; t < input.sequences.tokens; t++) {
    if (word_starts[t] > 1) return {Fault::mask_flags, t};
  }
  copy_unmasked(input, output);
  for (int64_t b = 0; b < input.sequences.count; b++) {
    PhiloxWords words(input.key, whole_words, input.first_sequence + static_cast<uint64_t>(b));
    bool masked = false;
    const int64_t first = input.sequences.offsets[b];
    for (int64_t t = first; t < input.sequences.offsets[b + 1]; t++) {
      if (t == first || word_starts[t]) masked = words.next() < probability * kWords;
      if (!masked) continue;
      output.ids[t] = input.mask_id;
      output.labels[t] = input.ids[t];
      result.value++;
    }
  }
  return result;
}

Result mask_geometric_spans(const RandomMaskInput& input, double ratio,
                            const double* length_thresholds, int64_t max_length,
                            const RandomMaskOutput& output) {
  Result result = check(input);
  if (result.fault != Fault::none) return result;
  copy_unmasked(input, output);
  for (int64_t b = 0; b < input.sequences.count; b++) {
    const uint64_t sequence = input.first_sequence + static_cast<uint64_t>(b);
    const int64_t first = input.sequences.offsets[b];
    const int64_t n = input.sequences.offsets[b + 1] - first;
    const int64_t target = static_cast<int64_t>(std::floor(ratio * static_cast<double>(n)));

    // The lengths are drawn twice, once to count the runs and once to place them, so none is stored.
    PhiloxWords count_lengths(input.key, span_lengths, sequence);
    int64_t runs = 0;
    for (int64_t sum = 0; sum < target; runs++) {
      sum += span_length(count_lengths.next(), length_thresholds, max_length);
    }

    // Knuth's selection sampling: `runs` of the (n - target) tokens and runs become runs.
    PhiloxWords lengths(input.key, span_lengths, sequence);
    PhiloxWords positions(input.key, span_positions, sequence);
    int64_t items = n - target + runs;
    int64_t masked = 0;
    for (int64_t t = first; runs > 0; items--) {
      if (positions.next() / kWords * static_cast<double>(items) >= static_cast<double>(runs)) {
        t++;
        continue;
      }
      const int64_t length =
          std::min(span_length(lengths.next(), length_thresholds, max_length), target - masked);
      std::fill_n(output.ids + t, length, input.mask_id);
      std::copy_n(input.ids + t, length, output.labels + t);
      t += length;
      masked += length;
      runs--;
    }
    result.value += masked;
  }
  return result;
}

}  // namespace masksearch
