// The split master, the gradient norm and AdamW on the device against the CPU kernel.
#include <cmath>

#include "cuda_kernels.h"
#include "device_array.h"
#include "kernels.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

struct Arena {
  std::vector<float> weights, gradients, m, v;
  std::vector<cuda::Span> spans;
};

// Spans of a whole, an odd and a single value, with and without decay.
Arena make_arena(uint32_t seed) {
  Random random(seed);
  Arena a;
  int64_t offset = 0;
  for (const int32_t count : {cuda::kSpanValues, 4096, 1003}) {
    a.spans.push_back({offset, count, offset == 4096 + cuda::kSpanValues ? 0.0f : 0.1f});
    offset += count;
  }
  const size_t n = size_t(offset);
  a.weights = random.normals(n, 0.02);
  a.gradients = random.normals(n, 0.001);
  a.m = random.normals(n, 0.001);
  a.v = random.normals(n, 0.001);
  for (float& value : a.v) value = value * value;
  return a;
}

}  // namespace

TEST("split master: every float comes back, and the bfloat16 is the nearest") {
  Random random(1);
  for (int i = 0; i < 200000; i++) {
    const uint32_t bits = uint32_t(random.uniform() * 4294967296.0);
    const float x = cuda::float_of(bits);
    if (!std::isfinite(x) || std::fabs(x) > 3.3e38f) continue;
    const cuda::SplitMaster parts = cuda::split_master(x);
    CHECK(cuda::bits_of(cuda::joined_master(parts)) == bits);
    CHECK(std::fabs(cuda::to_float(parts.weight) - x) <= std::fabs(cuda::to_float(cuda::to_bfloat16(x)) - x));
  }
}

TEST("gradient_norm: as a float64 sum, and the same twice") {
  const Arena a = make_arena(2);
  double sum = 0;
  for (const float g : a.gradients) sum += double(g) * g;
  DeviceArray<cuda::Span> spans(a.spans);
  DeviceArray<float> gradients(a.gradients);
  DeviceArray<double> partials(a.spans.size()), norm(size_t(1));
  cuda::gradient_norm(stream(), int(a.spans.size()), spans.data(), gradients.data(),
                      partials.data(), norm.data());
  const double first = norm.read()[0];
  CHECK_WITHIN("norm", std::vector<double>{first}, std::vector<double>{std::sqrt(sum)}, 0, 1e-6);
  cuda::gradient_norm(stream(), int(a.spans.size()), spans.data(), gradients.data(),
                      partials.data(), norm.data());
  CHECK(norm.read()[0] == first);
}

TEST("adamw: ten clipped steps follow the float32 master, gradients become 0") {
  Arena a = make_arena(3);
  const size_t n = a.weights.size();
  std::vector<bfloat16> w(n);
  std::vector<int16_t> rest(n);
  for (size_t i = 0; i < n; i++) {
    const cuda::SplitMaster parts = cuda::split_master(a.weights[i]);
    w[i] = parts.weight;
    rest[i] = parts.rest;
  }
  const std::vector<float> gradients = a.gradients;
  DeviceArray<cuda::Span> spans(a.spans);
  DeviceArray<bfloat16> gw(w);
  DeviceArray<int16_t> grest(rest);
  DeviceArray<float> gm(a.m), gv(a.v);
  DeviceArray<double> partials(a.spans.size()), norm(size_t(1));
  for (int step = 1; step <= 10; step++) {
    DeviceArray<float> g(gradients);
    cuda::gradient_norm(stream(), int(a.spans.size()), spans.data(), g.data(), partials.data(),
                        norm.data());
    const double length = norm.read()[0];
    const cuda::AdamWStep s = {1e-3f, 0.9f, 0.95f, 1e-8f,
                               float(1 / (1 - std::pow(0.9, step))),
                               float(1 / std::sqrt(1 - std::pow(0.95, step))), 0.01};
    const DeviceArray<cuda::AdamWStep> gs({s});
    cuda::adamw(stream(), int(a.spans.size()), spans.data(), gs.data(), norm.data(), gw.data(),
                grest.data(), g.data(), gm.data(), gv.data());
    CHECK_WITHIN("gradients", g.read(), std::vector<float>(n), 0, 0);
    a.gradients = gradients;
    for (const cuda::Span& span : a.spans) {
      const masksearch::AdamWStep cpu = {s.learning_rate, s.beta1, s.beta2, s.epsilon, span.decay,
                                         float(std::min(1.0, 0.01 / (length + 1e-6))),
                                         s.first_correction, s.second_root_correction};
      masksearch::default_kernels().adamw(size_t(span.count), cpu, a.weights.data() + span.offset,
                                          a.gradients.data() + span.offset,
                                          a.m.data() + span.offset, a.v.data() + span.offset);
    }
  }
  std::vector<float> masters(n);
  const auto got_w = gw.read();
  const auto got_rest = grest.read();
  for (size_t i = 0; i < n; i++) masters[i] = cuda::joined_master({got_w[i], got_rest[i]});
  // ten updates of at most 1e-3, each right to a few units in the last place
  CHECK_WITHIN("masters", masters, a.weights, 1e-8, 1e-6);
  CHECK_WITHIN("first moments", gm.read(), a.m, 1e-12, 1e-5);
  CHECK_WITHIN("second moments", gv.read(), a.v, 1e-14, 1e-5);
}

TEST("adamw: a norm that is not finite changes nothing") {
  DeviceArray<cuda::Span> spans(std::vector<cuda::Span>{{0, 8, 0}});
  DeviceArray<bfloat16> w(rounded(std::vector<float>(8, 1.0f)));
  DeviceArray<int16_t> rest(size_t(8));
  DeviceArray<float> g(std::vector<float>{1, 2, NAN, 4, 5, 6, 7, 8}), m(size_t(8)), v(size_t(8));
  DeviceArray<double> partials(size_t(1)), norm(size_t(1));
  cuda::gradient_norm(stream(), 1, spans.data(), g.data(), partials.data(), norm.data());
  CHECK(std::isnan(norm.read()[0]));
  const DeviceArray<cuda::AdamWStep> s({{0.1f, 0.9f, 0.95f, 1e-8f, 1, 1, 1}});
  cuda::adamw(stream(), 1, spans.data(), s.data(), norm.data(),
              w.data(), rest.data(), g.data(), m.data(), v.data());
  CHECK_WITHIN("weights", widened(w.read()), std::vector<float>(8, 1.0f), 0, 0);
  CHECK(g.read()[7] == 8);
}
