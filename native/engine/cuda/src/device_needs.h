// How many bytes of device memory a model is going to need, in the parts of the CPU's plan; known
// without a GPU, before any of it is asked for.
#pragma once

#include "cpu_memory_plan.h"
#include "engine.h"

namespace masksearch::cuda {

// With `memory_bytes` for everything: layers keep for their way back what that leaves room for, and
// where it has room for nothing the total is the least that would do. Matrices, activations, keys and
// values are bfloat16; `weights` are those, the frozen ones too, `moments` includes the low bits of the
// masters, `scratch` the working sets. Threads and type of `use` play no part.
// @throws std::invalid_argument a config that the kernels do not take.
MemoryPlan device_needs(const DecoderConfig& config, const MemoryUse& use, size_t memory_bytes);

}  // namespace masksearch::cuda
