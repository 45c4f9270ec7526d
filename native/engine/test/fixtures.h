// Small models and batches with seeded contents.
#pragma once

#include <initializer_list>
#include <memory>
#include <vector>

#include "check.h"
#include "engine.h"
#include "kernels.h"
#include "random.h"

namespace test {

struct Shape {
  const char* why;
  masksearch::DecoderConfig config;
  std::vector<int> lengths;
};

// One row of the grid per reason.
inline std::vector<Shape> shape_grid() {
  const auto config = [](int V, int C, int L, int H, int K, int D, int F, bool bias, bool tied) {
    return masksearch::DecoderConfig{V, C, L, H, K, D, F, 10000.0, 1e-6, 512, bias, tied};
  };
  auto normed = config(40, 24, 2, 4, 2, 12, 31, false, false);
  normed.query_key_norm = true;
  auto one_key = config(31, 32, 2, 3, 1, 16, 33, false, true);
  one_key.query_key_norm = true;
  auto scaled = config(35, 24, 2, 4, 1, 8, 30, false, false);
  scaled.rope_theta = 500;
  scaled.rope_scaling = {8, 1, 4, 64};
  return {
      {"one token per sequence and single-row heads", config(11, 8, 1, 1, 1, 2, 5, true, true), {2, 1, 1}},
      {"odd sizes everywhere", config(37, 23, 2, 3, 1, 6, 19, true, false), {7, 1, 33}},
      {"grouped heads of 16, tiles of keys cut at 31, 32, 33", config(64, 32, 2, 4, 2, 16, 48, true, true), {31, 32, 33}},
      {"heads of 32, no bias, one sequence past two row tiles", config(50, 48, 2, 6, 2, 32, 80, false, true), {75}},
      {"heads of 64, every head its own keys", config(33, 40, 1, 2, 2, 64, 65, true, false), {17, 130}},
      {"three layers, one head in six groups", config(100, 64, 3, 6, 1, 10, 96, true, true), {5, 64, 9, 2}},
      {"Qwen3: normalised queries and keys, heads wider than the width", normed, {13, 1, 40}},
      {"Qwen3: one key head, past two row tiles, one sequence", one_key, {130}},
      {"Llama 3: of four pairs one stays, one is blended, two are divided", scaled, {60, 5}},
  };
}

struct Fixture {
  std::unique_ptr<masksearch::Model> model;
  std::vector<int32_t> tokens, offsets;
  std::vector<uint8_t> mask;

  masksearch::Batch batch() const {
    return {tokens.data(), offsets.data(), mask.data(), int(tokens.size()),
            int(offsets.size()) - 1};
  }
};

inline void fill_weights(masksearch::Model* model, uint32_t seed) {
  Random random(seed);
  for (const masksearch::Parameter& p : model->parameters()) {
    const bool norm = p.name.find("norm") != std::string::npos;
    for (size_t i = 0; i < p.count; i++)
      model->weights()[p.offset + i] = float((norm ? 1.0 : 0.0) + 0.2 * random.normal());
  }
}

// all_labels: every token but the first of each sequence; otherwise about half of them.
inline Fixture make_fixture(const Shape& shape, uint32_t seed, int threads, bool all_labels,
                            masksearch::DataType type = masksearch::DataType::float32) {
  Fixture f;
  f.model = std::make_unique<masksearch::Model>(shape.config, threads, masksearch::LoraConfig{}, type);
  fill_weights(f.model.get(), seed);
  Random random(seed + 1);
  f.offsets.push_back(0);
  for (int length : shape.lengths) {
    for (int t = 0; t < length; t++) {
      f.tokens.push_back(random.below(shape.config.vocabulary_size));
      f.mask.push_back(t > 0 && (all_labels || random.uniform() < 0.5));
    }
    f.offsets.push_back(int(f.tokens.size()));
  }
  return f;
}

// Calls body(type, name) with models in float32, and in bfloat16 at every level of this machine.
template <class Body>
void each_storage(const Body& body) {
  using masksearch::DataType;
  body(DataType::float32, std::string("float32"));
  for (masksearch::Level level : masksearch::levels(DataType::bfloat16)) {
    masksearch::set_default_level(level, DataType::bfloat16);
    body(DataType::bfloat16,
         std::string("bfloat16 ") + masksearch::default_kernels(DataType::bfloat16).name);
  }
  masksearch::set_default_level(masksearch::best_level(DataType::bfloat16), DataType::bfloat16);
}

const std::initializer_list<masksearch::LoraTarget> kAllTargets = {
    masksearch::kQuery, masksearch::kKey, masksearch::kValue, masksearch::kOutput,
    masksearch::kGate,  masksearch::kUp,  masksearch::kDown};

inline masksearch::LoraConfig lora_config(int rank,
                                          std::initializer_list<masksearch::LoraTarget> targets,
                                          double dropout = 0) {
  masksearch::LoraConfig lora;
  lora.rank = rank;
  lora.alpha = 6;
  lora.dropout = dropout;
  lora.seed = 5;
  for (const masksearch::LoraTarget target : targets) lora.targets[target] = true;
  return lora;
}

}  // namespace test
