// Where each parameter lies in the arenas. q, k and v lie next to each other, and so do gate and up,
// so each group is one matrix for the kernels and several named tensors for everyone else.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "engine.h"

namespace masksearch {

// Offsets in floats.
struct LayerLayout {
  size_t input_norm;      // (C)
  size_t qkv;             // ((H + 2K) D, C)
  size_t qkv_bias;        // ((H + 2K) D), only with attention_bias
  size_t output;          // (C, H D)
  size_t query_norm;      // (D), only with query_key_norm
  size_t key_norm;        // (D), only with query_key_norm
  size_t post_norm;       // (C)
  size_t gate_up;         // (2F, C)
  size_t down;            // (C, F)
};

struct Layout {
  explicit Layout(const DecoderConfig& config);

  std::vector<Parameter> parameters;
  std::vector<LayerLayout> layers;
  size_t embedding;   // (V, C)
  size_t final_norm;  // (C)
  size_t head;        // (V, C); the embedding where tied
  size_t count;       // floats in an arena

 private:
  size_t place(const std::string& name, std::vector<int> shape, bool decayed);
};

// One adapted matrix: A (r, inputs) and B (outputs, r) in the adapter's arena.
struct AdapterMatrix {
  bool used;
  int inputs;
  int outputs;
  size_t a;
  size_t b;
};

// The arena of an adapter; empty without one.
struct AdapterLayout {
  AdapterLayout(const DecoderConfig& config, const LoraConfig& lora);

  std::vector<Parameter> parameters;
  std::vector<std::array<AdapterMatrix, kLoraTargets>> layers;
  size_t count = 0;

 private:
  size_t place(const std::string& name, int rows, int columns);
};

}  // namespace masksearch
