// What of a model's shape the kernels take.
#pragma once

#include "engine.h"

namespace masksearch::cuda {

// @throws std::invalid_argument a config or an adapter that is none, or that the kernels do not take.
void check_device_config(const DecoderConfig& config, const LoraConfig& lora);

}  // namespace masksearch::cuda
