// JavaScript arguments as the engine's structures.
#include "arguments.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace masksearch::addon {

namespace {

[[noreturn]] void refuse(const Napi::Value& value, const char* name, const char* expected) {
  throw Napi::TypeError::New(
      value.Env(), std::string("native engine: expected ") + name + " to be " + expected + ".");
}

template <typename Element>
std::vector<Element> copy_array(const Napi::Value& value, napi_typedarray_type type,
                                const char* name, const char* expected) {
  if (!value.IsTypedArray()) refuse(value, name, expected);
  auto array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != type) refuse(value, name, expected);
  auto typed = value.As<Napi::TypedArrayOf<Element>>();
  return std::vector<Element>(typed.Data(), typed.Data() + typed.ElementLength());
}

int read_size(const Napi::Object& object, const char* name) {
  int64_t value = read_integer(object.Get(name), name);
  if (value < 0 || value > INT32_MAX) refuse(object, name, "a size of at most 2^31-1");
  return int(value);
}

bool read_flag(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  if (!value.IsBoolean()) refuse(value, name, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

// `absent` when the field is undefined.
double read_optional(const Napi::Object& object, const char* name, double absent) {
  Napi::Value value = object.Get(name);
  return value.IsUndefined() ? absent : read_number(value, name);
}

std::vector<float> read_optional_floats(const Napi::Object& object, const char* name) {
  Napi::Value value = object.Get(name);
  return value.IsUndefined() ? std::vector<float>() : read_floats(value, name);
}

const float* data_or_null(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

}  // namespace

Batch BatchArguments::view() const {
  return {tokens.data(), offsets.data(), loss_mask.data(), int(tokens.size()),
          int(offsets.size()) - 1};
}

TokenLoss LossArguments::view() const {
  TokenLoss view = loss;
  view.weights = data_or_null(weights);
  view.old_log_probs = data_or_null(old_log_probs);
  view.advantages = data_or_null(advantages);
  view.importance_weights = data_or_null(importance_weights);
  return view;
}

DecoderConfig read_config(const Napi::Value& value) {
  Napi::Object object = read_object(value, "config");
  DecoderConfig config{};
  config.vocabulary_size = read_size(object, "vocabularySize");
  config.width = read_size(object, "width");
  config.layers = read_size(object, "layers");
  config.heads = read_size(object, "heads");
  config.key_value_heads = read_size(object, "keyValueHeads");
  config.head_width = read_size(object, "headWidth");
  config.feed_forward_width = read_size(object, "feedForwardWidth");
  config.rope_theta = read_number(object.Get("ropeTheta"), "ropeTheta");
  config.norm_epsilon = read_number(object.Get("normEpsilon"), "normEpsilon");
  config.max_positions = read_size(object, "maxPositions");
  config.attention_bias = read_flag(object, "attentionBias");
  config.tied_embeddings = read_flag(object, "tiedEmbeddings");
  config.query_key_norm = object.Get("queryKeyNorm").ToBoolean();
  if (!object.Get("ropeScaling").IsUndefined()) {
    Napi::Object scaling = read_object(object.Get("ropeScaling"), "ropeScaling");
    config.rope_scaling.factor = read_number(scaling.Get("factor"), "factor");
    config.rope_scaling.low_frequency_factor =
        read_number(scaling.Get("lowFrequencyFactor"), "lowFrequencyFactor");
    config.rope_scaling.high_frequency_factor =
        read_number(scaling.Get("highFrequencyFactor"), "highFrequencyFactor");
    config.rope_scaling.original_max_positions =
        read_number(scaling.Get("originalMaxPositions"), "originalMaxPositions");
  }
  return config;
}

LoraConfig read_lora(const Napi::Value& value) {
  LoraConfig lora;
  if (value.IsUndefined()) return lora;
  Napi::Object object = read_object(value, "lora");
  lora.rank = read_size(object, "rank");
  lora.alpha = read_number(object.Get("alpha"), "alpha");
  lora.dropout = read_number(object.Get("dropout"), "dropout");
  lora.seed = uint32_t(read_integer(object.Get("seed"), "seed"));
  Napi::Value targets = object.Get("targets");
  if (!targets.IsArray()) refuse(targets, "targets", "an array of names");
  static constexpr const char* names[kLoraTargets] = {
      "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
  auto given = targets.As<Napi::Array>();
  for (uint32_t i = 0; i < given.Length(); i++) {
    const std::string name = given.Get(i).ToString().Utf8Value();
    const auto found = std::find(std::begin(names), std::end(names), name);
    if (found == std::end(names)) refuse(targets, "targets", "names of projections");
    lora.targets[found - std::begin(names)] = true;
  }
  return lora;
}

CudaOptions read_cuda(const Napi::Value& value) {
  Napi::Object object = read_object(value, "cuda");
  CudaOptions options;
  options.plugin = object.Get("plugin").ToString().Utf8Value();
  options.memory_bytes = read_optional(object, "memoryBytes", 0);
  options.pass_tokens = int(read_optional(object, "passTokens", 0));
  options.tune = read_flag(object, "tune");
  options.graphs = read_flag(object, "graphs");
  options.cache_file = object.Get("cacheFile").ToString().Utf8Value();
  return options;
}

DataType read_data_type(const Napi::Value& value) {
  if (value.IsUndefined()) return DataType::float32;
  const std::string name = value.ToString().Utf8Value();
  if (name != "float32" && name != "bfloat16") refuse(value, "dtype", "float32 or bfloat16");
  return name == "float32" ? DataType::float32 : DataType::bfloat16;
}

double read_cuda_bytes(const Napi::Value& use) {
  return read_optional(read_object(use, "use"), "cudaMemoryBytes", 0);
}

MemoryUse read_memory_use(const Napi::Value& value, const LoraConfig& lora) {
  Napi::Object object = read_object(value, "use");
  MemoryUse use;
  use.threads = read_size(object, "threads");
  use.batch_tokens = read_size(object, "batchTokens");
  use.longest_sequence = read_size(object, "longestSequence");
  use.sequences = read_size(object, "sequences");
  use.context_tokens = read_size(object, "contextTokens");
  use.lora = lora;
  use.type = read_data_type(object.Get("dtype"));
  return use;
}

AdapterUse read_adapter_use(const Napi::Value& value) {
  if (value.IsUndefined()) return AdapterUse::on;
  const std::string use = value.ToString().Utf8Value();
  if (use != "on" && use != "off") refuse(value, "adapter", "on or off");
  return use == "on" ? AdapterUse::on : AdapterUse::off;
}

BatchArguments read_batch(const Napi::Value& value) {
  Napi::Object object = read_object(value, "batch");
  BatchArguments batch;
  batch.tokens = read_tokens(object.Get("tokens"), "tokens");
  batch.offsets = read_tokens(object.Get("offsets"), "offsets");
  batch.loss_mask =
      copy_array<uint8_t>(object.Get("lossMask"), napi_uint8_array, "lossMask", "a Uint8Array");
  return batch;
}

LossArguments read_loss(const Napi::Value& value) {
  Napi::Object object = read_object(value, "loss");
  std::string type = object.Get("type").ToString().Utf8Value();
  LossArguments result;
  TokenLoss& loss = result.loss;
  loss.scale = read_optional(object, "scale", 0);
  if (type == "cross-entropy") {
    loss.kind = LossKind::cross_entropy;
    result.weights = read_optional_floats(object, "weights");
  } else if (type == "dapo") {
    loss.kind = LossKind::dapo;
    result.old_log_probs = read_floats(object.Get("oldLogProbs"), "oldLogProbs");
    result.advantages = read_floats(object.Get("advantages"), "advantages");
    result.importance_weights = read_optional_floats(object, "importanceWeights");
    Napi::Object clip = read_object(object.Get("clip"), "clip");
    loss.clip_low = read_number(clip.Get("low"), "clip.low");
    loss.clip_high = read_number(clip.Get("high"), "clip.high");
    loss.dual_clip = read_optional(object, "dualClip", 0);
    loss.entropy_coefficient = read_optional(object, "entropyCoefficient", 0);
  } else if (type == "custom") {
    loss.kind = LossKind::custom;
  } else {
    refuse(value, "loss.type", "cross-entropy, dapo or custom");
  }
  return result;
}

AdamW read_adamw(const Napi::Value& value) {
  Napi::Object object = read_object(value, "options");
  AdamW options{};
  options.learning_rate = read_number(object.Get("learningRate"), "learningRate");
  AdamW defaults{};
  options.beta1 = read_optional(object, "beta1", defaults.beta1);
  options.beta2 = read_optional(object, "beta2", defaults.beta2);
  options.epsilon = read_optional(object, "epsilon", defaults.epsilon);
  options.weight_decay = read_optional(object, "weightDecay", defaults.weight_decay);
  options.max_gradient_norm = read_optional(object, "maxGradientNorm", defaults.max_gradient_norm);
  return options;
}

GenerateRequest read_request(const Napi::Value& value) {
  Napi::Object object = read_object(value, "request");
  GenerateRequest request{};
  request.max_tokens = read_size(object, "maxTokens");
  request.temperature = float(read_number(object.Get("temperature"), "temperature"));
  request.turn = uint32_t(read_integer(object.Get("turn"), "turn"));
  request.top_p = read_optional(object, "topP", 1);
  Napi::Value allowed = object.Get("allowed");
  if (!allowed.IsUndefined())
    request.allowed =
        copy_array<uint32_t>(allowed, napi_uint32_array, "allowed", "a Uint32Array");
  Napi::Value stop = object.Get("stop");
  if (!stop.IsArray()) refuse(stop, "stop", "an array of Int32Arrays");
  auto sequences = stop.As<Napi::Array>();
  for (uint32_t i = 0; i < sequences.Length(); i++) {
    request.stop.push_back(read_tokens(sequences.Get(i), "stop"));
  }
  return request;
}

std::vector<int32_t> read_tokens(const Napi::Value& value, const char* name) {
  return copy_array<int32_t>(value, napi_int32_array, name, "an Int32Array");
}

std::vector<float> read_floats(const Napi::Value& value, const char* name) {
  return copy_array<float>(value, napi_float32_array, name, "a Float32Array");
}

Napi::Object read_object(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) refuse(value, name, "an object");
  return value.As<Napi::Object>();
}

double read_number(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) refuse(value, name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t read_integer(const Napi::Value& value, const char* name) {
  double number = read_number(value, name);
  if (number != std::floor(number) || std::fabs(number) > 9007199254740991.0) {
    refuse(value, name, "an integer");
  }
  return int64_t(number);
}

}  // namespace masksearch::addon
