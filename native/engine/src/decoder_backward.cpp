// The decoder's backward pass. Gradients of weights are one chain over tokens per element.
#include <algorithm>
#include <cstring>

#include "decoder.h"

namespace masksearch {

void Decoder::pack_backward() {
  const auto pack = [&](int n, int k, size_t from, StoredBuffer& to) {
    const Cells out = to.reserve(type, packed_cells(type, k, n));
    pool.run_ranges(panels(k), 1, [&](int first, int last, int) {
      kernels.pack(k, n, weight(from), out.data, first, last);
    });
  };
  for (int l = 0; l < config.layers; l++) {
    pack(qkv_width(), config.width, layout.layers[l].qkv, packed_[l].qkv_back);
    pack(config.width, attention_width(), layout.layers[l].output, packed_[l].output_back);
    pack(2 * config.feed_forward_width, config.width, layout.layers[l].gate_up,
         packed_[l].gate_up_back);
    pack(config.width, config.feed_forward_width, layout.layers[l].down, packed_[l].down_back);
  }
  pack(config.vocabulary_size, config.width, layout.head, packed_head_back_);
  backward_epoch_ = weights_epoch;
}

void Decoder::linear_weight(int m, int n, int k, Source dy, Source x, float* dw) {
  // One piece per thread, as each packs x for itself.
  const int grain = register_rows(type);
  const int grains = (n + grain - 1) / grain;
  pool.run(pool.threads(), [&](int piece, int worker) {
    const int first = int(int64_t(grains) * piece / pool.threads()) * grain;
    const int last = std::min(n, int(int64_t(grains) * (piece + 1) / pool.threads()) * grain);
    if (first >= last) return;
    const Cells packed = packing_[worker].reserve(type, packed_cells(type, k, kGradientTokens));
    float* c = dw + size_t(first) * k;
    for (int t = 0; t < m; t += kGradientTokens) {
      const int tokens = std::min(kGradientTokens, m - t);
      kernels.pack_rows(k, tokens, x.from(t).data.data, x.row, packed.data, 0, panels(k));
      kernels.matmul_transposed({last - first, k, tokens, dy.from(t).column(first).data.data, dy.row,
                                 packed.data, packed_row(type), packed_panel(type, tokens), c, k, c,
                                 k});
    }
  });
}

void Decoder::norm_weight_backward(int rows, const float* dh, const float* x,
                                   size_t weight_offset, const float* rstd) {
  pool.run_ranges(config.width, 16, [&](int first, int last, int) {
    kernels.rms_norm_weight(rows, config.width, dh, x, rstd, gradient(weight_offset), first, last);
  });
}

void Decoder::norm_rows_backward(int first, int rows, const float* dh, const float* x,
                                 size_t weight_offset, const float* rstd, float* dx) {
  const size_t at = size_t(first) * config.width;
  kernels.rms_norm_backward(rows, config.width, dh + at, x + at, weight(weight_offset),
                            rstd + first, dx + at);
}

void Decoder::norm_again(int first, int rows, const float* x, size_t weight_offset,
                         const float* rstd) {
  kernels.rms_norm_again(rows, config.width, x + size_t(first) * config.width,
                         weight(weight_offset), rstd + first,
                         (hidden_.data() + first * row(config.width)).data);
}

void Decoder::norm_heads_backward(int layer, int first, int rows, const LayerActivations& a,
                                  float* d_qkv) {
  if (!config.query_key_norm) return;
  const size_t D = size_t(config.head_width);
  // The gradient of the norm's output moves to `kept`; that of its input takes its place.
  const auto backward_part = [&](float* row, int heads, size_t weight_offset, const float* x,
                                 const float* rstd, float* kept) {
    std::memcpy(kept, row, sizeof(float) * heads * D);
    std::fill_n(row, heads * D, 0.0f);
    kernels.rms_norm_backward(heads, config.head_width, kept, x, weight(weight_offset), rstd, row);
  };
  const LayerLayout& at = layout.layers[layer];
  const size_t H = size_t(config.heads), K = size_t(config.key_value_heads);
  for (size_t t = size_t(first); t < size_t(first) + rows; t++) {
    float* row = d_qkv + t * qkv_width();
    backward_part(row, config.heads, at.query_norm, a.queries + t * H * D, a.rstd_queries + t * H,
                  d_queries_.data() + t * H * D);
    backward_part(row + H * D, config.key_value_heads, at.key_norm, a.keys + t * K * D,
                  a.rstd_keys + t * K, d_keys_.data() + t * K * D);
  }
}

void Decoder::norm_heads_weight_backward(int layer, const Rows& rows, const LayerActivations& a) {
  if (!config.query_key_norm) return;
  const LayerLayout& at = layout.layers[layer];
  const int D = config.head_width;
  pool.run_ranges(D, 16, [&](int first, int last, int) {
    kernels.rms_norm_weight(rows.count * config.heads, D, d_queries_.data(), a.queries,
                            a.rstd_queries, gradient(at.query_norm), first, last);
    kernels.rms_norm_weight(rows.count * config.key_value_heads, D, d_keys_.data(), a.keys,
                            a.rstd_keys, gradient(at.key_norm), first, last);
  });
}

void Decoder::attend_backward(const Rows& rows, const LayerActivations& a, const KeyValues* cache,
                              Cells d_attention, float* d_qkv) {
  const int D = config.head_width;
  const int K = config.key_value_heads;
  const int group = config.heads / K;
  const ptrdiff_t ld = row(qkv_width());
  const ptrdiff_t width = row(attention_width());
  pool.run(int(rows.segments.size()) * K, [&](int task, int worker) {
    const Segment& s = rows.segments[task / K];
    const KeyValues& tiles = cache[task / K];
    const int head = task % K;
    const ptrdiff_t query_column = ptrdiff_t(head) * group * D;
    const ptrdiff_t key_column = ptrdiff_t(config.heads + head) * D;
    const ptrdiff_t value_column = key_column + ptrdiff_t(K) * D;
    const Cells base = a.qkv + s.row * ld;
    float* d_base = d_qkv + size_t(s.row) * qkv_width();
    void* key_tiles = (tiles.keys + ptrdiff_t(head * tiles.head_cells)).data;
    void* value_tiles = (tiles.values + ptrdiff_t(head * tiles.head_cells)).data;
    kernels.store_key_tiles(s.count, 0, D, (base + key_column).data, ld, key_tiles);
    kernels.store_key_tiles(s.count, 0, D, (base + value_column).data, ld, value_tiles);
    AttentionBackward g;
    g.length = s.count;
    g.head_width = D;
    g.group = group;
    g.queries = (base + query_column).data;
    g.key_rows = (base + key_column).data;
    g.qkv_row = ld;
    g.key_tiles = key_tiles;
    g.value_tiles = value_tiles;
    g.out = (a.attention + (s.row * width + query_column)).data;
    g.d_out = (d_attention + (s.row * width + query_column)).data;
    g.out_row = width;
    g.log_sums = a.log_sums + size_t(head) * group * rows.count + s.row;
    g.log_sums_row = rows.count;
    g.d_queries = d_base + query_column;
    g.d_keys = d_base + key_column;
    g.d_values = d_base + value_column;
    g.d_qkv_row = qkv_width();
    g.scratch = attention_scratch_[worker].data();
    kernels.attention_backward(g);
  });
}

void Decoder::layer_backward(int layer, const Rows& rows, const LayerActivations& a,
                             const KeyValues* cache, float* dx) {
  feed_forward_backward(layer, rows, a, dx);
  attention_block_backward(layer, rows, a, cache, dx);
}

void Decoder::feed_forward_backward(int layer, const Rows& rows, const LayerActivations& a,
                                    float* dx) {
  const LayerLayout& at = layout.layers[layer];
  const PackedLayer& packed = packed_[layer];
  const int N = rows.count;
  const int C = config.width;
  const int F = config.feed_forward_width;
  over_rows(N, [&](auto& runner, int first, int n) {
    const Source made{tile_product_[runner.worker()].data(), row(F)};
    const Target d_product{staged(made, tile_wide_[runner.worker()]).data, F};
    const Source d_out = store(runner, first, n, dx, C, d_x_stored_);
    const Source d_gate_up = Source{a.gate_up, gate_up_row()}.from(first);
    linear(runner, n, F, C, d_out, packed.down_back.data(), {nullptr, 0}, d_product,
           &packed.gate_up_back);
    adapt_backward(runner, layer, kDown, first, n, d_out, d_product);
    kernels.swiglu_backward(n, F, d_product.data, d_gate_up.data.data, d_gate_up.row,
                            (product_.data() + first * row(F)).data);
    const Target d_hidden = Target{d_hidden_.data(), C}.from(first);
    linear(runner, n, C, 2 * F, d_gate_up, packed.gate_up_back.data(), {nullptr, 0}, d_hidden,
           &packed.down_back);
    adapt_backward(runner, layer, kGate, first, n, d_gate_up, d_hidden);
    adapt_backward(runner, layer, kUp, first, n, d_gate_up.column(F), d_hidden);
    norm_again(first, n, a.x_mid, at.post_norm, a.rstd_post);
  });
  const Source d_out = stored(dx, C, d_x_stored_);
  const Source d_gate_up{a.gate_up, gate_up_row()};
  const Source hidden{hidden_.data(), row(C)};
  const Source product{product_.data(), row(F)};
  if (frozen()) {
    adapt_weight_backward(layer, kDown, rows, d_out, product, a);
    adapt_weight_backward(layer, kGate, rows, d_gate_up, hidden, a);
    adapt_weight_backward(layer, kUp, rows, d_gate_up.column(F), hidden, a);
  } else {
    linear_weight(N, C, F, d_out, product, gradient(at.down));
    linear_weight(N, 2 * F, C, d_gate_up, hidden, gradient(at.gate_up));
    norm_weight_backward(N, d_hidden_.data(), a.x_mid, at.post_norm, a.rstd_post);
  }
  over_rows(N, [&](auto&, int first, int n) {
    norm_rows_backward(first, n, d_hidden_.data(), a.x_mid, at.post_norm, a.rstd_post, dx);
  });
}

void Decoder::attention_block_backward(int layer, const Rows& rows, const LayerActivations& a,
                                       const KeyValues* cache, float* dx) {
  const LayerLayout& at = layout.layers[layer];
  const PackedLayer& packed = packed_[layer];
  const int N = rows.count;
  const int C = config.width;
  const int Q = attention_width();
  over_rows(N, [&](auto& runner, int first, int n) {
    const Source d_out = store(runner, first, n, dx, C, d_x_stored_);
    const Source kept = Source{d_attention_.data(), row(Q)}.from(first);
    const Target d_attention = staged(kept, tile_wide_[runner.worker()]);
    linear(runner, n, Q, C, d_out, packed.output_back.data(), {nullptr, 0}, d_attention);
    adapt_backward(runner, layer, kOutput, first, n, d_out, d_attention);
    keep(runner, n, Q, d_attention, kept);
  });
  const Source d_out = stored(dx, C, d_x_stored_);
  const Source attention{a.attention, row(Q)};
  if (frozen())
    adapt_weight_backward(layer, kOutput, rows, d_out, attention, a);
  else
    linear_weight(N, C, Q, d_out, attention, gradient(at.output));
  attend_backward(rows, a, cache, d_attention_.data(), d_qkv_.data());
  over_rows(N, [&](auto& runner, int first, int n) {
    rotate(first, n, rows, Target{d_qkv_.data(), qkv_width()}.from(first), -1);
    norm_heads_backward(layer, first, n, a, d_qkv_.data());
    const Source d_qkv = store(runner, first, n, d_qkv_.data(), qkv_width(), d_qkv_stored_);
    const Target d_hidden = Target{d_hidden_.data(), C}.from(first);
    linear(runner, n, C, qkv_width(), d_qkv, packed.qkv_back.data(), {nullptr, 0}, d_hidden);
    for (LoraTarget target : {kQuery, kKey, kValue})
      adapt_backward(runner, layer, target, first, n, d_qkv.column(qkv_column(target)), d_hidden);
    norm_again(first, n, a.x, at.input_norm, a.rstd_in);
    norm_rows_backward(first, n, d_hidden_.data(), a.x, at.input_norm, a.rstd_in, dx);
  });
  const Source d_qkv = stored(d_qkv_.data(), qkv_width(), d_qkv_stored_);
  const Source hidden{hidden_.data(), row(C)};
  if (frozen()) {
    for (LoraTarget target : {kQuery, kKey, kValue})
      adapt_weight_backward(layer, target, rows, d_qkv.column(qkv_column(target)), hidden, a);
    return;
  }
  norm_heads_weight_backward(layer, rows, a);
  if (config.attention_bias)
    pool.run_ranges(qkv_width(), 16, [&](int first, int last, int) {
      kernels.column_sums(N, d_qkv_.data(), qkv_width(), gradient(at.qkv_bias), first, last);
    });
  linear_weight(N, qkv_width(), C, d_qkv, hidden, gradient(at.qkv));
  norm_weight_backward(N, d_hidden_.data(), a.x, at.input_norm, a.rstd_in);
}

// Each thread owns a range of the vocabulary and adds its tokens in order.
void Decoder::embed_backward(const Rows& rows, const float* dx) {
  if (frozen()) return;
  const size_t C = size_t(config.width);
  const int pieces = pool.threads();
  pool.run(pieces, [&](int piece, int) {
    const int first = int(int64_t(config.vocabulary_size) * piece / pieces);
    const int last = int(int64_t(config.vocabulary_size) * (piece + 1) / pieces);
    for (int t = 0; t < rows.count; t++) {
      const int token = rows.tokens[t];
      if (token >= first && token < last)
        kernels.add(C, gradient(layout.embedding) + size_t(token) * C, dx + size_t(t) * C);
    }
  });
}

void Decoder::store_logits(int first, int rows, float* d_logits) {
  OneThread runner(0);
  keep(runner, rows, config.vocabulary_size, Target{d_logits, logits_row()}.from(first),
       stored_logits(d_logits).from(first));
}

void Decoder::logits_backward(int rows, Source d_logits, Cells h, float* dh) {
  const int V = config.vocabulary_size;
  const int C = config.width;
  if (!frozen()) linear_weight(rows, V, C, d_logits, {h, row(C)}, gradient(layout.head));
  linear(pool, rows, C, V, d_logits, packed_head_back_.data(), {nullptr, 0}, {dh, C});
}

void Decoder::final_norm_backward(int rows, const float* dh, const float* x, const float* rstd,
                                  const int32_t* to, float* dx) {
  const size_t C = size_t(config.width);
  if (!frozen()) norm_weight_backward(rows, dh, x, layout.final_norm, rstd);
  for (int t = 0; t < rows; t++)
    kernels.rms_norm_backward(1, config.width, dh + t * C, x + t * C, weight(layout.final_norm),
                              rstd + t, dx + size_t(to[t]) * C);
}

}  // namespace masksearch
