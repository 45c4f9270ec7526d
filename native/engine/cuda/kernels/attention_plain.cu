// Attention in plain loops, one warp to a row: the oracle of the tensor-core kernels on the device,
// and what runs for head widths that they do not take. Also the sums that both gradients start from.
#include "attention_delta.h"
#include "attention_keys.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kPerLane = 8;  // values of a head that a lane holds at most: D <= 256

// Values lane, lane + 32, … of a head. Those past D are 0.
struct HeadRow {
  float at[kPerLane];
};

__device__ HeadRow load_head(const bf16* x, int head_width) {
  HeadRow row;
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int d = int(threadIdx.x) % kWarpSize + i * kWarpSize;
    row.at[i] = d < head_width ? to_float(x[d]) : 0;
  }
  return row;
}

__device__ void store_head(const HeadRow& row, int head_width, float factor, bf16* to) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int d = int(threadIdx.x) % kWarpSize + i * kWarpSize;
    if (d < head_width) to[d] = to_bfloat16(row.at[i] * factor);
  }
}

__device__ float dot(const HeadRow& a, const HeadRow& b) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; i++) sum += a.at[i] * b.at[i];
  return over_warp<Sum<float>>(sum);
}

__device__ void add_scaled(HeadRow* sum, float factor, const HeadRow& x) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) sum->at[i] += factor * x.at[i];
}

__device__ void scale(HeadRow* x, float factor) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) x->at[i] *= factor;
}

// One query row: its weighted values to `out`; returns the log sum.
template <class Source>
__device__ float attend_row(const AttentionShape& shape, const QueryTile& query, int row, int head,
                            const bf16* qkv, const Source& source, bf16* out) {
  const int D = shape.head_width;
  const int key_head = head / shape.heads_per_key();
  const int64_t at = query.row + row;
  const HeadRow q = load_head(qkv + at * shape.columns() + int64_t(head) * D, D);
  const float inverse_root = 1.0f / sqrtf(float(D));
  float largest = -INFINITY, sum = 0;
  HeadRow values = {};
  for (int key = 0; key <= query.position + row; key++) {
    const KeyRows from = source.tile(shape, query, key_head, key / kTileRows);
    const int64_t offset = int64_t(key % kTileRows) * from.stride;
    const float score = dot(q, load_head(from.keys + offset, D)) * inverse_root;
    const float next = fmaxf(largest, score);
    const float shrink = expf(largest - next), weight = expf(score - next);
    largest = next;
    sum = sum * shrink + weight;
    scale(&values, shrink);
    add_scaled(&values, weight, load_head(from.values + offset, D));
  }
  store_head(values, D, 1.0f / sum, out + (at * shape.heads + head) * D);
  return largest + logf(sum);
}

template <class Source>
__global__ void __launch_bounds__(kThreads)
    attention_plain_kernel(AttentionShape shape, int rows, const QueryTile* tiles,
                           const bf16* qkv, Source source, bf16* out, float* log_sums) {
  const QueryTile query = tiles[blockIdx.x];
  const int head = int(blockIdx.y);
  for (int row = int(threadIdx.x) / kWarpSize; row < query.rows; row += kWarps) {
    const float log_sum = attend_row(shape, query, row, head, qkv, source, out);
    if (log_sums != nullptr && threadIdx.x % kWarpSize == 0)
      log_sums[int64_t(head) * rows + query.row + row] = log_sum;
  }
}

__global__ void __launch_bounds__(kThreads)
    decode_plain_kernel(AttentionShape shape, int sequences, const bf16* qkv,
                        const int32_t* positions, PagedSource source, bf16* out) {
  const int sequence = int(blockIdx.x) * kWarps + int(threadIdx.x) / kWarpSize;
  if (sequence >= sequences) return;  // a whole warp
  const QueryTile query = {sequence, 1, positions[sequence], sequence};
  attend_row(shape, query, 0, int(blockIdx.y), qkv, source, out);
}

__global__ void __launch_bounds__(kThreads)
    delta_kernel(AttentionShape shape, int rows, const bf16* out, const bf16* d_out,
                 float* deltas) {
  const int row = int(blockIdx.x) * kWarps + int(threadIdx.x) / kWarpSize;
  if (row >= rows) return;  // a whole warp
  const int head = int(blockIdx.y), D = shape.head_width;
  const int64_t at = (int64_t(row) * shape.heads + head) * D;
  const float delta = dot(load_head(out + at, D), load_head(d_out + at, D));
  if (threadIdx.x % kWarpSize == 0) deltas[int64_t(head) * rows + row] = delta;
}

// What a query and a key of one head need for their score and its gradient.
struct ScoreGradient {
  float weight, d_score;
};

__device__ ScoreGradient score_gradient(const HeadRow& q, const HeadRow& k, const HeadRow& v,
                                        const HeadRow& d_out, float log_sum, float delta,
                                        float inverse_root) {
  const float weight = expf(dot(q, k) * inverse_root - log_sum);
  return {weight, weight * (dot(d_out, v) - delta) * inverse_root};
}

__global__ void __launch_bounds__(kThreads)
    key_gradient_plain_kernel(AttentionGradient g, const KeyTile* tiles) {
  const KeyTile tile = tiles[blockIdx.x];
  const int D = g.shape.head_width, key_head = int(blockIdx.y);
  const int first_head = key_head * g.shape.heads_per_key();
  const int64_t columns = g.shape.columns();
  const float inverse_root = 1.0f / sqrtf(float(D));
  for (int key = int(threadIdx.x) / kWarpSize; key < tile.rows; key += kWarps) {
    const int64_t key_at = (int64_t(tile.row) + key) * columns + g.shape.key_column(key_head);
    const int64_t value_at = (int64_t(tile.row) + key) * columns + g.shape.value_column(key_head);
    const HeadRow k = load_head(g.qkv + key_at, D), v = load_head(g.qkv + value_at, D);
    HeadRow d_key = {}, d_value = {};
    for (int head = first_head; head < first_head + g.shape.heads_per_key(); head++)
      for (int query = key; query < tile.length - tile.position; query++) {
        const int64_t at = int64_t(tile.row) + query;
        const HeadRow q = load_head(g.qkv + at * columns + int64_t(head) * D, D);
        const HeadRow d = load_head(g.d_out + (at * g.shape.heads + head) * D, D);
        const int64_t statistic = int64_t(head) * g.rows + at;
        const ScoreGradient score =
            score_gradient(q, k, v, d, g.log_sums[statistic], g.deltas[statistic], inverse_root);
        add_scaled(&d_value, score.weight, d);
        add_scaled(&d_key, score.d_score, q);
      }
    store_head(d_key, D, 1, g.d_qkv + key_at);
    store_head(d_value, D, 1, g.d_qkv + value_at);
  }
}

__global__ void __launch_bounds__(kThreads)
    query_gradient_plain_kernel(AttentionGradient g, const QueryTile* tiles) {
  const QueryTile query = tiles[blockIdx.x];
  const int D = g.shape.head_width, head = int(blockIdx.y);
  const int key_head = head / g.shape.heads_per_key();
  const float inverse_root = 1.0f / sqrtf(float(D));
  const PackedSource source{g.qkv};
  for (int row = int(threadIdx.x) / kWarpSize; row < query.rows; row += kWarps) {
    const int64_t at = int64_t(query.row) + row;
    const int64_t statistic = int64_t(head) * g.rows + at;
    const int64_t query_at = at * g.shape.columns() + int64_t(head) * D;
    const HeadRow q = load_head(g.qkv + query_at, D);
    const HeadRow d = load_head(g.d_out + (at * g.shape.heads + head) * D, D);
    HeadRow d_query = {};
    for (int key = 0; key <= query.position + row; key++) {
      const KeyRows from = source.tile(g.shape, query, key_head, key / kTileRows);
      const int64_t offset = int64_t(key % kTileRows) * from.stride;
      const HeadRow k = load_head(from.keys + offset, D), v = load_head(from.values + offset, D);
      const ScoreGradient score =
          score_gradient(q, k, v, d, g.log_sums[statistic], g.deltas[statistic], inverse_root);
      add_scaled(&d_query, score.d_score, k);
    }
    store_head(d_query, D, 1, g.d_qkv + query_at);
  }
}

void require_plain_width(const char* kernel, const AttentionShape& shape) {
  require(shape.head_width > 0 && shape.head_width <= kPerLane * kWarpSize, kernel,
          "a head width of at most 256", shape.head_width);
}

}  // namespace

void attention_delta(Stream& stream, const AttentionShape& shape, int rows, const bf16* out,
                     const bf16* d_out, float* deltas) {
  require_plain_width("attention_delta", shape);
  launch(stream, "attention_delta", delta_kernel, {ceil_div(rows, kWarps), shape.heads}, kThreads,
         0, shape, rows, out, d_out, deltas);
}

void attention_forward_plain(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                             const QueryTile* tile, const bf16* qkv, bf16* out, float* log_sums) {
  require_plain_width("attention_forward_plain", shape);
  launch(stream, "attention_forward_plain", attention_plain_kernel<PackedSource>,
         {tiles, shape.heads}, kThreads, 0, shape, rows, tile, qkv, PackedSource{qkv}, out,
         log_sums);
}

void attention_paged_plain(Stream& stream, const AttentionShape& shape, int tiles,
                           const QueryTile* tile, const bf16* qkv, const PagedKeys& keys,
                           bf16* out) {
  require_plain_width("attention_paged_plain", shape);
  launch(stream, "attention_paged_plain", attention_plain_kernel<PagedSource>,
         {tiles, shape.heads}, kThreads, 0, shape, 0, tile, qkv, PagedSource{keys}, out,
         static_cast<float*>(nullptr));
}

void decode_attention_plain(Stream& stream, const AttentionShape& shape, int sequences,
                            const bf16* qkv, const int32_t* positions, const PagedKeys& keys,
                            bf16* out) {
  require_plain_width("decode_attention_plain", shape);
  launch(stream, "decode_attention_plain", decode_plain_kernel,
         {ceil_div(sequences, kWarps), shape.heads}, kThreads, 0, shape, sequences, qkv, positions,
         PagedSource{keys}, out);
}

void attention_backward_plain(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                              const QueryTile* query_tile, const KeyTile* key_tile,
                              const bf16* qkv, const bf16* out, const bf16* d_out,
                              const float* log_sums, bf16* d_qkv, float* scratch) {
  require_plain_width("attention_backward_plain", shape);
  attention_delta(stream, shape, rows, out, d_out, scratch);
  const AttentionGradient g = {shape, rows, qkv, d_out, log_sums, scratch, d_qkv};
  launch(stream, "attention_backward_plain (keys)", key_gradient_plain_kernel,
         {tiles, shape.key_value_heads}, kThreads, 0, g, key_tile);
  launch(stream, "attention_backward_plain (queries)", query_gradient_plain_kernel,
         {tiles, shape.heads}, kThreads, 0, g, query_tile);
}

}  // namespace masksearch::cuda
