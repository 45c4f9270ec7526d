// Softmax statistics of rows of logits, and the gradient of the loss written over them. One block
// owns a row; the vocabulary is read once forward and once backward, a thread with several values
// under way at a time.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kAtOnce = 4;                       // values of a thread, kThreads apart
constexpr int kStretch = kThreads * kAtOnce;  // of the vocabulary

// Running softmax sums of some logits x, all relative to `largest`: sum = sum e^(x - largest) and
// weighted = sum (x - largest) e^(x - largest).
struct Running {
  float largest, sum, weighted;
};

struct Merge {
  __device__ static Running zero() { return {-INFINITY, 0, 0}; }
  __device__ static Running of(Running a, Running b) {
    if (b.sum == 0 && b.largest == -INFINITY) return a;
    if (a.sum == 0 && a.largest == -INFINITY) return b;
    const float largest = a.largest > b.largest ? a.largest : b.largest;
    const float shift_a = a.largest - largest, shift_b = b.largest - largest;
    const float scale_a = expf(shift_a), scale_b = expf(shift_b);
    // (x - new) = (x - old) + (old - new)
    return {largest, a.sum * scale_a + b.sum * scale_b,
            (a.weighted + (shift_a < 0 ? shift_a * a.sum : 0)) * scale_a +
                (b.weighted + (shift_b < 0 ? shift_b * b.sum : 0)) * scale_b};
  }
};

__device__ Running from_lane(Running value, int distance) {
  return {__shfl_xor_sync(kAllLanes, value.largest, distance),
          __shfl_xor_sync(kAllLanes, value.sum, distance),
          __shfl_xor_sync(kAllLanes, value.weighted, distance)};
}

// The merge is not symmetric in its roundings, so the lower lane's part always comes first.
__device__ Running merge_over_block(Running value) {
  __shared__ Running parts[kThreads / kWarpSize];
  const int lane = int(threadIdx.x) % kWarpSize;
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const Running other = from_lane(value, distance);
    value = (lane & distance) == 0 ? Merge::of(value, other) : Merge::of(other, value);
  }
  if (lane == 0) parts[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  Running total = Merge::zero();
  for (int warp = 0; warp < kThreads / kWarpSize; warp++) total = Merge::of(total, parts[warp]);
  return total;
}

// Adds some logits to running sums: what is there shrinks where one of them is larger.
__device__ void add_logits(Running* sums, const float (&x)[kAtOnce]) {
  float largest = sums->largest;
  for (int k = 0; k < kAtOnce; k++)
    largest = x[k] > largest || x[k] != x[k] ? x[k] : largest;  // NaN stays
  if (largest == -INFINITY) return;
  if (largest != sums->largest) *sums = Merge::of(*sums, {largest, 0, 0});
  for (int k = 0; k < kAtOnce; k++) {
    const float shifted = x[k] - largest;
    const float e = expf(shifted);
    sums->sum += e;
    sums->weighted += e > 0 ? shifted * e : 0;  // -inf e^-inf = 0
  }
}

__global__ void __launch_bounds__(kThreads)
    row_statistics_kernel(int vocabulary, const float* logits, int64_t ld, const int32_t* targets,
                          RowStatistics* statistics, float* log_probs) {
  const int row = int(blockIdx.x);
  const float* x = logits + row * ld;
  Running mine = Merge::zero();
  for (int first = int(threadIdx.x); first < vocabulary; first += kStretch) {
    float values[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; k++)
      values[k] = first + k * kThreads < vocabulary ? x[first + k * kThreads] : -INFINITY;
    add_logits(&mine, values);
  }
  const Running total = merge_over_block(mine);
  if (threadIdx.x != 0) return;
  const double log_sum = log(double(total.sum));
  // H = log(sum) - sum (x - largest) e^(x - largest) / sum
  statistics[row] = {total.largest, total.sum, float(log_sum - double(total.weighted / total.sum))};
  log_probs[row] = float(double(x[targets[row]]) - double(total.largest) - log_sum);
}

// Float row and bfloat16 row share their memory. In round i the block reads floats
// [i P, (i + 1) P) and, after a barrier, writes bfloat16 [i P, (i + 1) P), which lie in the floats
// [i P / 2, (i + 1) P / 2): all read in this round or before. P = kStretch.
__global__ void __launch_bounds__(kThreads)
    row_gradient_kernel(int vocabulary, float* logits, int64_t ld, const int32_t* targets,
                        const RowStatistics* statistics, const float* d_log_probs,
                        const float* d_entropies) {
  const int row = int(blockIdx.x);
  const float* x = logits + row * ld;
  bf16* out = reinterpret_cast<bf16*>(logits + row * ld);
  const RowStatistics s = statistics[row];
  const float by_log_prob = d_log_probs[row], by_entropy = d_entropies[row];
  const float log_sum = logf(s.sum);
  const int target = targets[row];
  for (int first = int(threadIdx.x); first - int(threadIdx.x) < vocabulary; first += kStretch) {
    float gradients[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; k++) {
      const int j = first + k * kThreads;
      const float log_p = (j < vocabulary ? x[j] : -INFINITY) - s.largest - log_sum;
      const float p = expf(log_p);
      const float entropy_part = p > 0 ? p * (log_p + s.entropy) : 0;
      gradients[k] = by_log_prob * ((j == target ? 1.0f : 0.0f) - p) - by_entropy * entropy_part;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kAtOnce; k++) {
      const int j = first + k * kThreads;
      if (j < vocabulary) out[j] = to_bfloat16(gradients[k]);
    }
  }
}

}  // namespace

void row_statistics(Stream& stream, int rows, int vocabulary, const float* logits, int64_t ld,
                    const int32_t* targets, RowStatistics* statistics, float* log_probs) {
  require(vocabulary > 0 && vocabulary <= ld, "row_statistics", "0 < vocabulary <= ld", vocabulary);
  launch(stream, "row_statistics", row_statistics_kernel, {rows}, kThreads, 0, vocabulary, logits,
         ld, targets, statistics, log_probs);
}

void row_gradient(Stream& stream, int rows, int vocabulary, float* logits, int64_t ld,
                  const int32_t* targets, const RowStatistics* statistics,
                  const float* d_log_probs, const float* d_entropies) {
  require(vocabulary > 0 && vocabulary <= ld, "row_gradient", "0 < vocabulary <= ld", vocabulary);
  launch(stream, "row_gradient", row_gradient_kernel, {rows}, kThreads, 0, vocabulary, logits, ld,
         targets, statistics, d_log_probs, d_entropies);
}

}  // namespace masksearch::cuda
