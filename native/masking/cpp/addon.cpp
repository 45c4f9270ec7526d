// Node binding: typed arrays in, a count out. A fault in the values is thrown as an Error with the
// fields `fault` and `position`; src/native.ts turns it into an InputError.
#include <napi.h>

#include <string>

#include "masking.h"

namespace {

using masksearch::Result;
using Arguments = Napi::CallbackInfo;

constexpr double kMaxSafeInteger = 9007199254740991.0;  // 2^53 - 1

// A typed array's memory, valid during the call.
template <typename T>
struct Array {
  T* data;
  int64_t length;
};

template <typename T>
constexpr napi_typedarray_type kType = napi_uint8_array;
template <>
constexpr napi_typedarray_type kType<int32_t> = napi_int32_array;
template <>
constexpr napi_typedarray_type kType<double> = napi_float64_array;

// Reads call arguments from left to right; each must have the type and room that is asked for.
class Reader {
 public:
  explicit Reader(const Arguments& arguments) : arguments_(arguments) {}

  template <typename T>
  Array<T> array(int64_t minimum_length = 0) {
    napi_typedarray_type type;
    size_t length = 0, byte_offset;
    void* data = nullptr;
    napi_value buffer;
    const napi_value value = arguments_[index_];
    const bool read = napi_get_typedarray_info(arguments_.Env(), value, &type, &length, &data,
                                               &buffer, &byte_offset) == napi_ok;
    if (!read || type != kType<T>) fail("a typed array of the declared type");
    if (static_cast<int64_t>(length) < minimum_length) {
      fail("at least " + std::to_string(minimum_length) + " elements");
    }
    index_++;
    return {static_cast<T*>(data), static_cast<int64_t>(length)};
  }

  // A number in [least, most].
  double number(double least, double most) {
    if (!arguments_[index_].IsNumber()) fail("a number");
    const double value = arguments_[index_].As<Napi::Number>().DoubleValue();
    if (!(value >= least && value <= most)) fail("in range");
    index_++;
    return value;
  }

  int32_t token_id() { return static_cast<int32_t>(number(INT32_MIN, INT32_MAX)); }

  // offsets (B + 1) of `tokens` tokens.
  masksearch::Sequences sequences(int64_t tokens) {
    const Array<int32_t> offsets = array<int32_t>(1);
    return {offsets.data, offsets.length - 1, tokens};
  }

 private:
  [[noreturn]] void fail(const std::string& expected) {
    throw Napi::TypeError::New(arguments_.Env(), "masking addon: expected argument " +
                                                     std::to_string(index_) + " to be " + expected +
                                                     ".");
  }

  const Arguments& arguments_;
  size_t index_ = 0;
};

Napi::Value answer(const Arguments& arguments, const Result& result) {
  if (result.fault == masksearch::Fault::none) {
    return Napi::Number::New(arguments.Env(), static_cast<double>(result.value));
  }
  Napi::Error error = Napi::Error::New(arguments.Env(), "masking addon: faulty values.");
  error.Set("fault", Napi::Number::New(arguments.Env(), static_cast<double>(result.fault)));
  error.Set("position", Napi::Number::New(arguments.Env(), static_cast<double>(result.position)));
  throw error;
}

using SpanMasker = Result (*)(const masksearch::SpanMaskInput&, const masksearch::SpanMaskOutput&);

// (ids, offsets, tokenStarts, tokenEnds, spanStarts, spanEnds, spanOffsets, maskId,
//  out ids, out offsets, out labels, out spanTokens)
template <SpanMasker mask>
Napi::Value mask_spans(const Arguments& arguments) {
  Reader read(arguments);
  masksearch::SpanMaskInput input;
  const Array<int32_t> ids = read.array<int32_t>();
  input.ids = ids.data;
  input.sequences = read.sequences(ids.length);
  input.token_starts = read.array<int32_t>(ids.length).data;
  input.token_ends = read.array<int32_t>(ids.length).data;
  const Array<int32_t> span_starts = read.array<int32_t>();
  input.span_starts = span_starts.data;
  input.span_ends = read.array<int32_t>(span_starts.length).data;
  const int64_t count = input.sequences.count;
  input.spans = {read.array<int32_t>(count + 1).data, count, span_starts.length};
  input.mask_id = read.token_id();
  masksearch::SpanMaskOutput output;
  output.ids = read.array<int32_t>(ids.length).data;
  output.offsets = read.array<int32_t>(count + 1).data;
  output.labels = read.array<int32_t>(ids.length).data;
  output.span_tokens = read.array<int32_t>(span_starts.length).data;
  return answer(arguments, mask(input, output));
}

// (offsets, segmentStarts, segmentEnds, authors, segmentOffsets, out mask)
Napi::Value author_mask(const Arguments& arguments) {
  Reader read(arguments);
  masksearch::AuthorMaskInput input;
  input.sequences = read.sequences(0);
  const Array<int32_t> starts = read.array<int32_t>();
  input.segment_starts = starts.data;
  input.segment_ends = read.array<int32_t>(starts.length).data;
  input.authors = read.array<uint8_t>(starts.length).data;
  const int64_t count = input.sequences.count;
  input.segments = {read.array<int32_t>(count + 1).data, count, starts.length};
  input.sequences.tokens = input.sequences.offsets[count];
  return answer(arguments, masksearch::author_mask(
                               input, read.array<uint8_t>(input.sequences.tokens).data));
}

// (ids, offsets, out labels)
Napi::Value shifted_labels(const Arguments& arguments) {
  Reader read(arguments);
  const Array<int32_t> ids = read.array<int32_t>();
  const masksearch::Sequences sequences = read.sequences(ids.length);
  int32_t* labels = read.array<int32_t>(ids.length).data;
  return answer(arguments, masksearch::shifted_labels(sequences, ids.data, labels));
}

// (ids, offsets, mask, out labels)
Napi::Value shifted_policy_labels(const Arguments& arguments) {
  Reader read(arguments);
  const Array<int32_t> ids = read.array<int32_t>();
  const masksearch::Sequences sequences = read.sequences(ids.length);
  const uint8_t* mask = read.array<uint8_t>(ids.length).data;
  int32_t* labels = read.array<int32_t>(ids.length).data;
  return answer(arguments, masksearch::shifted_policy_labels(sequences, ids.data, mask, labels));
}

// ids, offsets, key0, key1, firstSequence, maskId: how every random masker's arguments begin.
masksearch::RandomMaskInput random_input(Reader& read) {
  masksearch::RandomMaskInput input;
  const Array<int32_t> ids = read.array<int32_t>();
  input.ids = ids.data;
  input.sequences = read.sequences(ids.length);
  input.key[0] = static_cast<uint32_t>(read.number(0, UINT32_MAX));
  input.key[1] = static_cast<uint32_t>(read.number(0, UINT32_MAX));
  input.first_sequence = static_cast<uint64_t>(read.number(0, kMaxSafeInteger));
  input.mask_id = read.token_id();
  return input;
}

// out ids, out labels: how they end.
masksearch::RandomMaskOutput random_output(Reader& read, int64_t tokens) {
  masksearch::RandomMaskOutput output;
  output.ids = read.array<int32_t>(tokens).data;
  output.labels = read.array<int32_t>(tokens).data;
  return output;
}

// (…, probability, …)
Napi::Value mask_random_tokens(const Arguments& arguments) {
  Reader read(arguments);
  const masksearch::RandomMaskInput input = random_input(read);
  const double probability = read.number(0, 1);
  const masksearch::RandomMaskOutput output = random_output(read, input.sequences.tokens);
  return answer(arguments, masksearch::mask_random_tokens(input, probability, output));
}

// (…, wordStarts, probability, …)
Napi::Value mask_whole_words(const Arguments& arguments) {
  Reader read(arguments);
  const masksearch::RandomMaskInput input = random_input(read);
  const uint8_t* word_starts = read.array<uint8_t>(input.sequences.tokens).data;
  const double probability = read.number(0, 1);
  const masksearch::RandomMaskOutput output = random_output(read, input.sequences.tokens);
  return answer(arguments, masksearch::mask_whole_words(input, word_starts, probability, output));
}

// (…, ratio, lengthThresholds, …)
Napi::Value mask_geometric_spans(const Arguments& arguments) {
  Reader read(arguments);
  const masksearch::RandomMaskInput input = random_input(read);
  const double ratio = read.number(0, 1);
  const Array<double> thresholds = read.array<double>(1);
  const masksearch::RandomMaskOutput output = random_output(read, input.sequences.tokens);
  return answer(arguments, masksearch::mask_geometric_spans(input, ratio, thresholds.data,
                                                            thresholds.length, output));
}

// (lengths, budget, out order, out binOffsets)
Napi::Value pack_first_fit_decreasing(const Arguments& arguments) {
  Reader read(arguments);
  const Array<int32_t> lengths = read.array<int32_t>();
  const auto budget = static_cast<int32_t>(read.number(0, INT32_MAX));
  masksearch::PackingOutput output;
  output.order = read.array<int32_t>(lengths.length).data;
  output.bin_offsets = read.array<int32_t>(lengths.length + 1).data;
  return answer(arguments, masksearch::pack_first_fit_decreasing(lengths.data, lengths.length,
                                                                 budget, output));
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Arguments&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("maskSpansCollapsed", mask_spans<masksearch::mask_spans_collapsed>);
  add("maskSpansPerToken", mask_spans<masksearch::mask_spans_per_token>);
  add("authorMask", author_mask);
  add("shiftedLabels", shifted_labels);
  add("shiftedPolicyLabels", shifted_policy_labels);
  add("maskRandomTokens", mask_random_tokens);
  add("maskWholeWords", mask_whole_words);
  add("maskGeometricSpans", mask_geometric_spans);
  add("packFirstFitDecreasing", pack_first_fit_decreasing);
  return exports;
}

}  // namespace

NODE_API_MODULE(masking, initialise)
