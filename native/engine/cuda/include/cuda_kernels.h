// Every CUDA kernel on one page: formula, shapes, scratch, and whether it sets (=) or adds (+=).
// Pointers are device memory, row-major; bf16 means bfloat16 storage. Sums and everything between a
// load and a store are float32. Kernels are asynchronous on `stream`, never allocate, and give the
// same bits every time: no atomics, every sum in a fixed order. Widths C, F, D and leading
// dimensions of bf16 rows are multiples of 8 (16-byte accesses); pointers are 16-byte aligned.
// Launchers throw std::invalid_argument on shapes that they do not take, DeviceError from CUDA.
// Letters: N rows, C model width, F feed-forward width, H query heads, K key/value heads, D head
// width, V vocabulary, W = (H + 2K) D columns of a packed q, k, v row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernels/bfloat16.h"
#include "stream.h"

namespace masksearch::cuda {

using bf16 = bfloat16;

// How a packed row of queries, keys and values is divided.
struct AttentionShape {
  int heads;            // H
  int key_value_heads;  // K
  int head_width;       // D
  MASKSEARCH_HOST_DEVICE int columns() const {  // W
    return (heads + 2 * key_value_heads) * head_width;
  }
  MASKSEARCH_HOST_DEVICE int heads_per_key() const { return heads / key_value_heads; }
  // Where a key/value head begins in a row.
  MASKSEARCH_HOST_DEVICE int key_column(int key_head) const {
    return (heads + key_head) * head_width;
  }
  MASKSEARCH_HOST_DEVICE int value_column(int key_head) const {
    return key_column(key_value_heads + key_head);
  }
};

// -- Rows: rows.cu, head_norms.cu, rotary.cu, swiglu.cu, embedding.cu, dropout.cu -----------------

// out[n,c] = x[m,c] w[c] r[n], r[n] = 1 / sqrt(mean_c x[m,c]^2 + epsilon), m = row_of[n] or n.
//   x (M, C), w (C) -> out (N, C) bf16, r (N) f32; row_of (N) or null; r may be null. C <= 8192.
void rms_norm(Stream& stream, int rows, int width, const bf16* x, const int32_t* row_of,
              const bf16* w, float epsilon, bf16* out, float* r);

// dx[m,c] += r (dy w - x r^2 mean_c(dy w x)); dw[c] += sum_n dy[n,c] x[m,c] r[n], m as above.
//   dy (N, C), x and dx (M, C) bf16; dw (C) f32, or null; rows of row_of differ from each other.
//   scratch: rms_norm_backward_scratch(N, C) floats.
size_t rms_norm_backward_scratch(int rows, int width);
void rms_norm_backward(Stream& stream, int rows, int width, const bf16* dy, const bf16* x,
                       const int32_t* row_of, const bf16* w, const float* r, bf16* dx, float* dw,
                       float* scratch);

// sums[c] += sum_n x[n,c].  x (N, C) bf16 with rows ld apart; sums (C) f32.
//   scratch: column_sums_scratch(N, C) floats.
size_t column_sums_scratch(int rows, int width);
void column_sums(Stream& stream, int rows, int width, const bf16* x, int64_t ld, float* sums,
                 float* scratch);

// In place each query and key head x of a row becomes x w r, r as in rms_norm over its D values.
//   qkv (N, W) bf16 before RoPE; w (2, D): for query heads, for key heads; kept (N, H + K, D) bf16
//   takes the heads before their norm, or null. D a multiple of 8 up to 256.
void norm_heads(Stream& stream, const AttentionShape& shape, int rows, const bf16* w,
                float epsilon, bf16* qkv, bf16* kept);

// The gradient of that: query and key heads of d_qkv (N, W) become those of its input; dw (2, D) f32
// is +=, or null.  kept, w and epsilon as above.
//   scratch: norm_heads_backward_scratch(shape, N) floats.
size_t norm_heads_backward_scratch(const AttentionShape& shape, int rows);
void norm_heads_backward(Stream& stream, const AttentionShape& shape, int rows, const bf16* kept,
                         const bf16* w, float epsilon, bf16* d_qkv, float* dw, float* scratch);

// Rotates the first `heads` heads of each row in place by its position: pairs (i, i + D/2), HF's
// layout. x (N, heads, D) bf16 rows ld apart; positions (N); table (positions, D) f32: D/2 cosines
// then D/2 sines. direction 1, or -1 for the gradient. D a multiple of 16.
void rope(Stream& stream, int rows, int heads, int head_width, bf16* x, int64_t ld,
          const int32_t* positions, const float* table, float direction);

// out[n,f] = silu(g) u, g = gate_up[n,f], u = gate_up[n,F+f].  gate_up (N, 2F), out (N, F) bf16.
void swiglu(Stream& stream, int rows, int width, const bf16* gate_up, bf16* out);

// gate_up becomes its gradient; product[n,f] = silu(g) u again.  d_out, product (N, F) bf16.
void swiglu_backward(Stream& stream, int rows, int width, const bf16* d_out, bf16* gate_up,
                     bf16* product);

// out[n,c] = table[tokens[n],c].  table (V, C), out (N, C) bf16.
void embed(Stream& stream, int rows, int width, const int32_t* tokens, const bf16* table,
           bf16* out);

// d_table[token[u],c] += sum of dx[order[i],c] over start[u] <= i < start[u+1], in that order.
//   dx (N, C) bf16; d_table (V, C) f32; token (U), start (U + 1), order (N): see embedding_order.
void embed_backward(Stream& stream, int distinct, int width, const int32_t* token,
                    const int32_t* start, const int32_t* order, const bf16* dx, float* d_table);

// Which elements of an adapter's input fall away, by the CPU engine's rule: element (n, c) does where
// word c mod 4 of Philox at counter (first_token + n, c / 4, place, call) under the key (seed, step)
// is below `threshold`. What differs from pass to pass is read on the device, so that a graph may
// hold the rest.
struct DropoutMoment {
  uint32_t step, call;
  uint32_t first_token;  // of the rows, in the batch
};
struct Dropout {
  uint32_t threshold = 0;  // probability 2^32; 0 = nothing falls away
  float scale = 1;         // 1 / (1 - probability), of what stays
  uint32_t seed = 0;
  uint32_t place = 0;  // of the matrix, in the decoder
  const DropoutMoment* moment = nullptr;
};

// out[n,c] = x[n,c] scale, or 0 where it falls away.  x, out (N, C) bf16.
void drop(Stream& stream, const Dropout& dropout, int rows, int width, const bf16* x, bf16* out);
// out[n,c] += the same.
void add_dropped(Stream& stream, const Dropout& dropout, int rows, int width, const bf16* x,
                 bf16* out);

// -- Loss head: loss_rows.cu ----------------------------------------------------------------------

// Of each row of logits x: its largest value, sum_j e^(x_j - largest) and the entropy in nats;
//   log_probs[n] = x[target[n]] - largest - log(sum).  logits (N, V) f32, rows ld apart.
struct RowStatistics {
  float largest, sum, entropy;
};
void row_statistics(Stream& stream, int rows, int vocabulary, const float* logits, int64_t ld,
                    const int32_t* targets, RowStatistics* statistics, float* log_probs);

// d_logits[n,j] = g_lp (1[j = target] - p_j) - g_h p_j (log p_j + entropy), as bf16 in the place of
// the logits: row n of d_logits starts where row n of the logits does, so its rows are 2 ld apart.
void row_gradient(Stream& stream, int rows, int vocabulary, float* logits, int64_t ld,
                  const int32_t* targets, const RowStatistics* statistics,
                  const float* d_log_probs, const float* d_entropies);

// -- Sampling: sample.cu --------------------------------------------------------------------------

// tokens[n] = where the cumulative softmax(logits / temperature), in vocabulary order, passes
// uniform[n]; temperature 0: the largest logit, the lowest id among equals. log_probs[n] is the
// token's among all, at that temperature (1 for temperature 0). Token -1 where the logits are not
// finite.
//   logits (N, V) f32 rows ld apart, a multiple of 4; tokens (N) i32; log_probs (N) f32.
struct Draws {
  const float* temperature;   // (N)
  const double* uniform;      // (N) in [0, 1)
  const double* top_p;        // (N) share of the nucleus, the lower id first among equals; 1 = all
  const int32_t* is_limited;  // (N) 1 where only the tokens in `allowed` may be drawn
  const uint32_t* allowed;    // (N, ceil(V / 32)) a bit per token
};
void sample(Stream& stream, int rows, int vocabulary, const float* logits, int64_t ld,
            const Draws& draws, int32_t* tokens, float* log_probs);

// -- Optimizer: adamw.cu --------------------------------------------------------------------------

// A piece of the arena with one weight decay. offset and count are multiples of 8 but for the last
// piece's count.
struct Span {
  int64_t offset;
  int32_t count;
  float decay;
};
constexpr int kSpanValues = 8192;  // most values in a span

// norm[0] = sqrt of the sum of squares of `gradients` over all spans: f32 within a thread, f64
// between threads and spans, in a fixed order. partials (spans) f64; norm f64, stays on the device.
void gradient_norm(Stream& stream, int spans, const Span* span, const float* gradients,
                   double* partials, double* norm);

struct AdamWStep {
  float learning_rate, beta1, beta2, epsilon;
  float first_correction;        // 1 / (1 - beta1^t)
  float second_root_correction;  // 1 / sqrt(1 - beta2^t)
  double max_gradient_norm;      // 0 = no clipping
};
// PyTorch's AdamW on the exact f32 master of each weight (see SplitMaster), with the gradient times
// min(1, max_gradient_norm / (norm + 1e-6)); gradients become 0. Nothing changes where the norm is
// not finite. w (count) bf16, rest (count) int16, gradients, m, v (count) f32. `step` lies on the
// device, so that a graph may hold the launch.
void adamw(Stream& stream, int spans, const Span* span, const AdamWStep* step, const double* norm,
           bf16* w, int16_t* rest, float* gradients, float* m, float* v);

// -- Attention: attention_forward.cu, attention_backward.cu, attention_plain.cu -------------------
// out[n,h] = sum_j p_j v_j with p = softmax over the keys j <= n of n's sequence of q k / sqrt(D);
// log_sums[h,n] = log of the softmax's denominator, of the scaled scores. Query head h reads
// key/value head h / (H / K). Tensor-core kernels for D = 64 and 128; the plain ones take any D
// that is a multiple of 8 up to 256 and are their oracle on the device.

// Up to 64 consecutive query rows of one sequence. Made on the host once a batch by query_tiles and
// used by every layer.
struct QueryTile {
  int32_t row;       // first query row
  int32_t rows;      // 1..64
  int32_t position;  // of the first row within its sequence; it sees position + 1 keys
  int32_t sequence;
  int32_t first_pair = 0;  // of its sequence; see tile_pair
};
constexpr int kTileRows = 64;
constexpr int kPageTokens = 64;

// Whether the tensor-core kernels take this shape.
inline bool has_tensor_core_attention(const AttentionShape& shape) {
  return shape.head_width == 64 || shape.head_width == 128;
}

// Where keys and values lie: pool (pages, 2, K, 64, D) bf16; the page of tokens 64 p .. 64 p + 63 of
// sequence s is page_of[s * pages_per_sequence + p].
struct PagedKeys {
  const bf16* pool;
  const int32_t* page_of;
  int pages_per_sequence;
};

// qkv (N, W) bf16 after RoPE -> out (N, H D) bf16, log_sums (H, N) f32.
void attention_forward(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                       const QueryTile* tile, const bf16* qkv, bf16* out, float* log_sums);
void attention_forward_plain(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                             const QueryTile* tile, const bf16* qkv, bf16* out, float* log_sums);

// The same with keys and values from pages (those of the rows themselves stored before); no
// log_sums.
void attention_paged(Stream& stream, const AttentionShape& shape, int tiles, const QueryTile* tile,
                     const bf16* qkv, const PagedKeys& keys, bf16* out);
void attention_paged_plain(Stream& stream, const AttentionShape& shape, int tiles,
                           const QueryTile* tile, const bf16* qkv, const PagedKeys& keys,
                           bf16* out);

// d_qkv (N, W) bf16 = gradient of q, k and v (after RoPE) from d_out (N, H D); every element of the
// tiles' rows is set. Two passes, one for keys and values, one for queries, so that no sum depends
// on timing. key_tiles: as query_tiles, 64 keys each; `position` is that of the first key, and
// `length` of its sequence closes the queries. scratch: attention_backward_scratch(H, N) floats.
struct KeyTile {
  int32_t row;       // first key row
  int32_t rows;      // 1..64
  int32_t position;  // of the first key within its sequence
  int32_t length;    // of the sequence
  int32_t first_pair = 0;  // of the sequence; see tile_pair
};
size_t attention_backward_scratch(const AttentionShape& shape, int rows);

// A query tile sees the key tiles up to its own number; those pairs are counted through the batch.
MASKSEARCH_HOST_DEVICE int64_t tile_pair(int32_t first_pair, int query_tile, int key_tile) {
  return first_pair + int64_t(query_tile) * (query_tile + 1) / 2 + key_tile;
}

// Where the first pass may leave the gradients of scores for the second, which else computes them
// again: five products instead of seven, and the same bits. Memory for `key_heads` key/value heads
// at a time; 0 keeps nothing.
struct KeptScores {
  bf16* memory = nullptr;  // kept_score_bytes
  int key_heads = 0;
};
size_t kept_score_bytes(const AttentionShape& shape, int64_t pairs, int key_heads);

void attention_backward(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                        const QueryTile* query_tile, const KeyTile* key_tile, const bf16* qkv,
                        const bf16* out, const bf16* d_out, const float* log_sums, bf16* d_qkv,
                        float* scratch, const KeptScores& kept);
void attention_backward_plain(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                              const QueryTile* query_tile, const KeyTile* key_tile,
                              const bf16* qkv, const bf16* out, const bf16* d_out,
                              const float* log_sums, bf16* d_qkv, float* scratch);

// Writes the rotated keys and the values of each row into its sequence's page.
//   qkv (N, W) after RoPE; sequence_of (N), positions (N).
void store_keys(Stream& stream, const AttentionShape& shape, int rows, const bf16* qkv,
                const int32_t* sequence_of, const int32_t* positions, bf16* pool,
                const int32_t* page_of, int pages_per_sequence);

// One query row per sequence: row s of qkv is sequence s at positions[s], its keys are stored.
// Keys are cut into splits of kSplitTokens whatever the batch, each split is one block, and the
// splits of a row are merged in order, so a row's result does not depend on its neighbours.
//   out (B, H D) bf16. most_keys bounds positions[s] + 1. scratch: decode_scratch floats.
// Goes to the plain kernel for other head widths and for more than 16 query heads to a key head.
constexpr int kSplitTokens = 512;
MASKSEARCH_HOST_DEVICE int decode_splits(int most_keys) {
  return (most_keys + kSplitTokens - 1) / kSplitTokens;
}
MASKSEARCH_HOST_DEVICE int decode_partial_floats(int head_width) { return head_width + 2; }
size_t decode_scratch(const AttentionShape& shape, int sequences, int most_keys);
void decode_attention(Stream& stream, const AttentionShape& shape, int sequences, int most_keys,
                      const bf16* qkv, const int32_t* positions, const PagedKeys& keys, bf16* out,
                      float* scratch);
void decode_attention_plain(Stream& stream, const AttentionShape& shape, int sequences,
                            const bf16* qkv, const int32_t* positions, const PagedKeys& keys,
                            bf16* out);

}  // namespace masksearch::cuda
