// Token-level masks over flat arrays: B sequences laid end to end, sequence b = [offsets[b],
// offsets[b + 1]). Plain C++ that knows nothing about Node. Each function is defined by the function
// of the same name in src/reference.ts and gives the same result on every input.
//
// Nothing is allocated but one scratch block per call of pack_first_fit_decreasing. Array lengths are
// the caller's promise; every value is checked here, so that no value leads outside an array. After a
// fault the outputs hold unspecified numbers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace masksearch {

// What is wrong with the values; the numbers are the indices of FAULTS in src/faults.ts.
enum class Fault : int32_t {
  none,
  offsets,
  span_offsets,
  segment_offsets,
  tokens,
  spans,
  segments,
  authors,
  mask_flags,
  lengths,
};

struct Result {
  Fault fault = Fault::none;
  int64_t position = 0;  // index of the first faulty element
  int64_t value = 0;     // what the function counts; see each
};

// B sequences of T tokens in all.
struct Sequences {
  const int32_t* offsets;  // (B + 1)
  int64_t count;           // B
  int64_t tokens;          // T
};

// offsets start at 0, never descend and end at `total`; otherwise `fault` at the first that does not.
Result check_offsets(const int32_t* offsets, int64_t count, int64_t total, Fault fault);

// Spans are character ranges (start < end) in ascending order, without overlap, per sequence. Token
// ranges have start <= end, and neither starts nor ends descend within a sequence.
struct SpanMaskInput {
  Sequences sequences;
  const int32_t* ids;           // (T)
  const int32_t* token_starts;  // (T)
  const int32_t* token_ends;    // (T)
  Sequences spans;              // S spans, grouped by sequence: offsets (B + 1)
  const int32_t* span_starts;   // (S)
  const int32_t* span_ends;     // (S)
  int32_t mask_id;
};

struct SpanMaskOutput {
  int32_t* ids;          // (<= T) tokens with masks in place
  int32_t* offsets;      // (B + 1) of those
  int32_t* labels;       // (T) per input token: its id if it was masked, otherwise -1
  int32_t* span_tokens;  // (S) number of tokens that each span masked
};

// A token that overlaps several spans belongs to the first. value = number of tokens written.
Result mask_spans_collapsed(const SpanMaskInput& input, const SpanMaskOutput& output);
Result mask_spans_per_token(const SpanMaskInput& input, const SpanMaskOutput& output);

// Segments partition each sequence: starts and ends count from the sequence's first token.
struct AuthorMaskInput {
  Sequences sequences;
  Sequences segments;             // S segments, grouped by sequence
  const int32_t* segment_starts;  // (S)
  const int32_t* segment_ends;    // (S)
  const uint8_t* authors;         // (S) 0 system, 1 user, 2 policy, 3 tool
};

// mask (T): 1 where the policy wrote the token. value = number of ones.
Result author_mask(const AuthorMaskInput& input, uint8_t* mask);

// labels[t] = ids[t + 1] within t's sequence, otherwise -1. value = number of labels.
Result shifted_labels(const Sequences& sequences, const int32_t* ids, int32_t* labels);
// The same, but -1 unless mask[t + 1] is 1.
Result shifted_policy_labels(const Sequences& sequences, const int32_t* ids, const uint8_t* mask,
                             int32_t* labels);

// Sequence b draws from the Philox stream of (key, first_sequence + b), whatever the other sequences.
struct RandomMaskInput {
  Sequences sequences;
  const int32_t* ids;  // (T)
  uint32_t key[2];
  uint64_t first_sequence;
  int32_t mask_id;
};

struct RandomMaskOutput {
  int32_t* ids;     // (T)
  int32_t* labels;  // (T) as in SpanMaskOutput
};

// Each token is masked with `probability`. value = number of masked tokens, here and below.
Result mask_random_tokens(const RandomMaskInput& input, double probability,
                          const RandomMaskOutput& output);
// Each word is masked whole with `probability`; word_starts (T) is 1 where a word begins.
Result mask_whole_words(const RandomMaskInput& input, const uint8_t* word_starts,
                        double probability, const RandomMaskOutput& output);
// Masks exactly floor(ratio * n) of n tokens in runs. A run has length i + 1 for the first i with
// random word < length_thresholds[i]; the last run is cut to fit.
// @see SpanBERT (arXiv:1907.10529) §3.1; we place runs uniformly at once where it retries overlaps.
Result mask_geometric_spans(const RandomMaskInput& input, double ratio,
                            const double* length_thresholds, int64_t max_length,
                            const RandomMaskOutput& output);

struct PackingOutput {
  int32_t* order;        // (B) sequences bin after bin, then those longer than the budget
  int32_t* bin_offsets;  // (<= B + 1) bin i holds order[bin_offsets[i] .. bin_offsets[i + 1])
};

// First-fit-decreasing: longest first (equal lengths by index), each into the first bin with room.
// value = number of bins; bin_offsets[value] = number of packed sequences.
Result pack_first_fit_decreasing(const int32_t* lengths, int64_t count, int32_t budget,
                                 const PackingOutput& output);

}  // namespace masksearch
