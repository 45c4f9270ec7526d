// Causal attention of query tiles on tensor cores, for head widths 64 and 128. A block of four warps
// takes 64 query rows of one head, a warp 16 of them; key tiles of 64 stream through two buffers in
// shared memory while the softmax is kept up to date (FlashAttention-2, arXiv:2307.08691).
#include "key_buffers.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kKeyBlocks = kTileRows / 8;  // 16x8 score tiles of a warp
static_assert(kWarps * 16 == kTileRows, "a warp has 16 query rows");

static_assert(KeyBuffers<128, kThreads>::kBytes <= 99 * 1024, "fits sm_89");

// Softmax state of the two rows (g and g + 8) of which a lane holds columns. Scores are in powers of
// two here: times `scale`.
struct RunningSoftmax {
  float largest[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};
};

// Turns scores into weights relative to the rows' new largest scores; returns by what factor the
// earlier sums shrink. Every row sees key 0, so from the first tile on `largest` is finite.
__device__ inline void softmax_step(float (&scores)[kKeyBlocks][4], float scale,
                                    RunningSoftmax* state, float (&shrink)[2]) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float largest = -INFINITY;
#pragma unroll
    for (int n = 0; n < kKeyBlocks; n++)
      largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    for (int distance = 1; distance < 4; distance *= 2)
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, distance));
    largest = fmaxf(state->largest[half], largest * scale);
    shrink[half] = power_of_two(state->largest[half] - largest);
    state->largest[half] = largest;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < kKeyBlocks; n++)
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; i++) {
        scores[n][i] = power_of_two(fmaf(scores[n][i], scale, -largest));
        sum += scores[n][i];
      }
    state->sum[half] = state->sum[half] * shrink[half] + sum;
  }
}

template <int D, class Source>
__global__ void __launch_bounds__(kThreads)
    attention_forward_kernel(AttentionShape shape, int rows, const QueryTile* tiles,
                             const bf16* qkv, Source source, bf16* out, float* log_sums) {
  MASKSEARCH_DYNAMIC_SHARED(shared);
  const KeyBuffers<D, kThreads> buffers{reinterpret_cast<bf16*>(shared)};
  const QueryTile query = tiles[blockIdx.x];
  const int head = int(blockIdx.y);
  const int key_head = head / shape.heads_per_key();
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int group = lane / 4, pair = lane % 4 * 2;
  const int columns = shape.columns();
  const int key_tiles = int(ceil_div(query.position + query.rows, kTileRows));
  buffers.fetch(source, shape, query, key_head, 0, key_tiles);
  uint32_t q[D / 16][4];
  const int64_t first_row = query.row + warp * 16;
  load_operands<D>(q, qkv + first_row * columns + head * D, columns, query.rows - warp * 16);

  const float scale = kLog2OfE / sqrtf(float(D));
  RunningSoftmax state;
  float sums[D / 8][4] = {};
  for (int tile = 0; tile < key_tiles; tile++) {
    buffers.fetch(source, shape, query, key_head, tile + 1, key_tiles);
    wait_for_copies<1>();
    __syncthreads();
    float scores[kKeyBlocks][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; k++)
      multiply_transposed(scores, q[k], buffers.keys(tile), 0, k * 16);
    if (tile * kTileRows + kTileRows - 1 > query.position) {
#pragma unroll
      for (int n = 0; n < kKeyBlocks; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int key = tile * kTileRows + n * 8 + pair + i % 2;
          if (key > query.position + warp * 16 + group + i / 2 * 8) scores[n][i] = -INFINITY;
        }
    }
    float shrink[2];
    softmax_step(scores, scale, &state, shrink);
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) sums[n][i] *= shrink[i / 2];
#pragma unroll
    for (int k = 0; k < kTileRows / 16; k++) {
      uint32_t weights[4];
      pack_operand(weights, scores[2 * k], scores[2 * k + 1]);
      multiply_rows(sums, weights, buffers.values(tile), k * 16);
    }
    __syncthreads();  // the next fetch overwrites the other buffer, the one after that this one
  }

#pragma unroll
  for (int half = 0; half < 2; half++) {
    float sum = state.sum[half];
    for (int distance = 1; distance < 4; distance *= 2)
      sum += __shfl_xor_sync(kAllLanes, sum, distance);
    const int row = warp * 16 + group + half * 8;
    if (row >= query.rows) continue;
    const int64_t at = query.row + row;
    if (log_sums != nullptr && pair == 0)
      log_sums[int64_t(head) * rows + at] = state.largest[half] / kLog2OfE + logf(sum);
    bf16* to = out + (at * shape.heads + head) * D + pair;
#pragma unroll
    for (int n = 0; n < D / 8; n++)
      vector_at<uint32_t>(to + n * 8) =
          pack_bfloat16(sums[n][2 * half] / sum, sums[n][2 * half + 1] / sum);
  }
}

template <class Source>
void launch_forward(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                    const QueryTile* tile, const bf16* qkv, Source source, bf16* out,
                    float* log_sums) {
  const auto run = [&](auto kernel, size_t shared_bytes) {
    launch(stream, "attention_forward", kernel, {tiles, shape.heads}, kThreads, shared_bytes, shape,
           rows, tile, qkv, source, out, log_sums);
  };
  if (shape.head_width == 128) {
    run(attention_forward_kernel<128, Source>, KeyBuffers<128, kThreads>::kBytes);
  } else {
    run(attention_forward_kernel<64, Source>, KeyBuffers<64, kThreads>::kBytes);
  }
}

}  // namespace

void attention_forward(Stream& stream, const AttentionShape& shape, int rows, int tiles,
                       const QueryTile* tile, const bf16* qkv, bf16* out, float* log_sums) {
  require(has_tensor_core_attention(shape), "attention_forward", "a head width of 64 or 128",
          shape.head_width);
  launch_forward(stream, shape, rows, tiles, tile, qkv, PackedSource{qkv}, out, log_sums);
}

void attention_paged(Stream& stream, const AttentionShape& shape, int tiles, const QueryTile* tile,
                     const bf16* qkv, const PagedKeys& keys, bf16* out) {
  require(has_tensor_core_attention(shape), "attention_paged", "a head width of 64 or 128",
          shape.head_width);
  launch_forward(stream, shape, 0, tiles, tile, qkv, PagedSource{keys}, out,
                 static_cast<float*>(nullptr));
}

}  // namespace masksearch::cuda
