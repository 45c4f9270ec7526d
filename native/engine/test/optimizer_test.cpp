// AdamW and clipping against PyTorch's formula in float64.
#include "fixtures.h"

using namespace masksearch;
using namespace test;

namespace {

const DecoderConfig kConfig{37, 16, 2, 2, 1, 8, 20, 10000.0, 1e-6, 64, true, false};

TEST("adamw equals the formula in float64 over several steps, decays only matrices of layers") {
  Model model(kConfig, 2);
  fill_weights(&model, 61);
  const size_t n = model.parameter_count();
  std::vector<double> w(model.weights(), model.weights() + n), m(n, 0.0), v(n, 0.0);
  std::vector<bool> decayed(n);
  for (const Parameter& p : model.parameters()) {
    const bool expected = p.shape.size() == 2 && p.name.find("layers") != std::string::npos;
    CHECK(p.decayed == expected);
    for (size_t i = 0; i < p.count; i++) decayed[p.offset + i] = p.decayed;
  }
  AdamW o{3e-3};
  o.weight_decay = 0.1;
  o.max_gradient_norm = 1;
  Random random(62);
  for (int step = 1; step <= 5; step++) {
    const std::vector<float> g = random.normals(n, step % 2 == 0 ? 1e-3 : 0.5);
    std::copy(g.begin(), g.end(), model.gradients());
    double squares = 0;
    for (float x : g) squares += double(x) * x;
    const double norm = std::sqrt(squares);
    const double scale = std::min(1.0, o.max_gradient_norm / (norm + 1e-6));
    for (size_t i = 0; i < n; i++) {
      const double d = g[i] * scale;
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * d;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * d * d;
      const double first = m[i] / (1 - std::pow(o.beta1, step));
      const double second = v[i] / (1 - std::pow(o.beta2, step));
      w[i] = w[i] * (1 - o.learning_rate * (decayed[i] ? o.weight_decay : 0)) -
             o.learning_rate * first / (std::sqrt(second) + o.epsilon);
    }
    const double received = model.step(o);
    CHECK_NEAR("norm", &received, &norm, 1, norm, 1e-12);
    CHECK(model.version() == step);
    for (size_t i = 0; i < n; i++) CHECK(model.gradients()[i] == 0);
  }
  // Five updates of at most 3e-3, each rounded to float32 near 1.
  CHECK_NEAR("weights", model.weights(), w.data(), n, 1, 1e-6);
  CHECK_NEAR("first moments", model.first_moments(), m.data(), n, 1e-2, 1e-5);
  CHECK_NEAR("second moments", model.second_moments(), v.data(), n, 1e-4, 1e-5);
}

TEST("gradients that are not finite are refused and leave the weights alone") {
  Model model(kConfig, 1);
  fill_weights(&model, 63);
  const std::vector<float> before(model.weights(), model.weights() + model.parameter_count());
  model.gradients()[3] = NAN;
  CHECK_THROWS(std::runtime_error, "expected finite gradients", model.step({1e-3}));
  CHECK_SAME_BITS("weights", model.weights(), before.data(), before.size());
  CHECK(model.version() == 0);
}

}  // namespace
