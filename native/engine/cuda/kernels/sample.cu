// Draws one token from each row of logits by its uniform number: the inverse of the cumulative
// softmax of the tokens that may be drawn, in vocabulary order, as sample_token.cpp does on the CPU.
// A thread owns a contiguous stretch of the vocabulary, so the search is one prefix sum over threads
// and one walk.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 1024;
constexpr int kAtOnce = 4;  // logits of a thread

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
  __syncthreads();  // an earlier use of `parts` has ended
  if (threadIdx.x % kWarpSize == 0) parts[threadIdx.x / kWarpSize] = best;
  __syncthreads();
  best = parts[0];
  for (int warp = 1; warp < kThreads / kWarpSize; warp++) best = better(best, parts[warp]);
  return best;
}

// Sums of the values of the threads before this one, up to it, and of all. Where this thread's part
// ends the next one's begins, to the bit.
struct PrefixSums {
  double before, through, total;
};
__device__ PrefixSums prefix_sums(double value) {
  __shared__ double parts[kThreads / kWarpSize];
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  double sum = value;
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const double before = __shfl_up_sync(kAllLanes, sum, distance);
    if (lane >= distance) sum += before;
  }
  const double inclusive = sum;
  __syncthreads();  // an earlier use of `parts` has ended
  if (lane == kWarpSize - 1) parts[warp] = inclusive;
  __syncthreads();
  double offset = 0, all = 0;
  for (int w = 0; w < kThreads / kWarpSize; w++) {
    if (w == warp) offset = all;
    all += parts[w];
  }
  const double exclusive = __shfl_up_sync(kAllLanes, inclusive, 1);
  return {offset + (lane == 0 ? 0.0 : exclusive), offset + inclusive, all};
}

// The weights that a row is drawn by; 0 for tokens that may not be drawn. A thread owns the tokens
// from `first` to before `last`.
struct Row {
  const float* logits;
  float scale, largest;
  const uint32_t* allowed;  // null = all may
  float lightest;           // of the nucleus
  int last_lightest;        // of the tokens that weigh just that, the last one in it
  int vocabulary, first, last;

  __device__ bool allows(int j) const {
    return allowed == nullptr || (allowed[j / 32] >> (j % 32) & 1) != 0;
  }
  // Rounded before anything is subtracted, as on the CPU: fused with it, the largest logit would not
  // weigh 1.
  __device__ float scaled(float logit) const { return __fmul_rn(logit, scale); }
  __device__ float weight(int j) const { return weight(j, logits[j]); }
  __device__ float weight(int j, float logit) const {
    if (!allows(j)) return 0;
    const float weight = expf(scaled(logit) - largest);
    return weight < lightest || (weight == lightest && j > last_lightest) ? 0 : weight;
  }
  // Calls body(token, weight) for this thread's tokens, in their order, reading four at a time.
  template <class Body>
  __device__ void for_own(const Body& body) const {
    for (int j = first; j < last; j += kAtOnce) {
      const Float4 four = load4(logits + j);
#pragma unroll
      for (int k = 0; k < kAtOnce; k++)
        if (j + k < last) body(j + k, weight(j + k, four.at[k]));
    }
  }
  // Of the weights of its own tokens that are at least, or more than, `bound`.
  __device__ double sum_from(float bound, bool or_equal) const {
    double sum = 0;
    for_own([&](int, float w) {
      if (w > bound || (or_equal && w == bound)) sum += double(w);
    });
    return sum;
  }
};

__device__ Best best_of_row(const Row& row) {
  Best best = {-INFINITY, row.vocabulary};
  for (int j = int(threadIdx.x); j < row.vocabulary; j += kThreads)
    if (row.allows(j)) best = better(best, {row.scaled(row.logits[j]), j});
  return best_of_block(best);
}

__device__ double block_total(double value) { return prefix_sums(value).total; }

// Leaves the heaviest tokens of the row that just hold `share` of it. The weight that bounds them is
// found by halving: positive floats are in the order of their bits.
__device__ void keep_nucleus(Row* row, double share) {
  __shared__ int last_kept;
  const double wanted = share * block_total(row->sum_from(0, true));
  uint32_t low = 0, high = bits_of(1.0f) + 1;  // the heaviest weighs 1
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    const double held = block_total(row->sum_from(float_of(middle), true));
    (held >= wanted ? low : high) = middle;
  }
  if (low == 0) return;  // all are needed
  const float lightest = float_of(low);
  const double heavier = block_total(row->sum_from(lightest, false));
  const double ties = fmax(1.0, ceil((wanted - heavier) / double(lightest)));
  double mine = 0;
  row->for_own([&](int, float weight) { mine += weight == lightest ? 1.0 : 0.0; });
  double count = prefix_sums(mine).before;
  if (threadIdx.x == 0) last_kept = row->vocabulary;
  __syncthreads();
  if (count < ties && ties <= count + mine)
    for (int j = row->first; j < row->last; j++)
      if (row->weight(j) == lightest && ++count == ties) last_kept = j;
  __syncthreads();
  row->last_lightest = last_kept;
  row->lightest = lightest;
}

// What the tokens of a thread weigh, as part of all.
struct Stretch {
  PrefixSums sums = {0, 0, 0};
  int positive = -1;  // the last token with a weight above 0
};
__device__ Stretch measure(const Row& row) {
  Stretch stretch;
  double mine = 0;
  row.for_own([&](int j, float weight) {
    mine += double(weight);
    if (weight > 0) stretch.positive = j;
  });
  stretch.sums = prefix_sums(mine);
  return stretch;
}

__global__ void __launch_bounds__(kThreads)
    sample_kernel(int vocabulary, const float* logits, int64_t ld, Draws draws, int32_t* tokens,
                  float* log_probs) {
  __shared__ int chosen;
  __shared__ int last_positive[kThreads / kWarpSize];
  const int n = int(blockIdx.x);
  const float temperature = draws.temperature[n];
  const int own = int(ceil_div(vocabulary, kThreads * kAtOnce)) * kAtOnce;
  Row row{};
  row.logits = logits + n * ld;
  row.scale = temperature == 0 || temperature == 1 ? 1.0f : 1.0f / temperature;
  row.vocabulary = vocabulary;
  row.first = int(threadIdx.x) * own;
  row.last = smaller(row.first + own, vocabulary);

  // The distribution of the model: what the log-probability is of.
  Best best = best_of_row(row);
  const float largest = row.largest = best.logit;
  bool finite = best.logit - best.logit == 0;
  Stretch stretch;
  if (finite) stretch = measure(row);
  const double total = stretch.sums.total;
  // What is drawn from.
  const bool is_limited = draws.is_limited[n] != 0;
  const bool is_cut = draws.top_p[n] < 1 && temperature != 0;
  if (finite && is_limited) {
    row.allowed = draws.allowed + n * ((int64_t(vocabulary) + 31) / 32);
    best = best_of_row(row);
    row.largest = best.logit;
    finite = best.logit - best.logit == 0;
  }
  if (finite && is_cut) keep_nucleus(&row, draws.top_p[n]);
  if (finite && (is_limited || is_cut)) stretch = measure(row);

  const double target = draws.uniform[n] * stretch.sums.total;
  const int furthest = int(over_warp<Largest>(float(stretch.positive)));  // exact below 2^24
  if (threadIdx.x == 0) chosen = -1;
  if (threadIdx.x % kWarpSize == 0) last_positive[threadIdx.x / kWarpSize] = furthest;
  __syncthreads();
  // Exactly one stretch holds the target, unless roundings push it past all.
  if (finite && stretch.sums.before <= target && target < stretch.sums.through) {
    double sum = stretch.sums.before;
    int found = -1;
    for (int j = row.first; j < row.last; j++) {
      const float weight = row.weight(j);
      sum += double(weight);
      if (weight > 0) found = j;
      if (sum > target && found >= 0) break;
    }
    chosen = found;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  if (!finite) {
    tokens[n] = -1;
    log_probs[n] = 0;
    return;
  }
  int token = chosen;
  for (int warp = kThreads / kWarpSize - 1; token < 0 && warp >= 0; warp--)
    token = last_positive[warp];
  if (temperature == 0) token = best.token;
  tokens[n] = token;
  log_probs[n] = float(double(row.scaled(row.logits[token])) - double(largest) - log(total));
}

}  // namespace

void sample(Stream& stream, int rows, int vocabulary, const float* logits, int64_t ld,
            const Draws& draws, int32_t* tokens, float* log_probs) {
  require(vocabulary > 0 && vocabulary <= ld && vocabulary < 1 << 24, "sample",
          "a vocabulary of at most ld and below 2^24", vocabulary);
  require(ld % kAtOnce == 0, "sample", "rows a multiple of 4 logits apart", ld);
  launch(stream, "sample", sample_kernel, {rows}, kThreads, 0, vocabulary, logits, ld, draws,
         tokens, log_probs);
}

}  // namespace masksearch::cuda
