// Draws one token from each row of logits by its uniform number: the inverse of the cumulative
// softmax in vocabulary order, as sample_token.cpp does on the CPU. A thread owns a contiguous
// stretch of the vocabulary, so the search is one prefix sum over threads and one walk.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 1024;

struct Best {
  float logit;
  int token;
};

// Larger logit, or the lower token among equals; NaN is larger than everything.
__device__ Best better(Best a, Best b) {
  if (a.logit != a.logit) return a;
  if (b.logit != b.logit) return b;
  if (a.logit != b.logit) return a.logit > b.logit ? a : b;
  return a.token < b.token ? a : b;
}

__device__ Best best_of_block(Best best) {
  __shared__ Best parts[kThreads / kWarpSize];
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2)
    best = better(best, {__shfl_xor_sync(kAllLanes, best.logit, distance),
                         __shfl_xor_sync(kAllLanes, best.token, distance)});
  if (threadIdx.x % kWarpSize == 0) parts[threadIdx.x / kWarpSize] = best;
  __syncthreads();
  best = parts[0];
  for (int warp = 1; warp < kThreads / kWarpSize; warp++) best = better(best, parts[warp]);
  return best;
}

// Sum of the values of the threads before this one; `total` is that of all.
__device__ double sum_before(double value, double* total) {
  __shared__ double parts[kThreads / kWarpSize];
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  double sum = value;
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const double before = __shfl_up_sync(kAllLanes, sum, distance);
    if (lane >= distance) sum += before;
  }
  const double inclusive = sum;
  if (lane == kWarpSize - 1) parts[warp] = inclusive;
  __syncthreads();
  double offset = 0, all = 0;
  for (int w = 0; w < kThreads / kWarpSize; w++) {
    if (w == warp) offset = all;
    all += parts[w];
  }
  *total = all;
  const double exclusive = __shfl_up_sync(kAllLanes, inclusive, 1);
  return offset + (lane == 0 ? 0.0 : exclusive);
}

__global__ void __launch_bounds__(kThreads)
    sample_kernel(int vocabulary, const float* logits, int64_t ld, const float* temperature,
                  const double* uniform, int32_t* tokens, float* log_probs) {
  __shared__ int chosen;
  __shared__ int last_positive[kThreads / kWarpSize];
  const int row = int(blockIdx.x);
  const float* x = logits + row * ld;
  const float scale =
      temperature[row] == 0 || temperature[row] == 1 ? 1.0f : 1.0f / temperature[row];
  const int stretch = (vocabulary + kThreads - 1) / kThreads;
  const int first = int(threadIdx.x) * stretch;
  const int last = first + stretch < vocabulary ? first + stretch : vocabulary;

  Best best = {-INFINITY, vocabulary};
  for (int j = int(threadIdx.x); j < vocabulary; j += kThreads)
    best = better(best, {x[j] * scale, j});
  best = best_of_block(best);
  const bool finite = best.logit - best.logit == 0;

  double mine = 0;
  int positive = -1;  // the last token of this stretch with a weight above 0
  if (finite)
    for (int j = first; j < last; j++) {
      const float weight = expf(x[j] * scale - best.logit);
      mine += double(weight);
      if (weight > 0) positive = j;
    }
  double total;
  const double before = sum_before(mine, &total);
  const double target = uniform[row] * total;
  const int furthest = int(over_warp<Largest>(float(positive)));  // exact below 2^24
  if (threadIdx.x == 0) chosen = -1;
  if (threadIdx.x % kWarpSize == 0) last_positive[threadIdx.x / kWarpSize] = furthest;
  __syncthreads();
  // Exactly one stretch with a positive weight holds the target, unless roundings push it past all.
  if (finite && mine > 0 && before <= target && target < before + mine) {
    double sum = before;
    int found = -1;
    for (int j = first; j < last; j++) {
      const float weight = expf(x[j] * scale - best.logit);
      sum += double(weight);
      if (weight > 0) found = j;
      if (sum > target && found >= 0) break;
    }
    chosen = found;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  if (!finite) {
    tokens[row] = -1;
    log_probs[row] = 0;
    return;
  }
  int token = chosen;
  for (int warp = kThreads / kWarpSize - 1; token < 0 && warp >= 0; warp--)
    token = last_positive[warp];
  if (temperature[row] == 0) token = best.token;
  tokens[row] = token;
  log_probs[row] = float(double(x[token] * scale) - double(best.logit) - log(total));
}

}  // namespace

void sample(Stream& stream, int rows, int vocabulary, const float* logits, int64_t ld,
            const float* temperature, const double* uniform, int32_t* tokens, float* log_probs) {
  require(vocabulary > 0 && vocabulary <= ld && vocabulary < 1 << 24, "sample",
          "a vocabulary of at most ld and below 2^24", vocabulary);
  launch(stream, "sample", sample_kernel, {rows}, kThreads, 0, vocabulary, logits, ld, temperature,
         uniform, tokens, log_probs);
}

}  // namespace masksearch::cuda
