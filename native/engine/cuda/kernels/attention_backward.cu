// Gradients of causal attention on tensor cores, for head widths 64 and 128, in two passes without
// atomics: one block owns 64 keys of a key/value head and goes through all its queries, another owns
// 64 queries of a head and goes through their keys. Probabilities come back from the saved log sums.
// The first pass computes four products and keeps the gradients of scores, where there is memory for
// them, so that the second has one left; else the second computes three.
#include "attention_delta.h"
#include "attention_keys.h"
#include "launch_checks.h"
#include "tensor_core.h"

namespace masksearch::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kStep = 32;               // queries (or keys) that stream through at a time
constexpr int kStepBlocks = kStep / 8;  // 16x8 score tiles of a warp
static_assert(kWarps * 16 == kTileRows, "a warp owns 16 rows");

template <int D>
constexpr size_t kSharedBytes =
    size_t(2) * (kTileRows + kStep) * D * sizeof(bf16) + 2 * kStep * sizeof(float);
static_assert(kSharedBytes<128> <= 99 * 1024, "fits sm_89");

// c (16, kStep) = the warp's 16 rows of `mine` times the kStep rows of `step`, transposed.
template <int D>
__device__ inline void multiply_with_step(float (&c)[kStepBlocks][4], const SharedTile<D>& mine,
                                          int warp, const SharedTile<D>& step) {
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    uint32_t a[4];
    mine.load_a(a, warp * 16, k * 16);
    multiply_transposed(c, a, step, 0, k * 16);
  }
}

// sums (16, D) += weights (16, kStep) times the rows of `step`.
template <int D>
__device__ inline void multiply_weights(float (&sums)[D / 8][4],
                                        const float (&weights)[kStepBlocks][4],
                                        const SharedTile<D>& step) {
#pragma unroll
  for (int k = 0; k < kStep / 16; k++) {
    uint32_t a[4];
    pack_operand(a, weights[2 * k], weights[2 * k + 1]);
    multiply_rows(sums, a, step, k * 16);
  }
}

// A weight of the softmax from its score and its row's log sum, both in powers of two, and the gradient
// of the score. Both passes round alike, whatever else the compiler would fuse.
__device__ inline float weight_of(float score, float scale, float log_sum) {
  return power_of_two(fmaf(score, scale, -log_sum));
}
__device__ inline float score_gradient(float weight, float d_weight, float delta,
                                       float inverse_root) {
  return weight * (d_weight - delta) * inverse_root;
}

// Rows g and g + 8 of the warp's 16 by D sums, as bfloat16, where they are below `rows`.
template <int D>
__device__ inline void store_rows(const float (&sums)[D / 8][4], int warp, int rows, bf16* to,
                                  int64_t stride) {
  const int lane = int(threadIdx.x) % kWarpSize;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = warp * 16 + lane / 4 + half * 8;
    if (row >= rows) continue;
    bf16* at = to + row * stride + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < D / 8; n++)
      vector_at<uint32_t>(at + n * 8) =
          pack_bfloat16(sums[n][2 * half], sums[n][2 * half + 1]);
  }
}

// Where the gradients of scores of some heads lie: of every pair of tiles and every head 4 by 4 blocks
// of 16 keys by 16 queries, keys outermost, and of a block 16 bytes for each lane of a warp, in the
// order of an A operand whose 8x8 matrices are transposed.
struct ScoreMemory {
  bf16* data;
  int first_key_head;
  int heads;  // query heads from that key/value head on

  static constexpr int kLaneValues = 8;
  __device__ bf16* block(int64_t pair, int head, int key_block, int query_block) const {
    const int64_t tile = pair * heads + head;
    return data + ((tile * 4 + key_block) * 4 + query_block) * (kWarpSize * kLaneValues);
  }
};

// The warp's 16 keys by kStep queries from `first` of the tile's on.
__device__ inline void keep_scores(const ScoreMemory& kept, int64_t pair, int head, int warp,
                                   int first, const float (&d_scores)[kStepBlocks][4]) {
#pragma unroll
  for (int k = 0; k < kStepBlocks / 2; k++) {
    const float(&left)[4] = d_scores[2 * k];
    const float(&right)[4] = d_scores[2 * k + 1];
    const PackedOperand packed = {{pack_bfloat16(left[0], left[1]),
                                   pack_bfloat16(right[0], right[1]),
                                   pack_bfloat16(left[2], left[3]),
                                   pack_bfloat16(right[2], right[3])}};
    bf16* to = kept.block(pair, head, warp, first / 16 + k);
    vector_at<PackedOperand>(to + threadIdx.x % kWarpSize * ScoreMemory::kLaneValues) = packed;
  }
}

// Keys and values: scores are transposed, a warp's rows are keys and its columns queries. A block
// takes a key tile and a key/value head from kept.first_key_head on.
template <int D, bool kKeep>
__global__ void __launch_bounds__(kThreads)
    key_gradient_kernel(AttentionGradient g, const KeyTile* tiles, ScoreMemory kept) {
  MASKSEARCH_DYNAMIC_SHARED(shared);
  bf16* buffers = reinterpret_cast<bf16*>(shared);
  const SharedTile<D> keys{buffers}, values{buffers + kTileRows * D};
  const SharedTile<D> queries{buffers + 2 * kTileRows * D};
  const SharedTile<D> d_outs{buffers + (2 * kTileRows + kStep) * D};
  float* log_sum = reinterpret_cast<float*>(buffers + 2 * (kTileRows + kStep) * D);
  float* delta = log_sum + kStep;
  const KeyTile key_tile = tiles[blockIdx.x];
  if (key_tile.rows == 0) return;  // the whole block
  const int key_head = kept.first_key_head + int(blockIdx.y);
  const int heads_per_key = g.shape.heads_per_key(), heads = g.shape.heads;
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int64_t columns = g.shape.columns();
  const float inverse_root = 1.0f / sqrtf(float(D)), scale = inverse_root * kLog2OfE;
  const int key_column = g.shape.key_column(key_head);
  const int value_column = g.shape.value_column(key_head);
  const bf16* first_key = g.qkv + key_tile.row * columns;
  keys.template copy_rows<kTileRows, kThreads>(first_key + key_column, columns, key_tile.rows);
  values.template copy_rows<kTileRows, kThreads>(first_key + value_column, columns, key_tile.rows);

  // Queries count from the tile's first key on: earlier ones do not see it.
  const int query_count = key_tile.length - key_tile.position;
  float d_keys[D / 8][4] = {};
  float d_values[D / 8][4] = {};
  for (int member = 0; member < heads_per_key; member++) {
    const int head = key_head * heads_per_key + member;
    for (int first = 0; first < query_count; first += kStep) {
      const int valid = smaller(kStep, query_count - first);
      const int64_t row = int64_t(key_tile.row) + first;
      __syncthreads();  // the step before is done with its queries
      queries.template copy_rows<kStep, kThreads>(g.qkv + row * columns + head * D, columns,
                                                  valid);
      d_outs.template copy_rows<kStep, kThreads>(g.d_out + (row * heads + head) * D,
                                                 int64_t(heads) * D, valid);
      commit_copies();
      if (threadIdx.x < kStep) {
        const bool inside = int(threadIdx.x) < valid;
        const int64_t at = int64_t(head) * g.rows + row + threadIdx.x;
        log_sum[threadIdx.x] = inside ? g.log_sums[at] * kLog2OfE : 0;
        delta[threadIdx.x] = inside ? g.deltas[at] : 0;
      }
      wait_for_copies<0>();
      __syncthreads();
      float weights[kStepBlocks][4] = {};
      float d_scores[kStepBlocks][4] = {};
      multiply_with_step<D>(weights, keys, warp, queries);
      multiply_with_step<D>(d_scores, values, warp, d_outs);
#pragma unroll
      for (int n = 0; n < kStepBlocks; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int query = n * 8 + lane % 4 * 2 + i % 2;
          const int key = warp * 16 + lane / 4 + i / 2 * 8;
          const bool visible = key <= first + query && query < valid && key < key_tile.rows;
          weights[n][i] = visible ? weight_of(weights[n][i], scale, log_sum[query]) : 0;
          d_scores[n][i] =
              score_gradient(weights[n][i], d_scores[n][i], delta[query], inverse_root);
        }
      if constexpr (kKeep) {
        const int64_t pair = tile_pair(key_tile.first_pair, (key_tile.position + first) / kTileRows,
                                       key_tile.position / kTileRows);
        keep_scores(kept, pair, head - kept.first_key_head * heads_per_key, warp,
                    first % kTileRows, d_scores);
      }
      multiply_weights<D>(d_values, weights, d_outs);
      multiply_weights<D>(d_keys, d_scores, queries);
    }
  }
  bf16* to = g.d_qkv + key_tile.row * columns;
  store_rows<D>(d_keys, warp, key_tile.rows, to + key_column, columns);
  store_rows<D>(d_values, warp, key_tile.rows, to + value_column, columns);
}

template <int D>
__global__ void __launch_bounds__(kThreads)
    query_gradient_kernel(AttentionGradient g, const QueryTile* tiles) {
  MASKSEARCH_DYNAMIC_SHARED(shared);
  bf16* buffers = reinterpret_cast<bf16*>(shared);
  const SharedTile<D> queries{buffers}, d_outs{buffers + kTileRows * D};
  const SharedTile<D> keys{buffers + 2 * kTileRows * D};
  const SharedTile<D> values{buffers + (2 * kTileRows + kStep) * D};
  const QueryTile query = tiles[blockIdx.x];
  if (query.rows == 0) return;  // the whole block
  const int head = int(blockIdx.y);
  const int key_head = head / g.shape.heads_per_key(), heads = g.shape.heads;
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int64_t columns = g.shape.columns();
  const float inverse_root = 1.0f / sqrtf(float(D)), scale = inverse_root * kLog2OfE;
  queries.template copy_rows<kTileRows, kThreads>(g.qkv + query.row * columns + head * D, columns,
                                                  query.rows);
  d_outs.template copy_rows<kTileRows, kThreads>(
      g.d_out + (int64_t(query.row) * heads + head) * D, int64_t(heads) * D, query.rows);
  float log_sum[2], delta[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = warp * 16 + lane / 4 + half * 8;
    const int64_t at = int64_t(head) * g.rows + query.row + row;
    log_sum[half] = row < query.rows ? g.log_sums[at] * kLog2OfE : 0;
    delta[half] = row < query.rows ? g.deltas[at] : 0;
  }
  const int key_count = query.position + query.rows;
  const bf16* first_key = g.qkv + (int64_t(query.row) - query.position) * columns;
  const int key_column = g.shape.key_column(key_head);
  const int value_column = g.shape.value_column(key_head);
  float d_queries[D / 8][4] = {};
  for (int first = 0; first < key_count; first += kStep) {
    const int valid = smaller(kStep, key_count - first);
    __syncthreads();  // the step before is done with its keys
    const bf16* from = first_key + first * columns;
    keys.template copy_rows<kStep, kThreads>(from + key_column, columns, valid);
    values.template copy_rows<kStep, kThreads>(from + value_column, columns, valid);
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();
    float weights[kStepBlocks][4] = {};
    float d_scores[kStepBlocks][4] = {};
    multiply_with_step<D>(weights, queries, warp, keys);
    multiply_with_step<D>(d_scores, d_outs, warp, values);
#pragma unroll
    for (int n = 0; n < kStepBlocks; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int key = first + n * 8 + lane % 4 * 2 + i % 2;
        const int row = warp * 16 + lane / 4 + i / 2 * 8;
        const bool visible = key <= query.position + row && row < query.rows;
        const float weight = visible ? weight_of(weights[n][i], scale, log_sum[i / 2]) : 0;
        d_scores[n][i] = score_gradient(weight, d_scores[n][i], delta[i / 2], inverse_root);
      }
    multiply_weights<D>(d_queries, d_scores, keys);
  }
  store_rows<D>(d_queries, warp, query.rows, g.d_qkv + query.row * columns + head * D, columns);
}

// Two buffers of 64 keys.
template <int D>
constexpr size_t kKeyBytes = size_t(2) * kTileRows * D * sizeof(bf16);
static_assert(kKeyBytes<128> <= 48 * 1024, "needs no leave for more");

// Starts copying the keys of a tile, as far as there are tiles, and closes the group of copies.
template <int D>
__device__ inline void fetch_keys(bf16* buffers, const bf16* first_key, int64_t columns,
                                  const QueryTile& query, int tile) {
  const int left = query.position + query.rows - tile * kTileRows;
  if (left > 0) {
    const SharedTile<D> keys{buffers + (tile & 1) * kTileRows * D};
    keys.template copy_rows<kTileRows, kThreads>(first_key + tile * kTileRows * columns, columns,
                                                 smaller(kTileRows, left));
  }
  commit_copies();
}

// Queries from kept gradients of scores: a block takes a query tile and one of the kept heads. The
// order of its sums is that of query_gradient_kernel.
template <int D>
__global__ void __launch_bounds__(kThreads)
    kept_query_gradient_kernel(AttentionGradient g, const QueryTile* tiles, ScoreMemory kept) {
  MASKSEARCH_DYNAMIC_SHARED(shared);
  bf16* buffers = reinterpret_cast<bf16*>(shared);
  const QueryTile query = tiles[blockIdx.x];
  if (query.rows == 0) return;  // the whole block
  const int heads_per_key = g.shape.heads_per_key();
  const int kept_head = int(blockIdx.y);
  const int head = kept.first_key_head * heads_per_key + kept_head;
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int64_t columns = g.shape.columns();
  const bf16* first_key = g.qkv + (int64_t(query.row) - query.position) * columns +
                          g.shape.key_column(head / heads_per_key);
  const bool has_rows = warp * 16 < query.rows;  // of the whole warp: what it would read is not kept
  const int query_tile = query.position / kTileRows;
  float d_queries[D / 8][4] = {};
  fetch_keys<D>(buffers, first_key, columns, query, 0);
  for (int tile = 0; tile <= query_tile; tile++) {
    fetch_keys<D>(buffers, first_key, columns, query, tile + 1);
    PackedOperand scores[kTileRows / 16] = {};
    if (has_rows) {
      const int64_t pair = tile_pair(query.first_pair, query_tile, tile);
#pragma unroll
      for (int k = 0; k < kTileRows / 16; k++)
        scores[k] = vector_at<PackedOperand>(kept.block(pair, kept_head, k, warp) +
                                             lane * ScoreMemory::kLaneValues);
    }
    wait_for_copies<1>();
    __syncthreads();
    const SharedTile<D> keys{buffers + (tile & 1) * kTileRows * D};
#pragma unroll
    for (int k = 0; k < kTileRows / 16; k++) {
      transpose_matrices(scores[k].at);
      multiply_rows(d_queries, scores[k].at, keys, k * 16);
    }
    __syncthreads();  // the fetch after next overwrites these keys
  }
  store_rows<D>(d_queries, warp, query.rows, g.d_qkv + query.row * columns + head * D, columns);
}

template <int D>
void launch_backward(Stream& stream, int tiles, const QueryTile* query_tile,
                     const KeyTile* key_tile, const AttentionGradient& g, const KeptScores& kept) {
  const int K = g.shape.key_value_heads;
  if (kept.key_heads == 0) {
    launch(stream, "attention_backward (keys)", key_gradient_kernel<D, false>, {tiles, K}, kThreads,
           kSharedBytes<D>, g, key_tile, ScoreMemory{nullptr, 0, 0});
    launch(stream, "attention_backward (queries)", query_gradient_kernel<D>,
           {tiles, g.shape.heads}, kThreads, kSharedBytes<D>, g, query_tile);
    return;
  }
  for (int first = 0; first < K; first += kept.key_heads) {
    const int key_heads = smaller(kept.key_heads, K - first);
    const ScoreMemory memory = {kept.memory, first, key_heads * g.shape.heads_per_key()};
    launch(stream, "attention_backward (keys)", key_gradient_kernel<D, true>, {tiles, key_heads},
           kThreads, kSharedBytes<D>, g, key_tile, memory);
    launch(stream, "attention_backward (kept queries)", kept_query_gradient_kernel<D>,
           {tiles, memory.heads}, kThreads, kKeyBytes<D>, g, query_tile, memory);
  }
}

}  // namespace

void attention_backward(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                        const QueryTile* query_tile, const KeyTile* key_tile, const bf16* qkv,
                        const bf16* out, const bf16* d_out, const float* log_sums, bf16* d_qkv,
                        float* scratch, const KeptScores& kept) {
  require(has_tensor_core_attention(shape), "attention_backward", "a head width of 64 or 128",
          shape.head_width);
  attention_delta(stream, shape, rows, out, d_out, scratch);
  const auto run = shape.head_width == 128 ? launch_backward<128> : launch_backward<64>;
  run(stream, tiles, query_tile, key_tile, {shape, rows, qkv, d_out, log_sums, scratch, d_qkv},
      kept);
}

}  // namespace masksearch::cuda
