// Checks of everything that comes from outside, before any kernel runs.
// Messages read `where: expected X, received Y; hint`.
#pragma once

#include <string>

#include "engine.h"

namespace masksearch {

void check_config(const DecoderConfig& config, int threads);
void check_lora(const LoraConfig& lora);
void check_batch(const char* where, const DecoderConfig& config, const Batch& batch);
void check_loss(const TokenLoss& loss);
void check_adamw(const AdamW& options);
void check_tokens(const char* where, const DecoderConfig& config, const int32_t* tokens, int count);
void check_request(const DecoderConfig& config, const GenerateRequest& request);

[[noreturn]] void reject(const std::string& message);  // std::invalid_argument

}  // namespace masksearch
