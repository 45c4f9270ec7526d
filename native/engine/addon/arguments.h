// JavaScript arguments as the engine's structures. Everything is copied, so that JavaScript may
// reuse its arrays while a job waits. Wrong types throw a TypeError that names the field.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "any_model.h"
#include "cpu_memory_plan.h"
#include "engine.h"

namespace masksearch::addon {

struct BatchArguments {
  std::vector<int32_t> tokens;
  std::vector<int32_t> offsets;
  std::vector<uint8_t> loss_mask;

  // Valid while this lives.
  Batch view() const;
};

// The built-in losses; a custom one has only its kind here.
struct LossArguments {
  TokenLoss loss;
  std::vector<float> weights, old_log_probs, advantages, importance_weights;

  // With pointers into this; valid while it lives.
  TokenLoss view() const;
};

DecoderConfig read_config(const Napi::Value& value);
// Undefined: no adapter.
LoraConfig read_lora(const Napi::Value& value);
// Undefined: float32.
DataType read_data_type(const Napi::Value& value);
// Of a plan for a GPU; 0 for the CPU.
double read_cuda_bytes(const Napi::Value& use);
MemoryUse read_memory_use(const Napi::Value& value, const LoraConfig& lora);
AdapterUse read_adapter_use(const Napi::Value& value);
CudaOptions read_cuda(const Napi::Value& value);
BatchArguments read_batch(const Napi::Value& value);
LossArguments read_loss(const Napi::Value& value);
AdamW read_adamw(const Napi::Value& value);
GenerateRequest read_request(const Napi::Value& value);
std::vector<int32_t> read_tokens(const Napi::Value& value, const char* name);
std::vector<float> read_floats(const Napi::Value& value, const char* name);
Napi::Object read_object(const Napi::Value& value, const char* name);
double read_number(const Napi::Value& value, const char* name);
// Integers of at most 53 bits.
int64_t read_integer(const Napi::Value& value, const char* name);

}  // namespace masksearch::addon
