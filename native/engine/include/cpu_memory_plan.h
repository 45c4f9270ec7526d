// How many bytes a model is going to hold, by what holds them; known before any of it is asked for.
#pragma once

#include <cstddef>
#include <string>

#include "engine.h"

namespace masksearch {

// What the model will be used for. 0 leaves a use out.
struct MemoryUse {
  int threads = 1;
  int batch_tokens = 0;      // T of the largest batch to accumulate
  int longest_sequence = 0;  // in that batch; 0 = one sequence of T tokens
  int sequences = 0;         // that one sampler keeps
  int context_tokens = 0;    // of each of them at most
  LoraConfig lora = {};      // with a rank, the adapter alone has gradients and moments
  DataType type = DataType::float32;
};

// Bytes.
struct MemoryPlan {
  size_t weights = 0;
  size_t gradients = 0;
  size_t moments = 0;      // both of AdamW
  size_t packed = 0;       // the matrices again in the kernels' order, once per direction
  size_t activations = 0;  // what a batch's backward pass needs
  size_t loss_head = 0;    // the logits of a chunk of labels and their gradient
  size_t key_values = 0;   // caches of the sampler's sequences when full
  size_t scratch = 0;      // of both

  size_t total() const {
    return weights + gradients + moments + packed + activations + loss_head + key_values + scratch;
  }
};

// Throws std::invalid_argument on a config or a use that describes nothing.
MemoryPlan plan_memory(const DecoderConfig& config, const MemoryUse& use);

// Bytes in buffers of all models of this process, now and at most so far.
struct HeldMemory {
  size_t now;
  size_t most;
};
HeldMemory held_memory();
void forget_most_held();  // the most so far becomes what is held now

}  // namespace masksearch
