// What a Model holds; shared with the sampler.
#pragma once

#include "decoder.h"
#include "engine.h"
#include "loss_head.h"

namespace masksearch {

struct Model::Impl {
  Impl(const DecoderConfig& config, int threads, const LoraConfig& lora, DataType type)
      : decoder(config, threads, lora, type), head(&decoder) {}

  // Sequences [first, last) of the batch as rows with empty caches, and their labelled tokens.
  void gather(const Batch& batch, int first, int last);
  void reserve_activations(bool keep_all);
  // What is only kept for a backward pass is null without keep_all: an earlier pass may have left less.
  LayerActivations activations(int layer, bool keep_all) const;
  // Runs the layers; returns the last output (N, C). keep_all: for a backward pass.
  float* forward(bool keep_all);
  void backward(float* dx);

  Decoder decoder;
  LossHead head;
  int64_t version = 0;
  uint32_t accumulated = 0;  // calls of accumulate since the last step
  int64_t cache_epoch = 0;  // grows whenever cached keys and values become stale

  Rows rows;
  std::vector<int32_t> labels;
  std::vector<KeyValues> cache;
  StoredBuffer key_values;
  struct Layer {
    Buffer x, rstd_in, log_sums, x_mid, rstd_post;
    StoredBuffer qkv, attention, gate_up;
    Buffer queries, rstd_queries, keys, rstd_keys;  // with query_key_norm, when kept
    StoredBuffer low;                               // with an adapter, when kept
  };
  std::vector<Layer> layers;  // one where nothing is kept
  Buffer last_x, dx;
};

}  // namespace masksearch
