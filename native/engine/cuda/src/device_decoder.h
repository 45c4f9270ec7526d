// The decoder's layers on the device: forward and backward over rows of tokens, and the same layers
// reading keys from pages. Knows nothing about losses, batches or sampling.
#pragma once

#include "device_state.h"
#include "tiles.h"

namespace masksearch::cuda {

// One layer's buffers; see LayerPlan. Null where a pass has no use for one.
struct LayerBuffers {
  bf16* x;         // (N, C) input
  bf16* qkv;       // (N, W) after bias, norms of heads and RoPE
  bf16* heads;     // (N, H + K, D) query and key heads before their norm
  bf16* attention; // (N, H D)
  float* log_sums; // (H, N)
  bf16* x_mid;     // (N, C) after attention
  bf16* gate_up;   // (N, 2F)
  float* rstd_in;
  float* rstd_post;  // (N)
};

// Rows of a pass and the memory that its layers share.
struct PassBuffers {
  int rows;
  int tiles;
  const int32_t* tokens;
  const int32_t* positions;
  const QueryTile* query_tiles;
  const KeyTile* key_tiles;
  bf16* hidden;   // (N, C)
  bf16* product;  // (N, F)
  float* scratch;
  bf16 *d_hidden, *d_product, *d_attention, *d_qkv;  // backward only
  // With an adapter: its low-rank rows and their gradient (N, r), its input with elements dropped.
  bf16 *low, *d_low, *dropped;
  KeptScores kept_scores;
  AdapterUse adapter;
  Dropout dropout;  // but for its place
};

// Where a sampler's rows keep their keys in one layer.
struct PageTarget {
  PagedKeys keys;
  bf16* pool;
  const int32_t* sequence_of;
  int most_keys;  // 0: rows are query tiles; else one row per sequence, of at most so many keys
};

class DeviceDecoder {
 public:
  explicit DeviceDecoder(DeviceState* state) : s_(*state) {}

  void embed(const PassBuffers& pass, bf16* x);
  // x_out (N, C) differs from a.x.
  void layer_forward(int layer, const PassBuffers& pass, const LayerBuffers& a, bf16* x_out);
  // As layer_forward with keys from pages, after storing the rows' own.
  void layer_sample(int layer, const PassBuffers& pass, const LayerBuffers& a,
                    const PageTarget& pages, bf16* x_out);
  // dx (N, C) holds the gradient of the layer's output and becomes that of its input; gradients of
  // weights +=, the first since a step where `first`. Consumes a.gate_up; what `keep` left out is
  // computed again first.
  void layer_backward(int layer, const PassBuffers& pass, const LayerBuffers& a, Keep keep,
                      bool first, bf16* dx);
  void embed_backward(const EmbeddingOrder& order, const int32_t* token, const int32_t* start,
                      const int32_t* rows, const bf16* dx);

  // out (rows, C) of the rows row_of of x, or the first `rows` where it is null.
  void final_norm(int rows, const bf16* x, const int32_t* row_of, bf16* out, float* rstd);
  // logits (rows, V) f32 = h W^T, rows logits_row apart
  void logits(int rows, const bf16* h, float* out);
  // dh = d_logits W; dW += d_logits^T h. d_logits: see row_gradient.
  void logits_backward(int rows, const float* d_logits, const bf16* h, bool first, bf16* dh);
  void final_norm_backward(int rows, const bf16* dh, const bf16* x, const int32_t* row_of,
                           const float* rstd, bf16* dx, float* scratch);

 private:
  // The adapter's part of y (N, outputs), rows y_row apart: y += s B A drop(x), x (N, inputs) the
  // input of the target. Nothing where the target is not adapted or the adapter is off.
  void adapt(int layer, LoraTarget target, const PassBuffers& pass, const bf16* x, bf16* y,
             int64_t y_row);
  // Its way back: keeps the low-rank gradient in pass.d_low, dx (N, inputs) += its part.
  void adapt_backward(int layer, LoraTarget target, const PassBuffers& pass, const bf16* dy,
                      int64_t dy_row, bf16* dx);
  // Gradients of A and B += from pass.d_low, so right after adapt_backward of the same target.
  void adapt_weights(int layer, LoraTarget target, const PassBuffers& pass, const bf16* dy,
                     int64_t dy_row, const bf16* x, bool first);
  bool adapted(int layer, LoraTarget target, const PassBuffers& pass) const;
  const AdapterMatrix& adapter_matrix(int layer, LoraTarget target) const {
    return s_.adapter_layout.layers[size_t(layer)][target];
  }
  float adapter_scale() const { return float(s_.lora.alpha / s_.lora.rank); }
  // x, or pass.dropped with what is left of it.
  const bf16* drop_input(int layer, LoraTarget target, const PassBuffers& pass, const bf16* x);
  // pass.low = s A x
  void low_rank(const AdapterMatrix& m, const PassBuffers& pass, const bf16* x);

  // Where a norm's weight gradient goes; null where the weights are frozen.
  float* norm_gradient(size_t weight) const {
    return s_.frozen() ? nullptr : s_.gradient(weight);
  }
  void query_key_value(int layer, const PassBuffers& pass, const LayerBuffers& a);
  void output_projection(int layer, const PassBuffers& pass, const LayerBuffers& a);
  void gate_up(int layer, const PassBuffers& pass, const LayerBuffers& a);
  void feed_forward(int layer, const PassBuffers& pass, const LayerBuffers& a, bf16* x_out);
  void attend(const PassBuffers& pass, const LayerBuffers& a);
  void attend_pages(const PassBuffers& pass, const LayerBuffers& a, const PageTarget& pages);
  void compute_again(int layer, const PassBuffers& pass, const LayerBuffers& a, Keep keep);
  void feed_forward_backward(int layer, const PassBuffers& pass, const LayerBuffers& a, bool first,
                             bf16* dx);
  void attention_backward_block(int layer, const PassBuffers& pass, const LayerBuffers& a,
                                bool first, bf16* dx);
  void norm(int rows, const bf16* x, size_t weight, bf16* out, float* rstd);
  // y (m, n) = x (m, k) W^T + bias + addend, W (n, k)
  void linear(int m, int n, int k, const bf16* x, size_t weight, const bf16* bias,
              const bf16* addend, bf16* y);
  // dx (m, k) = dy (m, n) W
  void linear_backward(int m, int n, int k, const bf16* dy, size_t weight, bf16* dx);
  // dW (n, k) += dy (m, n)^T x (m, k), dW a trained matrix
  void linear_weight(int m, int n, int k, const bf16* dy, int64_t dy_row, const bf16* x,
                     size_t weight, bool first);

  DeviceState& s_;
};

}  // namespace masksearch::cuda
