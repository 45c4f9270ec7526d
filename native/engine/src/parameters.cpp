// Where each parameter lies in the arenas.
#include "parameters.h"

namespace masksearch {

Layout::Layout(const DecoderConfig& c) : count(0) {
  const int q_width = c.heads * c.head_width;
  const int kv_width = c.key_value_heads * c.head_width;
  embedding = place("model.embed_tokens.weight", {c.vocabulary_size, c.width}, false);
  for (int l = 0; l < c.layers; l++) {
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    LayerLayout layer{};
    layer.input_norm = place(prefix + "input_layernorm.weight", {c.width}, false);
    layer.qkv = place(prefix + "self_attn.q_proj.weight", {q_width, c.width}, true);
    place(prefix + "self_attn.k_proj.weight", {kv_width, c.width}, true);
    place(prefix + "self_attn.v_proj.weight", {kv_width, c.width}, true);
    if (c.attention_bias) {
      layer.qkv_bias = place(prefix + "self_attn.q_proj.bias", {q_width}, false);
      place(prefix + "self_attn.k_proj.bias", {kv_width}, false);
      place(prefix + "self_attn.v_proj.bias", {kv_width}, false);
    }
    layer.output = place(prefix + "self_attn.o_proj.weight", {c.width, q_width}, true);
    if (c.query_key_norm) {
      layer.query_norm = place(prefix + "self_attn.q_norm.weight", {c.head_width}, false);
      layer.key_norm = place(prefix + "self_attn.k_norm.weight", {c.head_width}, false);
    }
    layer.post_norm = place(prefix + "post_attention_layernorm.weight", {c.width}, false);
    layer.gate_up = place(prefix + "mlp.gate_proj.weight", {c.feed_forward_width, c.width}, true);
    place(prefix + "mlp.up_proj.weight", {c.feed_forward_width, c.width}, true);
    layer.down = place(prefix + "mlp.down_proj.weight", {c.width, c.feed_forward_width}, true);
    layers.push_back(layer);
  }
  final_norm = place("model.norm.weight", {c.width}, false);
  head = c.tied_embeddings ? embedding
                           : place("lm_head.weight", {c.vocabulary_size, c.width}, false);
}

AdapterLayout::AdapterLayout(const DecoderConfig& c, const LoraConfig& lora) {
  const int q_width = c.heads * c.head_width;
  const int kv_width = c.key_value_heads * c.head_width;
  struct Matrix {
    const char* name;
    int outputs, inputs;
  };
  const Matrix matrices[kLoraTargets] = {
      {"self_attn.q_proj", q_width, c.width},
      {"self_attn.k_proj", kv_width, c.width},
      {"self_attn.v_proj", kv_width, c.width},
      {"self_attn.o_proj", c.width, q_width},
      {"mlp.gate_proj", c.feed_forward_width, c.width},
      {"mlp.up_proj", c.feed_forward_width, c.width},
      {"mlp.down_proj", c.width, c.feed_forward_width},
  };
  if (lora.rank == 0) return;
  for (int l = 0; l < c.layers; l++) {
    std::array<AdapterMatrix, kLoraTargets> layer{};
    for (int t = 0; t < kLoraTargets; t++) {
      const Matrix& m = matrices[t];
      if (!lora.targets[t]) continue;
      const std::string name =
          "base_model.model.model.layers." + std::to_string(l) + "." + m.name;
      const size_t a = place(name + ".lora_A.weight", lora.rank, m.inputs);
      const size_t b = place(name + ".lora_B.weight", m.outputs, lora.rank);
      layer[size_t(t)] = {true, m.inputs, m.outputs, a, b};
    }
    layers.push_back(layer);
  }
}

size_t AdapterLayout::place(const std::string& name, int rows, int columns) {
  const size_t offset = count;
  parameters.push_back({name, {rows, columns}, offset, size_t(rows) * columns, true});
  count += size_t(rows) * columns;
  return offset;
}

size_t Layout::place(const std::string& name, std::vector<int> shape, bool decayed) {
  size_t size = 1;
  for (int extent : shape) size *= size_t(extent);
  const size_t offset = count;
  parameters.push_back({name, std::move(shape), offset, size, decayed});
  count += size;
  return offset;
}

}  // namespace masksearch
