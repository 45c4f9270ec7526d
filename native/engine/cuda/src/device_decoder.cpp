// The decoder's layers on the device.
#include "device_decoder.h"

namespace masksearch::cuda {

namespace {

AttentionShape shape_of(const DeviceState& s) { return attention_shape(s.config); }

// Where a target's columns begin in a row of qkv.
int qkv_column(const AttentionShape& shape, LoraTarget target) {
  return target == kQuery ? 0 : target == kKey ? shape.key_column(0) : shape.value_column(0);
}

}  // namespace

void DeviceDecoder::norm(int rows, const bf16* x, size_t weight, bf16* out, float* rstd) {
  rms_norm(s_.stream, rows, s_.config.width, x, nullptr, s_.weight(weight),
           float(s_.config.norm_epsilon), out, rstd);
}

void DeviceDecoder::linear(int m, int n, int k, const bf16* x, size_t weight, const bf16* bias,
                           const bf16* addend, bf16* y) {
  Product p{m, n, k, {x, k, false}, {s_.weight(weight), k, true}};
  p.bias = bias;
  p.addend = addend;
  p.addend_row = n;
  p.d = y;
  p.d_row = n;
  s_.gemm->run(p);
}

void DeviceDecoder::linear_backward(int m, int n, int k, const bf16* dy, size_t weight, bf16* dx) {
  Product p{m, k, n, {dy, n, false}, {s_.weight(weight), k, false}};
  p.d = dx;
  p.d_row = k;
  s_.gemm->run(p);
}

void DeviceDecoder::linear_weight(int m, int n, int k, const bf16* dy, int64_t dy_row,
                                  const bf16* x, size_t weight, bool first) {
  Product p{n, k, m, {dy, dy_row, true}, {x, k, false}};
  p.addend = p.d = s_.gradient(weight);
  p.addend_row = p.d_row = k;
  p.storage = Storage::float32;
  p.addend_is_zero = first;
  s_.gemm->run(p);
}

void DeviceDecoder::embed(const PassBuffers& pass, bf16* x) {
  cuda::embed(s_.stream, pass.rows, s_.config.width, pass.tokens,
              s_.weight(s_.layout.embedding), x);
}

void DeviceDecoder::embed_backward(const EmbeddingOrder& order, const int32_t* token,
                                   const int32_t* start, const int32_t* rows, const bf16* dx) {
  if (s_.frozen()) return;
  cuda::embed_backward(s_.stream, int(order.token.size()), s_.config.width, token, start, rows, dx,
                       s_.gradient(s_.layout.embedding));
}

// -- Forward --------------------------------------------------------------------------------------

void DeviceDecoder::query_key_value(int layer, const PassBuffers& pass, const LayerBuffers& a) {
  const LayerLayout& at = s_.layout.layers[layer];
  const AttentionShape shape = shape_of(s_);
  norm(pass.rows, a.x, at.input_norm, pass.hidden, a.rstd_in);
  linear(pass.rows, shape.columns(), s_.config.width, pass.hidden, at.qkv,
         s_.config.attention_bias ? s_.weight(at.qkv_bias) : nullptr, nullptr, a.qkv);
  for (const LoraTarget target : {kQuery, kKey, kValue})
    adapt(layer, target, pass, pass.hidden, a.qkv + qkv_column(shape, target), shape.columns());
  if (s_.config.query_key_norm)
    norm_heads(s_.stream, shape, pass.rows, s_.weight(at.query_norm),
               float(s_.config.norm_epsilon), a.qkv, a.heads);
  rope(s_.stream, pass.rows, shape.heads + shape.key_value_heads, shape.head_width, a.qkv,
       shape.columns(), pass.positions, s_.rotary(), 1);
}

void DeviceDecoder::attend(const PassBuffers& pass, const LayerBuffers& a) {
  const AttentionShape shape = shape_of(s_);
  const auto run =
      has_tensor_core_attention(shape) ? attention_forward : attention_forward_plain;
  run(s_.stream, shape, pass.rows, pass.tiles, pass.query_tiles, a.qkv, a.attention, a.log_sums);
}

void DeviceDecoder::attend_pages(const PassBuffers& pass, const LayerBuffers& a,
                                 const PageTarget& to) {
  const AttentionShape shape = shape_of(s_);
  store_keys(s_.stream, shape, pass.rows, a.qkv, to.sequence_of, pass.positions, to.pool,
             to.keys.page_of, to.keys.pages_per_sequence);
  if (to.most_keys > 0)
    return decode_attention(s_.stream, shape, pass.rows, to.most_keys, a.qkv, pass.positions,
                            to.keys, a.attention, pass.scratch);
  const auto run = has_tensor_core_attention(shape) ? attention_paged : attention_paged_plain;
  run(s_.stream, shape, pass.tiles, pass.query_tiles, a.qkv, to.keys, a.attention);
}

void DeviceDecoder::output_projection(int layer, const PassBuffers& pass, const LayerBuffers& a) {
  const AttentionShape shape = shape_of(s_);
  linear(pass.rows, s_.config.width, shape.heads * shape.head_width, a.attention,
         s_.layout.layers[layer].output, nullptr, a.x, a.x_mid);
  adapt(layer, kOutput, pass, a.attention, a.x_mid, s_.config.width);
}

void DeviceDecoder::gate_up(int layer, const PassBuffers& pass, const LayerBuffers& a) {
  const LayerLayout& at = s_.layout.layers[layer];
  const int F = s_.config.feed_forward_width;
  norm(pass.rows, a.x_mid, at.post_norm, pass.hidden, a.rstd_post);
  linear(pass.rows, 2 * F, s_.config.width, pass.hidden, at.gate_up, nullptr, nullptr, a.gate_up);
  adapt(layer, kGate, pass, pass.hidden, a.gate_up, 2 * F);
  adapt(layer, kUp, pass, pass.hidden, a.gate_up + F, 2 * F);
}

void DeviceDecoder::feed_forward(int layer, const PassBuffers& pass, const LayerBuffers& a,
                                 bf16* x_out) {
  const int F = s_.config.feed_forward_width;
  gate_up(layer, pass, a);
  swiglu(s_.stream, pass.rows, F, a.gate_up, pass.product);
  linear(pass.rows, s_.config.width, F, pass.product, s_.layout.layers[layer].down, nullptr,
         a.x_mid, x_out);
  adapt(layer, kDown, pass, pass.product, x_out, s_.config.width);
}

void DeviceDecoder::layer_forward(int layer, const PassBuffers& pass, const LayerBuffers& a,
                                  bf16* x_out) {
  query_key_value(layer, pass, a);
  attend(pass, a);
  output_projection(layer, pass, a);
  feed_forward(layer, pass, a, x_out);
}

void DeviceDecoder::layer_sample(int layer, const PassBuffers& pass, const LayerBuffers& a,
                                 const PageTarget& pages, bf16* x_out) {
  query_key_value(layer, pass, a);
  attend_pages(pass, a, pages);
  output_projection(layer, pass, a);
  feed_forward(layer, pass, a, x_out);
}

void DeviceDecoder::final_norm(int rows, const bf16* x, const int32_t* row_of, bf16* out,
                               float* rstd) {
  rms_norm(s_.stream, rows, s_.config.width, x, row_of, s_.weight(s_.layout.final_norm),
           float(s_.config.norm_epsilon), out, rstd);
}

void DeviceDecoder::logits(int rows, const bf16* h, float* out) {
  const int C = s_.config.width;
  Product p{rows, s_.config.vocabulary_size, C, {h, C, false},
            {s_.weight(s_.layout.head), C, true}};
  p.d = out;
  p.d_row = logits_row(s_.config);
  p.storage = Storage::float32;
  s_.gemm->run(p);
}

// -- Backward -------------------------------------------------------------------------------------

void DeviceDecoder::compute_again(int layer, const PassBuffers& pass, const LayerBuffers& a,
                                  Keep keep) {
  if (keep == Keep::input) {
    query_key_value(layer, pass, a);
    attend(pass, a);
    output_projection(layer, pass, a);
  }
  if (keep == Keep::everything) {
    norm(pass.rows, a.x_mid, s_.layout.layers[layer].post_norm, pass.hidden, nullptr);
  } else {
    gate_up(layer, pass, a);
  }
}

void DeviceDecoder::feed_forward_backward(int layer, const PassBuffers& pass,
                                          const LayerBuffers& a, bool first, bf16* dx) {
  const LayerLayout& at = s_.layout.layers[layer];
  const int N = pass.rows, C = s_.config.width, F = s_.config.feed_forward_width;
  linear_backward(N, C, F, dx, at.down, pass.d_product);
  adapt_backward(layer, kDown, pass, dx, C, pass.d_product);
  swiglu_backward(s_.stream, N, F, pass.d_product, a.gate_up, pass.product);
  adapt_weights(layer, kDown, pass, dx, C, pass.product, first);
  linear_backward(N, 2 * F, C, a.gate_up, at.gate_up, pass.d_hidden);
  for (const LoraTarget target : {kGate, kUp}) {
    const bf16* dy = a.gate_up + (target == kGate ? 0 : F);
    adapt_backward(layer, target, pass, dy, 2 * F, pass.d_hidden);
    adapt_weights(layer, target, pass, dy, 2 * F, pass.hidden, first);
  }
  if (!s_.frozen()) {
    linear_weight(N, C, F, dx, C, pass.product, at.down, first);
    linear_weight(N, 2 * F, C, a.gate_up, 2 * F, pass.hidden, at.gate_up, first);
  }
  rms_norm_backward(s_.stream, N, C, pass.d_hidden, a.x_mid, nullptr, s_.weight(at.post_norm),
                    a.rstd_post, dx, norm_gradient(at.post_norm), pass.scratch);
}

void DeviceDecoder::attention_backward_block(int layer, const PassBuffers& pass,
                                             const LayerBuffers& a, bool first, bf16* dx) {
  const LayerLayout& at = s_.layout.layers[layer];
  const AttentionShape shape = shape_of(s_);
  const int N = pass.rows, C = s_.config.width, W = shape.columns();
  const int Q = shape.heads * shape.head_width;
  linear_backward(N, C, Q, dx, at.output, pass.d_attention);
  adapt_backward(layer, kOutput, pass, dx, C, pass.d_attention);
  adapt_weights(layer, kOutput, pass, dx, C, a.attention, first);
  if (!s_.frozen()) linear_weight(N, C, Q, dx, C, a.attention, at.output, first);
  if (has_tensor_core_attention(shape)) {
    attention_backward(s_.stream, shape, N, pass.tiles, pass.query_tiles, pass.key_tiles, a.qkv,
                       a.attention, pass.d_attention, a.log_sums, pass.d_qkv, pass.scratch,
                       pass.kept_scores);
  } else {
    attention_backward_plain(s_.stream, shape, N, pass.tiles, pass.query_tiles, pass.key_tiles,
                             a.qkv, a.attention, pass.d_attention, a.log_sums, pass.d_qkv,
                             pass.scratch);
  }
  rope(s_.stream, N, shape.heads + shape.key_value_heads, shape.head_width, pass.d_qkv, W,
       pass.positions, s_.rotary(), -1);
  if (s_.config.query_key_norm)
    norm_heads_backward(s_.stream, shape, N, a.heads, s_.weight(at.query_norm),
                        float(s_.config.norm_epsilon), pass.d_qkv, norm_gradient(at.query_norm),
                        pass.scratch);
  norm(N, a.x, at.input_norm, pass.hidden, nullptr);
  linear_backward(N, W, C, pass.d_qkv, at.qkv, pass.d_hidden);
  for (const LoraTarget target : {kQuery, kKey, kValue}) {
    const bf16* dy = pass.d_qkv + qkv_column(shape, target);
    adapt_backward(layer, target, pass, dy, W, pass.d_hidden);
    adapt_weights(layer, target, pass, dy, W, pass.hidden, first);
  }
  if (!s_.frozen()) {
    linear_weight(N, W, C, pass.d_qkv, W, pass.hidden, at.qkv, first);
    if (s_.config.attention_bias)
      column_sums(s_.stream, N, W, pass.d_qkv, W, s_.gradient(at.qkv_bias), pass.scratch);
  }
  rms_norm_backward(s_.stream, N, C, pass.d_hidden, a.x, nullptr, s_.weight(at.input_norm),
                    a.rstd_in, dx, norm_gradient(at.input_norm), pass.scratch);
}

void DeviceDecoder::layer_backward(int layer, const PassBuffers& pass, const LayerBuffers& a,
                                   Keep keep, bool first, bf16* dx) {
  compute_again(layer, pass, a, keep);
  feed_forward_backward(layer, pass, a, first, dx);
  attention_backward_block(layer, pass, a, first, dx);
}

void DeviceDecoder::logits_backward(int rows, const float* d_logits, const bf16* h, bool first,
                                    bf16* dh) {
  const int V = s_.config.vocabulary_size, C = s_.config.width;
  const bf16* d = reinterpret_cast<const bf16*>(d_logits);
  const int64_t d_row = 2 * logits_row(s_.config);
  Product p{rows, C, V, {d, d_row, false}, {s_.weight(s_.layout.head), C, false}};
  p.d = dh;
  p.d_row = C;
  s_.gemm->run(p);
  if (!s_.frozen()) linear_weight(rows, V, C, d, d_row, h, s_.layout.head, first);
}

void DeviceDecoder::final_norm_backward(int rows, const bf16* dh, const bf16* x,
                                        const int32_t* row_of, const float* rstd, bf16* dx,
                                        float* scratch) {
  rms_norm_backward(s_.stream, rows, s_.config.width, dh, x, row_of,
                    s_.weight(s_.layout.final_norm), rstd, dx,
                    norm_gradient(s_.layout.final_norm), scratch);
}

}  // namespace masksearch::cuda
