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

__global__ void __launch_bounds__(kThreads)
    adamw_kernel(const Span* span, AdamWStep s, const double* norm, bf16* w, int16_t* rest,
                 float* gradients, float* m, float* v) {
  const double length = norm[0];
  if (!(length - length == 0)) return;  // not finite
  double clip = 1;
  if (s.max_gradient_norm > 0) {
    clip = s.max_gradient_norm / (length + 1e-6);
    clip = clip < 1 ? clip : 1;
  }
  const Span mine = span[blockIdx.x];
  const float keep = 1 - s.learning_rate * mine.decay;
  for (int i = int(threadIdx.x); i < mine.count; i += kThreads) {
    const int64_t at = mine.offset + i;
    Moments moments = {m[at], v[at]};
    const float master = joined_master({w[at], rest[at]});
    const SplitMaster next =
        split_master(adamw_update(s, keep, master, gradients[at] * float(clip), &moments));
    w[at] = next.weight;
    rest[at] = next.rest;
    m[at] = moments.first;
    v[at] = moments.second;
    gradients[at] = 0;
  }
}

}  // namespace

void gradient_norm(Stream& stream, int spans, const Span* span, const float* gradients,
                   double* partials, double* norm) {
  require(spans > 0, "gradient_norm", "at least one span", spans);
  launch(stream, "gradient_norm", squares_kernel, {spans}, kThreads, 0, span, gradients, partials);
  launch(stream, "gradient_norm", norm_kernel, {1}, kThreads, 0, spans, partials, norm);
}

void adamw(Stream& stream, int spans, const Span* span, const AdamWStep& step, const double* norm,
           bf16* w, int16_t* rest, float* gradients, float* m, float* v) {
  require(spans > 0, "adamw", "at least one span", spans);
  launch(stream, "adamw", adamw_kernel, {spans}, kThreads, 0, span, step, norm, w, rest, gradients,
         m, v);
}

}  // namespace masksearch::cuda
