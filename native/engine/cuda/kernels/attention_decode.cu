// Attention of one new token per sequence over its pages, and the write of new keys into pages. The
// query heads of a key/value head are the rows of one tensor-core tile, so that keys and values are
// read once; keys are cut at fixed places, whatever the batch.
#include "key_buffers.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kSplitPages = kSplitTokens / kPageTokens;
constexpr int kTileHeads = 16;  // query heads of a key/value head at most
static_assert(kSplitTokens % kPageTokens == 0 && kWarps * 16 == kPageTokens,
              "a split is whole pages, and a warp takes 16 keys of each");

static_assert(KeyBuffers<128, kThreads>::kBytes <= 96 * 1024, "fits sm_89 beside the static part");

// What a split knows of a query head: sum_j e_j v_j, then the largest score in powers of two and
// sum_j e_j, e_j = 2^(score_j - largest).
__device__ inline float* partial_of(float* partials, int splits, int heads, int head_width,
                                    int sequence, int head, int split) {
  const int64_t index = (int64_t(sequence) * heads + head) * splits + split;
  return partials + index * decode_partial_floats(head_width);
}

template <int D>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(AttentionShape shape, int splits, const bf16* qkv, const int32_t* positions,
                  PagedSource source, float* partials) {
  MASKSEARCH_DYNAMIC_SHARED(shared);
  __shared__ float largest_of[kWarps][kTileHeads];
  __shared__ float sum_of[kWarps][kTileHeads];
  const KeyBuffers<D, kThreads> buffers{reinterpret_cast<bf16*>(shared)};
  const int split = int(blockIdx.x) % splits, key_head = int(blockIdx.x) / splits;
  const int sequence = int(blockIdx.y);
  const int key_count = positions[sequence] + 1;
  const int first_page = split * kSplitPages;
  const int pages = (key_count + kPageTokens - 1) / kPageTokens;
  const int last_page = smaller(first_page + kSplitPages, pages);
  if (first_page >= last_page) return;  // the whole block
  const int heads_per_key = shape.heads_per_key();
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int group = lane / 4, pair = lane % 4 * 2;
  const QueryTile query = {sequence, 1, key_count - 1, sequence};

  buffers.fetch(source, shape, query, key_head, first_page, last_page);
  uint32_t q[D / 16][4];
  const int64_t first_head = int64_t(key_head) * heads_per_key;
  load_operands<D>(q, qkv + int64_t(sequence) * shape.columns() + first_head * D, D,
                   heads_per_key);

  const float scale = kLog2OfE / sqrtf(float(D));
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  float sums[D / 8][4] = {};
  for (int page = first_page; page < last_page; page++) {
    buffers.fetch(source, shape, query, key_head, page + 1, last_page);
    wait_for_copies<1>();
    __syncthreads();
    float scores[2][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; k++)
      multiply_transposed(scores, q[k], buffers.keys(page), warp * 16, k * 16);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float next = largest[half];
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; i++) {
          const int key = page * kPageTokens + warp * 16 + n * 8 + pair + i % 2;
          scores[n][i] = key < key_count ? scores[n][i] * scale : -INFINITY;
          next = fmaxf(next, scores[n][i]);
        }
      for (int distance = 1; distance < 4; distance *= 2)
        next = fmaxf(next, __shfl_xor_sync(kAllLanes, next, distance));
      // A warp may see no key at all yet: nothing is subtracted then, and every weight is 0.
      const float base = next == -INFINITY ? 0 : next;
      const float shrink = power_of_two(largest[half] - base);
      largest[half] = next;
      sum[half] *= shrink;
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; i++) {
          scores[n][i] = power_of_two(scores[n][i] - base);
          sum[half] += scores[n][i];
        }
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
        sums[n][2 * half] *= shrink;
        sums[n][2 * half + 1] *= shrink;
      }
    }
    uint32_t weights[4];
    pack_operand(weights, scores[0], scores[1]);
    multiply_rows(sums, weights, buffers.values(page), warp * 16);
    __syncthreads();
  }

  // The four warps' parts meet in the memory of the keys: (warp, head, D) floats.
  wait_for_copies<0>();
  float* parts = reinterpret_cast<float*>(shared);
  static_assert(size_t(kWarps) * kTileHeads * D * sizeof(float) <=
                KeyBuffers<D, kThreads>::kBytes);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    for (int distance = 1; distance < 4; distance *= 2)
      sum[half] += __shfl_xor_sync(kAllLanes, sum[half], distance);
    const int member = group + half * 8;
    if (pair == 0) {
      largest_of[warp][member] = largest[half];
      sum_of[warp][member] = sum[half];
    }
    float* to = parts + (warp * kTileHeads + member) * D + pair;
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
      to[n * 8] = sums[n][2 * half];
      to[n * 8 + 1] = sums[n][2 * half + 1];
    }
  }
  __syncthreads();
  for (int index = int(threadIdx.x); index < heads_per_key * D; index += kThreads) {
    const int member = index / D, d = index % D;
    float most = -INFINITY;  // finite: the split has at least one key
    for (int w = 0; w < kWarps; w++) most = fmaxf(most, largest_of[w][member]);
    float value = 0, total = 0;
    for (int w = 0; w < kWarps; w++) {
      const float factor = power_of_two(largest_of[w][member] - most);
      value += factor * parts[(w * kTileHeads + member) * D + d];
      total += factor * sum_of[w][member];
    }
    float* to = partial_of(partials, splits, shape.heads, D, sequence,
                           key_head * heads_per_key + member, split);
    to[d] = value;
    if (d == 0) {
      to[D] = most;
      to[D + 1] = total;
    }
  }
}

// Merges the splits of a query head in their order. One block to a head of a sequence.
__global__ void __launch_bounds__(kThreads)
    merge_kernel(AttentionShape shape, int splits, const int32_t* positions, float* partials,
                 bf16* out) {
  const int head = int(blockIdx.x), sequence = int(blockIdx.y), D = shape.head_width;
  const int used = positions[sequence] / kSplitTokens + 1;
  float most = -INFINITY;
  for (int split = 0; split < used; split++)
    most = fmaxf(most, partial_of(partials, splits, shape.heads, D, sequence, head, split)[D]);
  for (int d = int(threadIdx.x); d < D; d += kThreads) {
    float value = 0, total = 0;
    for (int split = 0; split < used; split++) {
      const float* part = partial_of(partials, splits, shape.heads, D, sequence, head, split);
      const float factor = power_of_two(part[D] - most);
      value += factor * part[d];
      total += factor * part[D + 1];
    }
    out[(int64_t(sequence) * shape.heads + head) * D + d] = to_bfloat16(value / total);
  }
}

__global__ void __launch_bounds__(kThreads)
    store_keys_kernel(AttentionShape shape, int64_t pieces, const bf16* qkv,
                      const int32_t* sequence_of, const int32_t* positions, bf16* pool,
                      const int32_t* page_of, int pages_per_sequence) {
  const int64_t piece = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int D = shape.head_width, K = shape.key_value_heads;
  const int per_row = 2 * K * D / 8;
  const int64_t row = piece / per_row;
  const int column = int(piece % per_row) * 8;  // of the row's keys, then values
  const int head = column / D, d = column % D;  // head K + k is value head k
  const int position = positions[row];
  const int64_t page =
      page_of[int64_t(sequence_of[row]) * pages_per_sequence + position / kPageTokens];
  const bf16* from = qkv + row * shape.columns() + shape.heads * D + column;
  bf16* to = pool + ((page * 2 * K + head) * kPageTokens + position % kPageTokens) * D + d;
  store8(to, load8(from));
}

bool fits_a_tile(const AttentionShape& shape) {
  return has_tensor_core_attention(shape) && shape.heads_per_key() <= kTileHeads;
}

}  // namespace

void decode_attention(Stream& stream, const AttentionShape& shape, int sequences, int most_keys,
                      const bf16* qkv, const int32_t* positions, const PagedKeys& keys, bf16* out,
                      float* scratch) {
  require(sequences <= 65535, "decode_attention", "at most 65,535 sequences", sequences);
  if (!fits_a_tile(shape))
    return decode_attention_plain(stream, shape, sequences, qkv, positions, keys, out);
  const int splits = decode_splits(most_keys);
  const auto run = [&](auto kernel, size_t shared_bytes) {
    launch(stream, "decode_attention", kernel, {int64_t(splits) * shape.key_value_heads, sequences},
           kThreads, shared_bytes, shape, splits, qkv, positions, PagedSource{keys}, scratch);
  };
  if (shape.head_width == 128) {
    run(decode_kernel<128>, KeyBuffers<128, kThreads>::kBytes);
  } else {
    run(decode_kernel<64>, KeyBuffers<64, kThreads>::kBytes);
  }
  launch(stream, "decode_attention (merge)", merge_kernel, {shape.heads, sequences}, kThreads, 0,
         shape, splits, positions, scratch, out);
}

void store_keys(Stream& stream, const AttentionShape& shape, int rows, const bf16* qkv,
                const int32_t* sequence_of, const int32_t* positions, bf16* pool,
                const int32_t* page_of, int pages_per_sequence) {
  require_width("store_keys", shape.head_width);
  const int64_t pieces = int64_t(rows) * (2 * shape.key_value_heads * shape.head_width / 8);
  launch(stream, "store_keys", store_keys_kernel, {ceil_div(pieces, kThreads)}, kThreads, 0, shape,
         pieces, qkv, sequence_of, positions, pool, page_of, pages_per_sequence);
}

}  // namespace masksearch::cuda
