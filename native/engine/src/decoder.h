// The decoder: weights in four arenas, packed copies for the kernels, and the layers' forward and
// backward passes over rows of tokens. Knows nothing about losses or sampling.
#pragma once

#include <cstdint>
#include <vector>

#include "arena.h"
#include "engine.h"
#include "kernels.h"
#include "parameters.h"
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

// What a layer's backward pass needs; pointers into buffers of N rows.
struct LayerActivations {
  float* x;          // (N, C) input
  float* rstd_in;    // (N)
  float* qkv;        // (N, (H + 2K) D) after bias and RoPE
  float* attention;  // (N, H D)
  float* log_sums;   // (H, N)
  float* x_mid;      // (N, C) after attention
  float* rstd_post;  // (N)
  float* gate_up;    // (N, 2F)
};

// Packed copies of a layer's matrices: for y = x W^T, and for dx = dy W.
struct PackedLayer {
  Buffer qkv, output, gate_up, down;
  Buffer qkv_back, output_back, gate_up_back, down_back;
};

class Decoder {
 public:
  Decoder(const DecoderConfig& config, int threads);

  const DecoderConfig config;
  const Layout layout;
  const Kernels& kernels;
  ThreadPool pool;
  Buffer weights, gradients, first_moments, second_moments;
  // Raised by whoever may have changed the weights; packed copies follow at the next pass.
  int64_t weights_epoch = 1;

  int qkv_width() const { return (config.heads + 2 * config.key_value_heads) * config.head_width; }
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
  // logits (rows, V) = h W^T
  void logits(int rows, const float* h, float* out);
  // dh = d_logits W; dW += d_logits^T h
  void logits_backward(int rows, const float* d_logits, const float* h, float* dh);
  // dx = gradient of the final norm's input; weight gradient +=
  void final_norm_backward(int rows, const float* dh, const float* x, const float* rstd, float* dx);

 private:
  float* weight(size_t offset) const { return weights.data() + offset; }
  float* gradient(size_t offset) const { return gradients.data() + offset; }
  void extend_rotary_table(int positions);
  void pack_forward();
  void pack_backward();
  void store_key_values(const Rows& rows, const float* qkv, const KeyValues* cache);
  void attend(const Rows& rows, const LayerActivations& a, const KeyValues* cache);
  void attend_backward(const Rows& rows, const LayerActivations& a, const KeyValues* cache,
                       const float* d_attention, float* d_qkv);
  void norm(int rows, const float* x, size_t weight_offset, float* out, float* rstd);
  void norm_backward(int rows, const float* dh, const float* x, size_t weight_offset,
                     const float* rstd, float* dx);
  void rotate(const Rows& rows, float* qkv, float direction);

  // c (m, n) = init + a (m, k) packed^T
  void linear(int m, int n, int k, const float* a, const float* packed, const float* init,
              int init_row, float* c);
  // dw (n, k) += dy (m, n)^T x (m, k)
  void linear_weight(int m, int n, int k, const float* dy, const float* x, float* dw);

  std::vector<PackedLayer> packed_;
  Buffer packed_head_, packed_head_back_;
  int64_t forward_epoch_ = 0;
  int64_t backward_epoch_ = 0;
  Buffer rotary_;  // (positions, D): cosines, sines
  int rotary_rows_ = 0;

  Buffer hidden_, d_hidden_, product_, d_product_, d_attention_, d_qkv_;
  std::vector<Buffer> attention_scratch_;  // one per thread
  std::vector<Buffer> packing_;            // one per thread, for weight gradients
};

}  // namespace masksearch
