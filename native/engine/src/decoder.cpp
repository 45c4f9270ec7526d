// The decoder's forward pass.
#include "decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "rotary.h"

namespace masksearch {

void Rows::clear() {
  count = 0;
  longest = 0;
  tokens.clear();
  positions.clear();
  segments.clear();
  tasks.clear();
}

void Rows::add(const int32_t* first_token, int token_count, int position) {
  segments.push_back({count, token_count, position});
  for (int t = 0; t < token_count; t++) {
    tokens.push_back(first_token[t]);
    positions.push_back(position + t);
  }
  count += token_count;
  longest = std::max(longest, position + token_count);
}

void Rows::plan(const DecoderConfig& config) {
  tasks.clear();
  for (int s = 0; s < int(segments.size()); s++) {
    const int rows = segments[s].count;
    const int heads = rows == 1 ? config.key_value_heads : config.heads;
    for (int first = 0; first < rows; first += kAttentionRows)
      for (int head = 0; head < heads; head++)
        tasks.push_back({s, first, std::min(kAttentionRows, rows - first), head});
  }
  const auto cost = [&](const AttentionTask& t) {
    return int64_t(t.rows) * (segments[t.segment].position + t.first + t.rows);
  };
  std::stable_sort(tasks.begin(), tasks.end(), [&](const AttentionTask& a, const AttentionTask& b) {
    return cost(a) > cost(b);
  });
}

Decoder::Decoder(const DecoderConfig& c, int threads, const LoraConfig& adapter)
    : config(c),
      lora(adapter),
      layout(c),
      adapter_layout(c, adapter),
      kernels(default_kernels()),
      pool(threads),
      weights(layout.count),
      adapter_weights(adapter_layout.count),
      gradients(trained_count()),
      first_moments(trained_count()),
      second_moments(trained_count()),
      packed_(size_t(c.layers)),
      packed_adapter_(adapter_layout.layers.size()),
      tile_low_(size_t(threads)),
      tile_dropped_(size_t(threads)),
      tile_d_dropped_(size_t(threads)),
      d_low_(kLoraTargets),
      tile_hidden_(size_t(threads)),
      tile_product_(size_t(threads)),
      attention_scratch_(size_t(threads)),
      packing_(size_t(threads)) {
  for (std::vector<PackedAdapter>& layer : packed_adapter_) layer.resize(kLoraTargets);
}

void Decoder::prepare(int positions, bool backward) {
  extend_rotary_table(positions);
  if (forward_epoch_ != weights_epoch) pack_forward();
  if (frozen() && adapter_packed_epoch_ != adapter_epoch) pack_adapter();
  if (backward && backward_epoch_ != weights_epoch) pack_backward();
}

// Frequencies and angles in float64.
void Decoder::extend_rotary_table(int positions) {
  if (positions <= rotary_rows_) return;
  const int rows = std::min(config.max_positions, std::max(positions, 2 * rotary_rows_));
  const int half = config.head_width / 2;
  float* table = rotary_.reserve(size_t(rows) * config.head_width);
  std::vector<double> frequencies;
  for (int i = 0; i < half; i++) frequencies.push_back(rotary_frequency(config, i));
  for (int p = 0; p < rows; p++)
    for (int i = 0; i < half; i++) {
      const double frequency = frequencies[size_t(i)];
      table[size_t(p) * config.head_width + i] = float(std::cos(p * frequency));
      table[size_t(p) * config.head_width + half + i] = float(std::sin(p * frequency));
    }
  rotary_rows_ = rows;
}

void Decoder::pack_forward() {
  const auto pack = [&](int n, int k, size_t from, Buffer& to) {
    float* out = to.reserve(packed_floats(n, k));
    pool.run_ranges(panels(n), 1, [&](int first, int last, int) {
      kernels.pack_transposed(n, k, weight(from), out, first, last);
    });
  };
  for (int l = 0; l < config.layers; l++) {
    pack(qkv_width(), config.width, layout.layers[l].qkv, packed_[l].qkv);
    pack(config.width, attention_width(), layout.layers[l].output, packed_[l].output);
    pack(2 * config.feed_forward_width, config.width, layout.layers[l].gate_up,
         packed_[l].gate_up);
    pack(config.width, config.feed_forward_width, layout.layers[l].down, packed_[l].down);
  }
  pack(config.vocabulary_size, config.width, layout.head, packed_head_);
  forward_epoch_ = weights_epoch;
}

void Decoder::reserve_scratch(const Rows& rows, bool backward) {
  const size_t n = size_t(rows.count);
  const size_t tile = std::min(n, size_t(kRowTile) * pool.threads());
  reserve_each(&tile_hidden_, tile * config.width);
  reserve_each(&tile_product_, tile * config.feed_forward_width);
  if (frozen()) reserve_adapter_scratch(rows, backward);
  const size_t scores = attention_scratch(std::max(kAttentionRows, config.heads), rows.longest);
  reserve_each(&attention_scratch_, scores);
  if (!backward) return;
  reserve_each(&attention_scratch_, attention_backward_scratch(rows.longest, config.head_width));
  hidden_.reserve(n * config.width);
  d_hidden_.reserve(n * config.width);
  product_.reserve(n * config.feed_forward_width);
  d_attention_.reserve(n * attention_width());
  d_qkv_.reserve(n * qkv_width());
  if (!config.query_key_norm) return;
  d_queries_.reserve(n * attention_width());
  d_keys_.reserve(n * config.key_value_heads * config.head_width);
}

void Decoder::norm_heads(int layer, int first, int rows, const LayerActivations& a) {
  if (!config.query_key_norm) return;
  const size_t D = size_t(config.head_width);
  const auto norm_part = [&](float* row, int heads, size_t weight_offset, float* kept,
                             float* rstd) {
    if (kept != nullptr) std::memcpy(kept, row, sizeof(float) * heads * D);
    kernels.rms_norm(heads, config.head_width, row, weight(weight_offset),
                     float(config.norm_epsilon), row, rstd);
  };
  const LayerLayout& at = layout.layers[layer];
  const size_t H = size_t(config.heads), K = size_t(config.key_value_heads);
  for (size_t t = size_t(first); t < size_t(first) + rows; t++) {
    float* row = a.qkv + t * qkv_width();
    const bool keep = a.queries != nullptr;
    norm_part(row, config.heads, at.query_norm, keep ? a.queries + t * H * D : nullptr,
              keep ? a.rstd_queries + t * H : nullptr);
    norm_part(row + H * D, config.key_value_heads, at.key_norm,
              keep ? a.keys + t * K * D : nullptr, keep ? a.rstd_keys + t * K : nullptr);
  }
}

void Decoder::rotate(int first, int rows, const Rows& all, float* qkv, float direction) {
  kernels.rope(rows, config.heads + config.key_value_heads, config.head_width,
               qkv + size_t(first) * qkv_width(), qkv_width(), all.positions.data() + first,
               rotary_.data(), direction);
}

void Decoder::embed(const Rows& rows, float* x) {
  for (int t = 0; t < rows.count; t++)
    std::memcpy(x + size_t(t) * config.width,
                weight(layout.embedding) + size_t(rows.tokens[t]) * config.width,
                sizeof(float) * size_t(config.width));
}

void Decoder::store_key_values(const Rows& rows, const float* qkv, const KeyValues* cache) {
  const int D = config.head_width;
  const int K = config.key_value_heads;
  const int ld = qkv_width();
  pool.run(int(rows.segments.size()) * K, [&](int task, int) {
    const Segment& s = rows.segments[task / K];
    const KeyValues& to = cache[task / K];
    const int head = task % K;
    const float* keys = qkv + size_t(s.row) * ld + size_t(config.heads + head) * D;
    kernels.store_key_tiles(s.count, s.position, D, keys, ld, to.keys + head * to.head_floats);
    float* values = to.values + head * to.head_floats + size_t(s.position) * D;
    for (int r = 0; r < s.count; r++)
      std::memcpy(values + size_t(r) * D, keys + size_t(K) * D + size_t(r) * ld, sizeof(float) * D);
  });
}

void Decoder::attend(const Rows& rows, const LayerActivations& a, const KeyValues* cache) {
  const int D = config.head_width;
  const int group = config.heads / config.key_value_heads;
  const int width = attention_width();
  pool.run(int(rows.tasks.size()), [&](int index, int worker) {
    const AttentionTask& task = rows.tasks[index];
    const Segment& s = rows.segments[task.segment];
    const KeyValues& kv = cache[task.segment];
    // One row: its query heads of one key/value head are the rows. They see the same keys.
    const bool single = s.count == 1;
    const int head = single ? task.head * group : task.head;
    const size_t kv_head = size_t(head / group);
    const size_t row = size_t(s.row) + task.first;
    Attention g;
    g.rows = single ? group : task.rows;
    g.first_length = s.position + task.first + 1;
    g.length_step = single ? 0 : 1;
    g.head_width = D;
    g.queries = a.qkv + row * qkv_width() + size_t(head) * D;
    g.query_row = single ? D : qkv_width();
    g.keys = kv.keys + kv_head * kv.head_floats;
    g.values = kv.values + kv_head * kv.head_floats;
    g.out = a.attention + row * width + size_t(head) * D;
    g.out_row = single ? D : width;
    g.log_sums = a.log_sums == nullptr ? nullptr : a.log_sums + size_t(head) * rows.count + row;
    g.log_sums_row = single ? rows.count : 1;
    g.scratch = attention_scratch_[worker].data();
    kernels.attention(g);
  });
}

void Decoder::layer_forward(int layer, const Rows& rows, const LayerActivations& a,
                            const KeyValues* cache, float* x_out) {
  const LayerLayout& at = layout.layers[layer];
  const PackedLayer& packed = packed_[layer];
  const int C = config.width;
  const int F = config.feed_forward_width;
  const int Q = attention_width();
  const Source bias{config.attention_bias ? weight(at.qkv_bias) : nullptr, 0};
  over_rows(rows.count, [&](auto& runner, int first, int n) {
    float* hidden = tile_hidden_[runner.worker()].data();
    norm(runner, n, a.x + size_t(first) * C, at.input_norm, hidden,
         a.rstd_in == nullptr ? nullptr : a.rstd_in + first);
    const Target qkv = Target{a.qkv, qkv_width()}.from(first);
    linear(runner, n, qkv_width(), C, {hidden, C}, packed.qkv.data(), bias,
           qkv);
    for (LoraTarget target : {kQuery, kKey, kValue})
      adapt(runner, layer, target, first, n, {hidden, C}, a,
            {qkv.data + qkv_column(target), qkv.row});
    norm_heads(layer, first, n, a);
    rotate(first, n, rows, a.qkv, 1);
  });
  store_key_values(rows, a.qkv, cache);
  attend(rows, a, cache);
  over_rows(rows.count, [&](auto& runner, int first, int n) {
    float* hidden = tile_hidden_[runner.worker()].data();
    float* product = tile_product_[runner.worker()].data();
    const Target x_mid = Target{a.x_mid, C}.from(first);
    const Target gate_up = Target{a.gate_up, spread_row(2 * F)}.from(first);
    linear(runner, n, C, Q, Source{a.attention, Q}.from(first), packed.output.data(),
           Source{a.x, C}.from(first), x_mid);
    adapt(runner, layer, kOutput, first, n, Source{a.attention, Q}.from(first), a, x_mid);
    norm(runner, n, x_mid.data, at.post_norm, hidden,
         a.rstd_post == nullptr ? nullptr : a.rstd_post + first);
    linear(runner, n, 2 * F, C, {hidden, C}, packed.gate_up.data(), {nullptr, 0}, gate_up);
    adapt(runner, layer, kGate, first, n, {hidden, C}, a, gate_up);
    adapt(runner, layer, kUp, first, n, {hidden, C}, a, {gate_up.data + F, gate_up.row});
    runner.run_ranges(n, 8, [&](int begin, int end, int) {
      kernels.swiglu(end - begin, F, gate_up.from(begin).data, gate_up.row,
                     product + size_t(begin) * F);
    });
    linear(runner, n, C, F, {product, F}, packed.down.data(), {x_mid.data, C},
           Target{x_out, C}.from(first));
    adapt(runner, layer, kDown, first, n, {product, F}, a, Target{x_out, C}.from(first));
  });
}

void Decoder::final_norm(int rows, const float* x, float* out, float* rstd) {
  norm(pool, rows, x, layout.final_norm, out, rstd);
}

void Decoder::logits(int rows, const float* h, float* out) {
  linear(pool, rows, config.vocabulary_size, config.width, {h, config.width}, packed_head_.data(),
         {nullptr, 0}, {out, logits_row()});
}

}  // namespace masksearch
