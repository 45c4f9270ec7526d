// The decoder: weights in four arenas, packed copies for the kernels, and the layers' forward and
// backward passes over rows of tokens. Knows nothing about losses or sampling.
#pragma once

#include <cstdint>
#include <vector>

#include "arena.h"
#include "engine.h"
#include "kernels.h"
#include "parameters.h"
#include "sizes.h"
#include "thread_pool.h"

namespace masksearch {

// Keys and values of one sequence in one layer; head k at keys + k * head_floats.
struct KeyValues {
  float* keys;         // (K) key tiles, see Attention in kernels.h
  float* values;       // (K, capacity, D)
  size_t head_floats;  // capacity * D
};

// Consecutive rows of one sequence, at positions position.. ; earlier positions are in the cache.
struct Segment {
  int row;
  int count;
  int position;
};

// A piece of attention work: some queries of one head of one segment.
struct AttentionTask {
  int segment;
  int first;  // row within the segment
  int rows;
  int head;   // query head, or key/value head for single-row segments
};

// Rows that go through the decoder together: whole sequences, or pieces with a cache before them.
struct Rows {
  int count = 0;
  std::vector<int32_t> tokens;
  std::vector<int32_t> positions;
  std::vector<Segment> segments;
  std::vector<AttentionTask> tasks;
  int longest = 0;  // keys that any row sees at most

  void clear();
  void add(const int32_t* first_token, int token_count, int position);
  // Splits the segments into tasks, longest first.
  void plan(const DecoderConfig& config);
};

// Rows `row` floats apart.
struct Source {
  const float* data;
  ptrdiff_t row;
  Source from(int first) const { return {data + first * row, row}; }
};
struct Target {
  float* data;
  ptrdiff_t row;
  Target from(int first) const { return {data + first * row, row}; }
};

// Distance between wide rows: a power of two would put the rows of a tile into a few cache sets.
inline ptrdiff_t spread_row(int width) { return width + 16; }

// What a layer's backward pass needs; pointers into buffers of N rows.
struct LayerActivations {
  float* x;          // (N, C) input
  float* rstd_in;    // (N)
  float* qkv;        // (N, (H + 2K) D) after bias and RoPE
  float* attention;  // (N, H D)
  float* log_sums;   // (H, N)
  float* x_mid;      // (N, C) after attention
  float* rstd_post;  // (N)
  float* gate_up;    // (N, 2F), rows spread_row(2F) apart
  // With query_key_norm: heads before their norm, and its rstd. Null when nothing is kept.
  float* queries;    // (N, H, D)
  float* rstd_queries;  // (N, H)
  float* keys;       // (N, K, D)
  float* rstd_keys;  // (N, K)
  float* low;        // (targets, low_rows, r) scaled low-rank activations of an adapter, or null
  size_t low_rows;   // N
};

// Packed copies of a layer's matrices: for y = x W^T, and for dx = dy W.
struct PackedLayer {
  Buffer qkv, output, gate_up, down;
  Buffer qkv_back, output_back, gate_up_back, down_back;
};

// Packed copies of an adapted matrix: A for x A^T, B for h B^T, and both for the way back.
struct PackedAdapter {
  Buffer a, b, a_back, b_back;
};

// The random numbers of one accumulate's dropout: equal state, equal masks.
struct DropoutState {
  bool active = false;
  uint32_t step = 0;         // optimizer steps taken
  uint32_t call = 0;         // calls of accumulate since then
  uint32_t first_token = 0;  // of the pass, in the batch
};

class Decoder {
 public:
  Decoder(const DecoderConfig& config, int threads, const LoraConfig& lora);

  const DecoderConfig config;
  const LoraConfig lora;
  const Layout layout;
  const AdapterLayout adapter_layout;
  const Kernels& kernels;
  ThreadPool pool;
  // Gradients and moments are those of the adapter where there is one.
  Buffer weights, adapter_weights, gradients, first_moments, second_moments;
  // Raised by whoever may have changed the weights; packed copies follow at the next pass.
  int64_t weights_epoch = 1;
  int64_t adapter_epoch = 1;
  AdapterUse adapter_use = AdapterUse::on;
  DropoutState dropout;

  // The layers' own weights get no gradients.
  bool frozen() const { return lora.rank > 0; }
  const std::vector<Parameter>& trained() const {
    return frozen() ? adapter_layout.parameters : layout.parameters;
  }
  size_t trained_count() const { return frozen() ? adapter_layout.count : layout.count; }
  Buffer& trained_weights() { return frozen() ? adapter_weights : weights; }
  // Says that what is trained may have changed.
  void touch_trained() { (frozen() ? adapter_epoch : weights_epoch)++; }

  int qkv_width() const { return (config.heads + 2 * config.key_value_heads) * config.head_width; }
  // Where the rows of a query, key or value projection begin in a row of qkv.
  int qkv_column(LoraTarget target) const {
    const int key = config.heads * config.head_width;
    return target == kQuery ? 0 : target == kKey ? key : (qkv_width() + key) / 2;
  }
  int attention_width() const { return config.heads * config.head_width; }

  // Brings packed copies and the rotary table up to date. `positions`: rows of the table needed.
  void prepare(int positions, bool backward);

  void embed(const Rows& rows, float* x);
  // Scratch of a pass over n rows. Call before the layers.
  void reserve_scratch(const Rows& rows, bool backward);
  // One layer; x_out may be a.x only when nothing is kept for a backward pass.
  // cache[s]: where keys and values of segment s are (positions before the segment) and go.
  void layer_forward(int layer, const Rows& rows, const LayerActivations& a, const KeyValues* cache,
                     float* x_out);
  // dx (N, C) holds the gradient of the layer's output and becomes that of its input.
  // Consumes a.gate_up. `cache` is scratch for the key and value tiles of whole sequences.
  void layer_backward(int layer, const Rows& rows, const LayerActivations& a,
                      const KeyValues* cache, float* dx);
  void embed_backward(const Rows& rows, const float* dx);

  void final_norm(int rows, const float* x, float* out, float* rstd);
  // logits (rows, V) = h W^T, rows logits_row() apart
  ptrdiff_t logits_row() const { return spread_row(config.vocabulary_size); }
  void logits(int rows, const float* h, float* out);
  // dh = d_logits W; dW += d_logits^T h
  void logits_backward(int rows, const float* d_logits, const float* h, float* dh);
  // dx = gradient of the final norm's input; weight gradient +=
  void final_norm_backward(int rows, const float* dh, const float* x, const float* rstd, float* dx);

 private:
  // The adapter's part of y (first row of the pass `first`, n rows): y += s B A dropout(x), x the
  // rows of the target's input. Nothing where the target is not adapted or the adapter is off.
  template <class Runner>
  void adapt(Runner& runner, int layer, LoraTarget target, int first, int n, Source x,
             const LayerActivations& a, Target y);
  // Its way back: keeps the low-rank gradient of these rows, dx += its part of the input's gradient.
  template <class Runner>
  void adapt_backward(Runner& runner, int layer, LoraTarget target, int first, int n, Source dy,
                      Target dx);
  // Gradients of A and B += over all rows, from what the way back kept. x (N, inputs).
  void adapt_weight_backward(int layer, LoraTarget target, const Rows& rows, Source dy,
                             const float* x, const LayerActivations& a);
  bool adapted(int layer, LoraTarget target) const {
    return frozen() && adapter_use == AdapterUse::on &&
           adapter_layout.layers[size_t(layer)][size_t(target)].used;
  }
  void pack_adapter();
  void reserve_adapter_scratch(const Rows& rows, bool backward);
  // out (n, width) = x with elements dropped and the others scaled; rows of the pass from `first`.
  void drop(int layer, LoraTarget target, int first, int n, int width, Source x, float* out);

  float* weight(size_t offset) const { return weights.data() + offset; }
  float* gradient(size_t offset) const { return gradients.data() + offset; }
  void extend_rotary_table(int positions);
  void pack_forward();
  void pack_backward();
  void store_key_values(const Rows& rows, const float* qkv, const KeyValues* cache);
  void attend(const Rows& rows, const LayerActivations& a, const KeyValues* cache);
  void feed_forward_backward(int layer, const Rows& rows, const LayerActivations& a, float* dx);
  void attention_block_backward(int layer, const Rows& rows, const LayerActivations& a,
                                const KeyValues* cache, float* dx);
  void attend_backward(const Rows& rows, const LayerActivations& a, const KeyValues* cache,
                       const float* d_attention, float* d_qkv);
  // The norms of query and key heads of rows [first, first + rows), in place in a.qkv; without
  // query_key_norm they do nothing.
  void norm_heads(int layer, int first, int rows, const LayerActivations& a);
  void norm_heads_backward(int layer, int first, int rows, const LayerActivations& a, float* d_qkv);
  void norm_heads_weight_backward(int layer, const Rows& rows, const LayerActivations& a);
  void rotate(int first, int rows, const Rows& all, float* qkv, float direction);
  void norm_rows_backward(int first, int rows, const float* dh, const float* x,
                          size_t weight_offset, const float* rstd, float* dx);
  void norm_weight_backward(int rows, const float* dh, const float* x, size_t weight_offset,
                            const float* rstd);
  void norm_again(int first, int rows, const float* x, size_t weight_offset, const float* rstd);

  // Runs body(runner, first row, rows) over tiles of rows, a tile to a thread, so that what the
  // body makes stays in that core's cache; few rows instead go through once with the pool as runner.
  template <class Body>
  void over_rows(int rows, const Body& body);
  // c (m, n) = init + a (m, k) packed^T; by rows or by columns, as the runner's threads allow.
  template <class Runner>
  void linear(Runner& runner, int m, int n, int k, Source a, const float* packed, Source init,
              Target c);
  template <class Runner>
  void norm(Runner& runner, int rows, const float* x, size_t weight_offset, float* out,
            float* rstd);
  // dw (n, k) += dy (m, n)^T x (m, k)
  void linear_weight(int m, int n, int k, Source dy, const float* x, float* dw);

  std::vector<PackedLayer> packed_;
  std::vector<std::vector<PackedAdapter>> packed_adapter_;  // by layer and target
  int64_t adapter_packed_epoch_ = 0;
  std::vector<Buffer> tile_low_, tile_dropped_, tile_d_dropped_;  // one per thread, of a tile of rows
  std::vector<Buffer> d_low_;  // by target, (N, r) of a backward pass
  Buffer dropped_;             // (N, inputs)
  Buffer packed_head_, packed_head_back_;
  int64_t forward_epoch_ = 0;
  int64_t backward_epoch_ = 0;
  Buffer rotary_;  // (positions, D): cosines, sines
  int rotary_rows_ = 0;

  Buffer hidden_, d_hidden_, product_, d_attention_, d_qkv_;  // (N, ...) of a backward pass
  Buffer d_queries_, d_keys_;  // (N, H, D), (N, K, D) gradients of the heads' norms
  std::vector<Buffer> tile_hidden_, tile_product_;            // one per thread, of a tile of rows
  std::vector<Buffer> attention_scratch_;  // one per thread
  std::vector<Buffer> packing_;            // one per thread, for weight gradients
};

template <class Body>
void Decoder::over_rows(int rows, const Body& body) {
  if (rows < kRegisterRows * 2 * pool.threads()) return body(pool, 0, rows);
  // Even tiles, equally many for each thread.
  const int each = (rows + kRowTile * pool.threads() - 1) / (kRowTile * pool.threads());
  const int tiles = each * pool.threads();
  const int grains = (rows + kRegisterRows - 1) / kRegisterRows;
  pool.run(tiles, [&](int tile, int worker) {
    OneThread runner(worker);
    const int first = int(int64_t(grains) * tile / tiles) * kRegisterRows;
    const int last = int(int64_t(grains) * (tile + 1) / tiles) * kRegisterRows;
    body(runner, first, (last < rows ? last : rows) - first);
  });
}

template <class Runner>
void Decoder::linear(Runner& runner, int m, int n, int k, Source a, const float* packed,
                     Source init, Target c) {
  const auto part = [&](int row, int rows, int column, int columns) {
    const float* start = init.data == nullptr ? nullptr : init.from(row).data + column;
    kernels.matmul({rows, columns, k, a.from(row).data, a.row, packed + size_t(column) * k, kPanel,
                    ptrdiff_t(kPanel) * k, start, init.row, c.from(row).data + column, c.row});
  };
  if (m >= n) {
    runner.run_ranges(m, kRegisterRows,
                      [&](int first, int last, int) { part(first, last - first, 0, n); });
  } else {
    runner.run_ranges(n, 2 * kPanel,
                      [&](int first, int last, int) { part(0, m, first, last - first); });
  }
}

template <class Runner>
void Decoder::norm(Runner& runner, int rows, const float* x, size_t weight_offset, float* out,
                   float* rstd) {
  const int C = config.width;
  runner.run_ranges(rows, 8, [&](int first, int last, int) {
    kernels.rms_norm(last - first, C, x + size_t(first) * C, weight(weight_offset),
                     float(config.norm_epsilon), out + size_t(first) * C,
                     rstd == nullptr ? nullptr : rstd + first);
  });
}

}  // namespace masksearch
