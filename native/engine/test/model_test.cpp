// The whole model against the float64 reference.
#include "fixtures.h"
#include "reference.h"

using namespace masksearch;
using namespace test;

namespace {

// float32 sums of n terms err by about sqrt(n) roundings of 6e-8; the deepest chain here has a few
// thousand, relative to the largest value of the tensor.
constexpr double kBound = 2e-5;

void compare(const Shape& shape, const TokenLoss& loss, bool all_labels) {
  Fixture f = make_fixture(shape, 11, 2, all_labels);
  const Batch batch = f.batch();
  const size_t count = f.model->parameter_count();
  const float* w = f.model->weights();
  const ReferenceResult expected =
      reference(shape.config, f.model->parameters(), std::vector<double>(w, w + count), batch, loss);
  std::vector<float> log_probs(batch.token_count), entropies(batch.token_count);
  const AccumulateResult result =
      f.model->accumulate(batch, loss, log_probs.data(), entropies.data());
  const std::string what = shape.why;
  CHECK_NEAR(what + ": loss", &result.loss, &expected.loss, 1, std::fabs(expected.loss) + 1, kBound);
  CHECK_NEAR(what + ": log-probabilities", log_probs.data(), expected.log_probs.data(),
             log_probs.size(), 1, kBound);
  CHECK_NEAR(what + ": entropies", entropies.data(), expected.entropies.data(), entropies.size(), 1,
             kBound);
  for (const Parameter& p : f.model->parameters()) {
    double largest = 1e-3;
    for (size_t i = 0; i < p.count; i++)
      largest = std::max(largest, std::fabs(expected.gradients[p.offset + i]));
    CHECK_NEAR(what + ": gradient of " + p.name, f.model->gradients() + p.offset,
               expected.gradients.data() + p.offset, p.count, largest, kBound);
  }
}

TEST("forward and gradients equal the float64 reference on the shape grid") {
  for (const Shape& shape : shape_grid()) {
    TokenLoss loss{LossKind::cross_entropy};
    loss.scale = 0.1;
    compare(shape, loss, true);
    compare(shape, loss, false);
  }
}

}  // namespace
