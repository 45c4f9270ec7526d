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

void Rows::plan(const DecoderConfig& config, DataType type) {
  tasks.clear();
  // Many single rows go through all their heads one by one, so that a head's keys are fetched early.
  const int together = int(segments.size()) < kSegmentsOfOwnTasks ? 1 : config.key_value_heads;
  for (int s = 0; s < int(segments.size()); s++) {
    const int rows = segments[s].count;
    if (rows == 1) {
      for (int head = 0; head < config.key_value_heads; head += together)
        tasks.push_back({s, 0, 1, head, together});
      continue;
    }
    for (int first = 0; first < rows; first += attention_rows(type))
      for (int head = 0; head < config.heads; head++)
        tasks.push_back({s, first, std::min(attention_rows(type), rows - first), head, 1});
  }
  const auto cost = [&](const AttentionTask& t) {
    return int64_t(t.rows) * (segments[t.segment].position + t.first + t.rows);
  };
  std::stable_sort(tasks.begin(), tasks.end(), [&](const AttentionTask& a, const AttentionTask& b) {
    return cost(a) > cost(b);
  });
}

Decoder::Decoder(const DecoderConfig& c, int threads, const LoraConfig& adapter, DataType stored)
    : config(c),
      lora(adapter),
      type(stored),
      layout(c),
      adapter_layout(c, adapter),
      kernels(default_kernels(stored)),
      float_kernels(default_kernels()),
      pool(threads),
      weights(layout.count),
      adapter_weights(adapter_layout.count),
      gradients(trained_count()),
      first_moments(trained_count()),
      second_moments(trained_count()),
      packed_(size_t(c.layers)),
      packed_adapter_(adapter_layout.layers.size()),
      tile_low_(size_t(threads)),
      tile_d_dropped_(size_t(threads)),
      tile_d_kept_(size_t(threads)),
      tile_low_stored_(size_t(threads)),
      tile_dropped_(size_t(threads)),
      d_low_(kLoraTargets),
      tile_hidden_(size_t(threads)),
      tile_product_(size_t(threads)),
      tile_wide_(size_t(threads)),
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
  const auto pack = [&](int n, int k, size_t from, StoredBuffer& to) {
    const Cells out = to.reserve(type, packed_cells(type, n, k));
    pool.run_ranges(panels(n), 1, [&](int first, int last, int) {
      kernels.pack_transposed(n, k, weight(from), out.data, first, last);
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
  const size_t tile = std::min(n, size_t(row_tile(type)) * pool.threads());
  const size_t hidden = size_t(row(config.width));
  const size_t product = size_t(row(config.feed_forward_width));
  for (int t = 0; t < pool.threads(); t++) {
    tile_hidden_[size_t(t)].reserve(type, tile * hidden);
    tile_product_[size_t(t)].reserve(type, tile * product);
  }
  if (type == DataType::bfloat16) reserve_each(&tile_wide_, tile * widest_made());
  if (frozen()) reserve_adapter_scratch(rows, backward);
  const int queries = std::max(attention_rows(type), config.heads);
  reserve_each(&attention_scratch_, attention_scratch(queries, rows.longest, config.head_width));
  if (!backward) return;
  reserve_each(&attention_scratch_, attention_backward_scratch(rows.longest, config.head_width));
  hidden_.reserve(type, n * hidden);
  d_hidden_.reserve(n * config.width);
  product_.reserve(type, n * product);
  d_attention_.reserve(type, n * size_t(row(attention_width())));
  d_qkv_.reserve(n * qkv_width());
  if (type == DataType::bfloat16) {
    d_x_stored_.reserve(type, n * hidden);
    d_qkv_stored_.reserve(type, n * size_t(row(qkv_width())));
  }
  if (!config.query_key_norm) return;
  d_queries_.reserve(n * attention_width());
  d_keys_.reserve(n * config.key_value_heads * config.head_width);
}

Target Decoder::staged(Source kept, Buffer& tile) const {
  if (type == DataType::float32) return {static_cast<float*>(kept.data.data), kept.row};
  return {tile.data(), ptrdiff_t(widest_made())};
}

Source Decoder::stored(const float* rows, int width, const StoredBuffer& copy) const {
  if (type == DataType::float32) return {{const_cast<float*>(rows), type}, width};
  return {copy.data(), row(width)};
}

void Decoder::norm_heads(int layer, int first, int rows, const LayerActivations& a, Target qkv) {
  if (!config.query_key_norm) return;
  const size_t D = size_t(config.head_width);
  const auto norm_part = [&](float* row, int heads, size_t weight_offset, float* kept,
                             float* rstd) {
    if (kept != nullptr) std::memcpy(kept, row, sizeof(float) * heads * D);
    float_kernels.rms_norm(heads, config.head_width, row, weight(weight_offset),
                           float(config.norm_epsilon), row, rstd);
  };
  const LayerLayout& at = layout.layers[layer];
  const size_t H = size_t(config.heads), K = size_t(config.key_value_heads);
  for (size_t t = size_t(first); t < size_t(first) + rows; t++) {
    float* row = qkv.from(int(t) - first).data;
    const bool keep = a.queries != nullptr;
    norm_part(row, config.heads, at.query_norm, keep ? a.queries + t * H * D : nullptr,
              keep ? a.rstd_queries + t * H : nullptr);
    norm_part(row + H * D, config.key_value_heads, at.key_norm,
              keep ? a.keys + t * K * D : nullptr, keep ? a.rstd_keys + t * K : nullptr);
  }
}

// Rows [first, first + rows) of the pass; qkv begins at the first of them.
void Decoder::rotate(int first, int rows, const Rows& all, Target qkv, float direction) {
  kernels.rope(rows, config.heads + config.key_value_heads, config.head_width, qkv.data, qkv.row,
               all.positions.data() + first, rotary_.data(), direction);
}

void Decoder::embed(const Rows& rows, float* x) {
  for (int t = 0; t < rows.count; t++)
    std::memcpy(x + size_t(t) * config.width,
                weight(layout.embedding) + size_t(rows.tokens[t]) * config.width,
                sizeof(float) * size_t(config.width));
}

void Decoder::store_key_values(const Rows& rows, Cells qkv, const KeyValues* cache) {
  const int D = config.head_width;
  const int K = config.key_value_heads;
  const ptrdiff_t ld = row(qkv_width());
  pool.run(int(rows.segments.size()) * K, [&](int task, int) {
    const Segment& s = rows.segments[task / K];
    const KeyValues& to = cache[task / K];
    const int head = task % K;
    const ptrdiff_t at = ptrdiff_t(head * to.head_cells);
    const Cells keys = qkv + (s.row * ld + ptrdiff_t(config.heads + head) * D);
    kernels.store_key_tiles(s.count, s.position, D, keys.data, ld, (to.keys + at).data);
    kernels.store_values(s.count, s.position, D, (keys + ptrdiff_t(K) * D).data, ld,
                         (to.values + at).data);
  });
}

void Decoder::attend(const Rows& rows, const LayerActivations& a, const KeyValues* cache) {
  const int D = config.head_width;
  const int group = config.heads / config.key_value_heads;
  const ptrdiff_t ld = row(qkv_width());
  const ptrdiff_t width = row(attention_width());
  pool.run(int(rows.tasks.size()), [&](int index, int worker) {
    const AttentionTask& task = rows.tasks[index];
    const Segment& s = rows.segments[task.segment];
    const KeyValues& kv = cache[task.segment];
    const auto keys_of = [&](int head) {
      return (kv.keys + ptrdiff_t(size_t(head) * kv.head_cells)).data;
    };
    // One row: its query heads of one key/value head are the rows. They see the same keys.
    const bool single = s.count == 1;
    const ptrdiff_t at = s.row + task.first;
    for (int i = 0; i < task.heads; i++) {
      const int head = single ? (task.head + i) * group : task.head;
      const int key_head = head / group;
      Attention g;
      g.rows = single ? group : task.rows;
      g.first_length = s.position + task.first + 1;
      g.length_step = single ? 0 : 1;
      g.head_width = D;
      g.queries = (a.qkv + (at * ld + ptrdiff_t(head) * D)).data;
      g.query_row = single ? D : ld;
      g.keys = keys_of(key_head);
      g.values = (kv.values + ptrdiff_t(size_t(key_head) * kv.head_cells)).data;
      g.out = (a.attention + (at * width + ptrdiff_t(head) * D)).data;
      g.out_row = single ? D : width;
      g.log_sums = a.log_sums == nullptr ? nullptr : a.log_sums + size_t(head) * rows.count + at;
      g.log_sums_row = single ? rows.count : 1;
      g.scratch = attention_scratch_[worker].data();
      if (i + 1 < task.heads) g.next_keys = keys_of(key_head + 1);
      kernels.attention(g);
    }
  });
}

void Decoder::layer_forward(int layer, const Rows& rows, const LayerActivations& a,
                            const KeyValues* cache, float* x_out) {
  const LayerLayout& at = layout.layers[layer];
  const PackedLayer& packed = packed_[layer];
  const int C = config.width;
  const int F = config.feed_forward_width;
  const int Q = attention_width();
  const Target bias{config.attention_bias ? weight(at.qkv_bias) : nullptr, 0};
  over_rows(rows.count, [&](auto& runner, int first, int n) {
    const Source hidden{tile_hidden_[runner.worker()].data(), row(C)};
    norm(runner, n, a.x + size_t(first) * C, at.input_norm, hidden.data,
         a.rstd_in == nullptr ? nullptr : a.rstd_in + first);
    const Source kept = Source{a.qkv, row(qkv_width())}.from(first);
    const Target qkv = staged(kept, tile_wide_[runner.worker()]);
    linear(runner, n, qkv_width(), C, hidden, packed.qkv.data(), bias, qkv);
    for (LoraTarget target : {kQuery, kKey, kValue})
      adapt(runner, layer, target, first, n, hidden, a, qkv.column(qkv_column(target)));
    norm_heads(layer, first, n, a, qkv);
    rotate(first, n, rows, qkv, 1);
    keep(runner, n, qkv_width(), qkv, kept);
  });
  store_key_values(rows, a.qkv, cache);
  attend(rows, a, cache);
  over_rows(rows.count, [&](auto& runner, int first, int n) {
    const Source hidden{tile_hidden_[runner.worker()].data(), row(C)};
    const Source product{tile_product_[runner.worker()].data(), row(F)};
    const Source attention = Source{a.attention, row(Q)}.from(first);
    const Target x_mid = Target{a.x_mid, C}.from(first);
    linear(runner, n, C, Q, attention, packed.output.data(), Target{a.x, C}.from(first), x_mid,
           &packed.gate_up);
    adapt(runner, layer, kOutput, first, n, attention, a, x_mid);
    norm(runner, n, x_mid.data, at.post_norm, hidden.data,
         a.rstd_post == nullptr ? nullptr : a.rstd_post + first);
    Source kept{a.gate_up, gate_up_row()};
    if (kept.data.data != nullptr) kept = kept.from(first);
    const Target gate_up = staged(kept, tile_wide_[runner.worker()]);
    linear(runner, n, 2 * F, C, hidden, packed.gate_up.data(), {nullptr, 0}, gate_up,
           &packed.down);
    adapt(runner, layer, kGate, first, n, hidden, a, gate_up);
    adapt(runner, layer, kUp, first, n, hidden, a, gate_up.column(F));
    runner.run_ranges(n, 8, [&](int begin, int end, int worker) {
      OneThread here(worker);
      for (int t = begin; t < end; t += kRowsAtOnce) {  // kept while they are in the first cache
        const int rows = std::min(kRowsAtOnce, end - t);
        kernels.swiglu(rows, F, gate_up.from(t).data, gate_up.row, product.from(t).data.data);
        if (kept.data.data != nullptr) keep(here, rows, 2 * F, gate_up.from(t), kept.from(t));
      }
    });
    const Target out = Target{x_out, C}.from(first);
    linear(runner, n, C, F, product, packed.down.data(), x_mid, out, &packed.output);
    adapt(runner, layer, kDown, first, n, product, a, out);
  });
}

void Decoder::final_norm(int rows, const float* x, Cells out, float* rstd) {
  norm(pool, rows, x, layout.final_norm, out, rstd);
}

void Decoder::logits(int rows, Cells h, float* out) {
  linear(pool, rows, config.vocabulary_size, config.width, {h, row(config.width)},
         packed_head_.data(), {nullptr, 0}, {out, logits_row()});
}

}  // namespace masksearch
