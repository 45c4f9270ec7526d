// The decoder: weights in four arenas, packed copies for the kernels, and the layers' forward and
// backward passes over rows of tokens. Knows nothing about losses or sampling.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "arena.h"
#include "engine.h"
#include "kernels.h"
#include "parameters.h"
#include "sizes.h"
#include "thread_pool.h"

namespace masksearch {

// Keys and values of one sequence in one layer; head k at keys + k * head_cells.
struct KeyValues {
  Cells keys;         // (K) key tiles, see Attention in kernels.h
  Cells values;       // (K, capacity, D)
  size_t head_cells;  // capacity * stored_row(D)
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
  int heads;  // key/value heads from there on, one after the other; 1 unless for single rows
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
  void plan(const DecoderConfig& config, DataType type);
};

// Rows `row` elements apart. Products read stored rows and write float32.
struct Source {
  Cells data;
  ptrdiff_t row;
  Source from(int first) const { return {data + first * row, row}; }
  Source column(int first) const { return {data + first, row}; }
};
struct Target {
  float* data;
  ptrdiff_t row;
  Target from(int first) const { return {data + first * row, row}; }
  Target column(int first) const { return {data + first, row}; }
};

// Distance between wide rows: a power of two would put the rows of a tile into a few cache sets.
constexpr ptrdiff_t spread_row(DataType type, int width) {
  return stored_row(type, width) + ptrdiff_t(64 / bytes_of(type));
}

// What a layer's backward pass needs; pointers into buffers of N rows.
struct LayerActivations {
  float* x;          // (N, C) input
  float* rstd_in;    // (N)
  Cells qkv;         // (N, (H + 2K) D) after bias and RoPE
  Cells attention;   // (N, H D)
  float* log_sums;   // (H, N)
  float* x_mid;      // (N, C) after attention
  float* rstd_post;  // (N)
  Cells gate_up;     // (N, 2F), rows spread_row(2F) apart; in bfloat16 null when nothing is kept
  // With query_key_norm: heads before their norm, and its rstd. Null when nothing is kept.
  float* queries;    // (N, H, D)
  float* rstd_queries;  // (N, H)
  float* keys;       // (N, K, D)
  float* rstd_keys;  // (N, K)
  Cells low;         // (targets, low_rows, r) scaled low-rank activations of an adapter, or null
  size_t low_rows;   // N
};

// Packed copies of a layer's matrices: for y = x W^T, and for dx = dy W.
struct PackedLayer {
  StoredBuffer qkv, output, gate_up, down;
  StoredBuffer qkv_back, output_back, gate_up_back, down_back;
};

// Packed copies of an adapted matrix: A for x A^T, B for h B^T, and both for the way back.
struct PackedAdapter {
  StoredBuffer a, b, a_back, b_back;
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
  Decoder(const DecoderConfig& config, int threads, const LoraConfig& lora, DataType type);

  const DecoderConfig config;
  const LoraConfig lora;
  const DataType type;  // of packed matrices and kept activations; all else is float32
  const Layout layout;
  const AdapterLayout adapter_layout;
  const Kernels& kernels;
  const Kernels& float_kernels;  // where both sides are float32 whatever the type
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
  // Elements between rows of kept activations.
  ptrdiff_t row(int width) const { return stored_row(type, width); }
  ptrdiff_t gate_up_row() const { return spread_row(type, 2 * config.feed_forward_width); }

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

  void final_norm(int rows, const float* x, Cells out, float* rstd);
  // logits (rows, V) = h W^T, rows logits_row() apart
  ptrdiff_t logits_row() const { return spread_row(DataType::float32, config.vocabulary_size); }
  void logits(int rows, Cells h, float* out);
  // Rows [first, first + rows) of the logits' gradients become stored rows where they lie.
  void store_logits(int first, int rows, float* d_logits);
  Source stored_logits(float* d_logits) const {
    return {{d_logits, type}, logits_row() * ptrdiff_t(sizeof(float) / bytes_of(type))};
  }
  // dh = d_logits W; dW += d_logits^T h
  void logits_backward(int rows, Source d_logits, Cells h, float* dh);
  // Row to[t] of dx += gradient of the final norm's input x[t]; weight gradient +=
  void final_norm_backward(int rows, const float* dh, const float* x, const float* rstd,
                           const int32_t* to, float* dx);

 private:
  // The adapter's part of y (first row of the pass `first`, n rows): y += s B A dropout(x), x the
  // rows of the target's input. Nothing where the target is not adapted or the adapter is off.
  template <class Runner>
  void adapt(Runner& runner, int layer, LoraTarget target, int first, int n, Source x,
             const LayerActivations& a, Target y);
  // low (n, r) = s x packed^T, in storage.
  template <class Runner>
  void low_product(Runner& runner, int n, int k, Source x, Cells packed, Source low);
  // Its way back: keeps the low-rank gradient of these rows, dx += its part of the input's gradient.
  template <class Runner>
  void adapt_backward(Runner& runner, int layer, LoraTarget target, int first, int n, Source dy,
                      Target dx);
  // Gradients of A and B += over all rows, from what the way back kept. x (N, inputs).
  void adapt_weight_backward(int layer, LoraTarget target, const Rows& rows, Source dy,
                             Source x, const LayerActivations& a);
  bool adapted(int layer, LoraTarget target) const {
    return frozen() && adapter_use == AdapterUse::on &&
           adapter_layout.layers[size_t(layer)][size_t(target)].used;
  }
  int widest_input() const {
    return std::max({config.width, attention_width(), config.feed_forward_width});
  }
  void pack_adapter();
  void reserve_adapter_scratch(const Rows& rows, bool backward);
  // out (n, width) = x with elements dropped and the others scaled; rows of the pass from `first`.
  void drop(int layer, LoraTarget target, int first, int n, int width, Source x, Source out);
  template <class T>
  void drop_rows(int layer, LoraTarget target, int first, int n, int width, Source x, Source out);

  float* weight(size_t offset) const { return weights.data() + offset; }
  float* gradient(size_t offset) const { return gradients.data() + offset; }
  void extend_rotary_table(int positions);
  void pack_forward();
  void pack_backward();
  void store_key_values(const Rows& rows, Cells qkv, const KeyValues* cache);
  void attend(const Rows& rows, const LayerActivations& a, const KeyValues* cache);
  void feed_forward_backward(int layer, const Rows& rows, const LayerActivations& a, float* dx);
  void attention_block_backward(int layer, const Rows& rows, const LayerActivations& a,
                                const KeyValues* cache, float* dx);
  void attend_backward(const Rows& rows, const LayerActivations& a, const KeyValues* cache,
                       Cells d_attention, float* d_qkv);
  // The norms of query and key heads of rows [first, first + rows) of the pass, in place in qkv,
  // whose first row is the first of them; without query_key_norm they do nothing.
  void norm_heads(int layer, int first, int rows, const LayerActivations& a, Target qkv);
  void norm_heads_backward(int layer, int first, int rows, const LayerActivations& a, float* d_qkv);
  void norm_heads_weight_backward(int layer, const Rows& rows, const LayerActivations& a);
  void rotate(int first, int rows, const Rows& all, Target qkv, float direction);
  void norm_rows_backward(int first, int rows, const float* dh, const float* x,
                          size_t weight_offset, const float* rstd, float* dx);
  void norm_weight_backward(int rows, const float* dh, const float* x, size_t weight_offset,
                            const float* rstd);
  void norm_again(int first, int rows, const float* x, size_t weight_offset, const float* rstd);

  // Runs body(runner, first row, rows) over tiles of rows, a tile to a thread, so that what the
  // body makes stays in that core's cache; few rows instead go through once with the pool as runner.
  template <class Body>
  void over_rows(int rows, const Body& body);
  // c (m, n) = init + a (m, k) packed^T; by rows or by columns, as the runner's threads allow. In
  // float32 `next`, the matrix that is read after this one, is fetched meanwhile.
  template <class Runner>
  void linear(Runner& runner, int m, int n, int k, Source a, Cells packed, Target init, Target c,
              const StoredBuffer* next = nullptr);
  template <class Runner>
  void norm(Runner& runner, int rows, const float* x, size_t weight_offset, Cells out, float* rstd);
  // dw (n, k) += dy (m, n)^T x (m, k)
  void linear_weight(int m, int n, int k, Source dy, Source x, float* dw);

  // Floats between rows of what is made in float32 and kept in bfloat16.
  size_t widest_made() const {
    return size_t(std::max({qkv_width(), 2 * config.feed_forward_width, attention_width()}) + 16);
  }
  // What a product writes before it is kept: rows of `kept` itself where they are float32, else a
  // tile beside them that `keep` rounds into them (unless they are null).
  Target staged(Source kept, Buffer& tile) const;
  template <class Runner>
  void keep(Runner& runner, int rows, int width, Target made, Source kept);
  // float32 rows (N, width) as stored rows, of which `store` has put [first, first + n) into `copy`.
  Source stored(const float* rows, int width, const StoredBuffer& copy) const;
  template <class Runner>
  Source store(Runner& runner, int first, int n, const float* rows, int width,
               const StoredBuffer& copy);

  std::vector<PackedLayer> packed_;
  std::vector<std::vector<PackedAdapter>> packed_adapter_;  // by layer and target
  int64_t adapter_packed_epoch_ = 0;
  // One per thread, of a tile of rows.
  std::vector<Buffer> tile_low_, tile_d_dropped_, tile_d_kept_;
  std::vector<StoredBuffer> tile_low_stored_, tile_dropped_;
  std::vector<StoredBuffer> d_low_;  // by target, (N, r) of a backward pass
  StoredBuffer dropped_;             // (N, inputs)
  StoredBuffer packed_head_, packed_head_back_;
  int64_t forward_epoch_ = 0;
  int64_t backward_epoch_ = 0;
  Buffer rotary_;  // (positions, D): cosines, sines
  int rotary_rows_ = 0;

  // (N, ...) of a backward pass
  Buffer d_hidden_, d_qkv_;
  StoredBuffer hidden_, product_, d_attention_;
  StoredBuffer d_x_stored_, d_qkv_stored_;  // bfloat16 copies
  Buffer d_queries_, d_keys_;  // (N, H, D), (N, K, D) gradients of the heads' norms
  // One per thread, of a tile of rows.
  std::vector<StoredBuffer> tile_hidden_, tile_product_;
  std::vector<Buffer> tile_wide_;       // what is made in float32 and kept in bfloat16
  std::vector<Buffer> attention_scratch_;  // one per thread
  std::vector<StoredBuffer> packing_;      // one per thread, for weight gradients
};

template <class Body>
void Decoder::over_rows(int rows, const Body& body) {
  const int grain = register_rows(type);
  if (rows < grain * 2 * pool.threads()) return body(pool, 0, rows);
  // Even tiles, equally many for each thread.
  const int together = row_tile(type) * pool.threads();
  const int tiles = (rows + together - 1) / together * pool.threads();
  const int grains = (rows + grain - 1) / grain;
  pool.run(tiles, [&](int tile, int worker) {
    OneThread runner(worker);
    const int first = int(int64_t(grains) * tile / tiles) * grain;
    const int last = int(int64_t(grains) * (tile + 1) / tiles) * grain;
    body(runner, first, (last < rows ? last : rows) - first);
  });
}

template <class Runner>
void Decoder::linear(Runner& runner, int m, int n, int k, Source a, Cells packed, Target init,
                     Target c, const StoredBuffer* next) {
  const ptrdiff_t panel = packed_panel(type, k);
  const bool fetched = next != nullptr && type == DataType::float32;
  const void* ahead = fetched ? next->data().data : nullptr;
  const auto part = [&](int first, int rows, int column, int columns) {
    const float* start = init.data == nullptr ? nullptr : init.from(first).data + column;
    kernels.matmul({rows, columns, k, a.from(first).data.data, a.row,
                    (packed + column / kPanel * panel).data, packed_row(type), panel, start, init.row,
                    c.from(first).data + column, c.row, ahead});
  };
  if (m >= n) {
    runner.run_ranges(m, register_rows(type),
                      [&](int first, int last, int) { part(first, last - first, 0, n); });
  } else {
    runner.run_ranges(n, 2 * kPanel,
                      [&](int first, int last, int) { part(0, m, first, last - first); });
  }
}

template <class Runner>
void Decoder::norm(Runner& runner, int rows, const float* x, size_t weight_offset, Cells out,
                   float* rstd) {
  const int C = config.width;
  runner.run_ranges(rows, 8, [&](int first, int last, int) {
    kernels.rms_norm(last - first, C, x + size_t(first) * C, weight(weight_offset),
                     float(config.norm_epsilon), (out + first * row(C)).data,
                     rstd == nullptr ? nullptr : rstd + first);
  });
}

template <class Runner>
void Decoder::keep(Runner& runner, int rows, int width, Target made, Source kept) {
  if (type == DataType::float32 || kept.data.data == nullptr) return;
  runner.run_ranges(rows, 8, [&](int first, int last, int) {
    for (int t = first; t < last; t++)
      kernels.narrow(width, made.from(t).data, kept.from(t).data.data);
  });
}

template <class Runner>
Source Decoder::store(Runner& runner, int first, int n, const float* rows, int width,
                      const StoredBuffer& copy) {
  const Source all = stored(rows, width, copy);
  keep(runner, n, width, {const_cast<float*>(rows) + size_t(first) * width, width},
       all.from(first));
  return all.from(first);
}

}  // namespace masksearch
