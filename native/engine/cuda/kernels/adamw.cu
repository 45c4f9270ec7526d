// Gradient norm and AdamW, flat over the arena in spans. The norm stays on the device, so that the
// host does not wait between the two.
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    squares_kernel(const Span* span, const float* gradients, double* partials) {
  const Span mine = span[blockIdx.x];
  const float* g = gradients + mine.offset;
  float sum = 0;
  for (int i = int(threadIdx.x) * 4; i < mine.count; i += kThreads * 4) {
    if (i + 4 <= mine.count) {
      const Float4 v = load4(g + i);
      for (int j = 0; j < 4; j++) sum += v.at[j] * v.at[j];
    } else {
      for (int j = i; j < mine.count; j++) sum += g[j] * g[j];
    }
  }
  const double total = over_block<Sum<double>, double, kThreads>(double(sum));
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

// One block: every thread adds every kThreads-th partial, then the threads as a tree.
__global__ void __launch_bounds__(kThreads)
    norm_kernel(int spans, const double* partials, double* norm) {
  double sum = 0;
  for (int i = int(threadIdx.x); i < spans; i += kThreads) sum += partials[i];
  const double total = over_block<Sum<double>, double, kThreads>(sum);
  if (threadIdx.x == 0) norm[0] = sqrt(total);
}

struct Moments {
  float first, second;
};

// One weight. The order of operations is that of the CPU kernel.
__device__ float adamw_update(const AdamWStep& s, float keep, float weight, float gradient,
                              Moments* moments) {
  moments->first = fmaf(s.beta1, moments->first, (1 - s.beta1) * gradient);
  moments->second = fmaf(s.beta2, moments->second, (1 - s.beta2) * gradient * gradient);
  const float root = sqrtf(moments->second);
  const float update = moments->first / fmaf(root, s.second_root_correction, s.epsilon);
  return weight * keep - s.learning_rate * s.first_correction * update;
}

// Values that move as one access.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Values {
  T at[kCount];
};
template <int kCount, class T>
__device__ Values<T, kCount>& values_at(T* first) {
  return vector_at<Values<T, kCount>>(first);
}

struct Arenas {
  bf16* w;
  int16_t* rest;
  float *gradients, *m, *v;
};

// kCount weights from `first` on.
template <int kCount>
__device__ void update(const AdamWStep& s, float keep, float clip, const Arenas& a,
                       int64_t first) {
  auto w = values_at<kCount>(a.w + first);
  auto rest = values_at<kCount>(a.rest + first);
  const auto gradients = values_at<kCount>(a.gradients + first);
  auto m = values_at<kCount>(a.m + first);
  auto v = values_at<kCount>(a.v + first);
#pragma unroll
  for (int i = 0; i < kCount; i++) {
    Moments moments = {m.at[i], v.at[i]};
    const float master = joined_master({w.at[i], rest.at[i]});
    const SplitMaster next =
        split_master(adamw_update(s, keep, master, gradients.at[i] * clip, &moments));
    w.at[i] = next.weight;
    rest.at[i] = next.rest;
    m.at[i] = moments.first;
    v.at[i] = moments.second;
  }
  values_at<kCount>(a.w + first) = w;
  values_at<kCount>(a.rest + first) = rest;
  values_at<kCount>(a.m + first) = m;
  values_at<kCount>(a.v + first) = v;
  values_at<kCount>(a.gradients + first) = {};
}

__global__ void __launch_bounds__(kThreads)
    adamw_kernel(const Span* span, const AdamWStep* step, const double* norm, Arenas arenas) {
  const AdamWStep s = *step;
  const double length = norm[0];
  if (!(length - length == 0)) return;  // not finite
  double clip = 1;
  if (s.max_gradient_norm > 0) {
    clip = s.max_gradient_norm / (length + 1e-6);
    clip = clip < 1 ? clip : 1;
  }
  const Span mine = span[blockIdx.x];
  const float keep = 1 - s.learning_rate * mine.decay;
  for (int i = int(threadIdx.x) * 8; i < mine.count; i += kThreads * 8) {
    if (i + 8 <= mine.count) {
      update<8>(s, keep, float(clip), arenas, mine.offset + i);
    } else {
      for (int j = i; j < mine.count; j++)
        update<1>(s, keep, float(clip), arenas, mine.offset + j);
    }
  }
}

}  // namespace

void gradient_norm(Stream& stream, int spans, const Span* span, const float* gradients,
                   double* partials, double* norm) {
  require(spans > 0, "gradient_norm", "at least one span", spans);
  launch(stream, "gradient_norm", squares_kernel, {spans}, kThreads, 0, span, gradients, partials);
  launch(stream, "gradient_norm", norm_kernel, {1}, kThreads, 0, spans, partials, norm);
}

void adamw(Stream& stream, int spans, const Span* span, const AdamWStep* step, const double* norm,
           bf16* w, int16_t* rest, float* gradients, float* m, float* v) {
  require(spans > 0, "adamw", "at least one span", spans);
  launch(stream, "adamw", adamw_kernel, {spans}, kThreads, 0, span, step, norm,
         Arenas{w, rest, gradients, m, v});
}

}  // namespace masksearch::cuda
