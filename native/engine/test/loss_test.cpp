// Losses: DAPO in all its branches, weights, callbacks; against the reference and by central
// differences.
#include <algorithm>

#include "fixtures.h"
#include "reference.h"

using namespace masksearch;
using namespace test;

namespace {

const DecoderConfig kConfig{41, 24, 2, 4, 2, 8, 28, 10000.0, 1e-5, 128, true, true};
const Shape kShape{"", kConfig, {9, 30, 2, 14}};

struct LossInputs {
  std::vector<float> weights, old_log_probs, advantages, importance;

  // Old log-probabilities near and far from the present ones reach every branch of the clip.
  LossInputs(const std::vector<float>& log_probs, uint32_t seed) {
    Random random(seed);
    const double shifts[] = {0, 0.1, -0.1, 0.5, -0.5, 2, -2, 30, -30};
    for (float log_prob : log_probs) {
      weights.push_back(float(random.uniform()));
      old_log_probs.push_back(log_prob + float(shifts[random.below(9)]));
      advantages.push_back(float(random.normal()));
      importance.push_back(float(2 * random.uniform()));
    }
  }

  TokenLoss dapo() const {
    TokenLoss loss{LossKind::dapo};
    loss.scale = 0.05;
    loss.old_log_probs = old_log_probs.data();
    loss.advantages = advantages.data();
    loss.importance_weights = importance.data();
    loss.clip_low = 0.2;
    loss.clip_high = 0.28;
    loss.dual_clip = 3;
    loss.entropy_coefficient = 0.3;
    return loss;
  }
};

std::vector<float> scored(Fixture* f) {
  std::vector<float> log_probs(f->tokens.size()), entropies(f->tokens.size());
  f->model->score(f->batch(), log_probs.data(), entropies.data());
  return log_probs;
}

double accumulate(Fixture* f, const TokenLoss& loss, AccumulateResult* result = nullptr) {
  std::vector<float> log_probs(f->tokens.size()), entropies(f->tokens.size());
  const AccumulateResult r =
      f->model->accumulate(f->batch(), loss, log_probs.data(), entropies.data());
  if (result != nullptr) *result = r;
  return r.loss;
}

void compare(const std::string& what, const TokenLoss& loss) {
  Fixture f = make_fixture(kShape, 41, 2, true);
  const size_t count = f.model->parameter_count();
  const float* w = f.model->weights();
  const ReferenceResult expected = reference(kConfig, f.model->parameters(),
                                             std::vector<double>(w, w + count), f.batch(), loss);
  const double value = accumulate(&f, loss);
  CHECK_NEAR(what + ": loss", &value, &expected.loss, 1, 1 + std::fabs(expected.loss), 2e-5);
  double largest = 0;
  for (double g : expected.gradients) largest = std::max(largest, std::fabs(g));
  CHECK_NEAR(what + ": gradients", f.model->gradients(), expected.gradients.data(), count, largest,
             2e-5);
}

TEST("dapo with clipping, dual clip, importance weights and entropy bonus equals the reference") {
  Fixture f = make_fixture(kShape, 41, 1, true);
  const LossInputs inputs(scored(&f), 42);
  compare("all options", inputs.dapo());
  TokenLoss plain = inputs.dapo();
  plain.dual_clip = 0;
  plain.entropy_coefficient = 0;
  plain.importance_weights = nullptr;
  compare("plain", plain);
  AccumulateResult result;
  accumulate(&f, plain, &result);
  int64_t low = 0, high = 0;
  const std::vector<float> log_probs = scored(&f);
  for (size_t t = 0; t < f.tokens.size(); t++) {
    if (f.mask[t] == 0) continue;
    const double ratio = std::exp(double(log_probs[t]) - inputs.old_log_probs[t]);
    low += inputs.advantages[t] < 0 && ratio < 1 - plain.clip_low;
    high += inputs.advantages[t] > 0 && ratio > 1 + plain.clip_high;
  }
  CHECK(low > 2 && high > 2);
  CHECK(result.clipped_low == low);
  CHECK(result.clipped_high == high);
}

TEST("weighted cross-entropy equals the reference") {
  Fixture f = make_fixture(kShape, 41, 1, true);
  const LossInputs inputs(scored(&f), 43);
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 0.2;
  loss.weights = inputs.weights.data();
  compare("weighted", loss);
}

TEST("at ratio 1 the dapo loss is minus the mean advantage") {
  Fixture f = make_fixture(kShape, 44, 1, true);
  LossInputs inputs(scored(&f), 45);
  inputs.old_log_probs = scored(&f);
  TokenLoss loss = inputs.dapo();
  loss.entropy_coefficient = 0;
  loss.importance_weights = nullptr;
  double expected = 0;
  for (size_t t = 0; t < f.tokens.size(); t++)
    if (f.mask[t] != 0) expected -= loss.scale * inputs.advantages[t];
  CHECK(std::fabs(accumulate(&f, loss) - expected) < 1e-12);
}

TEST("a callback loss with the built-in formula gives the built-in gradients, bit for bit") {
  Fixture built_in = make_fixture(kShape, 46, 2, false);
  Fixture custom = make_fixture(kShape, 46, 2, false);
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 0.25;
  const double expected = accumulate(&built_in, loss);
  TokenLoss callback{LossKind::custom};
  int seen = 0;
  callback.custom = [&](int n, const int32_t* positions, const float* log_probs, const float*,
                        float* d_log_probs, float*) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
      CHECK(custom.mask[positions[i]] == 1);
      sum -= 0.25 * double(log_probs[i]);
      d_log_probs[i] = -0.25f;
      seen++;
    }
    return sum;
  };
  CHECK(std::fabs(accumulate(&custom, callback) - expected) < 1e-12);
  CHECK(seen == int(std::count(custom.mask.begin(), custom.mask.end(), 1)));
  CHECK_SAME_BITS("gradients", custom.model->gradients(), built_in.model->gradients(),
                  built_in.model->parameter_count());
}

TEST("an error in a callback loss reaches the caller and the model still works") {
  Fixture f = make_fixture(kShape, 47, 2, true);
  TokenLoss callback{LossKind::custom};
  callback.custom = [](int, const int32_t*, const float*, const float*, float*, float*) -> double {
    throw std::runtime_error("from the callback");
  };
  CHECK_THROWS(std::runtime_error, "from the callback", accumulate(&f, callback));
  Fixture fresh = make_fixture(kShape, 47, 2, true);
  const std::vector<float> a = scored(&f), b = scored(&fresh);
  CHECK_SAME_BITS("score", a.data(), b.data(), a.size());
}

// The reference's own gradients against differences of its loss: the oracle is checked too.
TEST("the float64 reference's gradients equal central differences") {
  Fixture f = make_fixture(kShape, 48, 1, true);
  const LossInputs inputs(scored(&f), 49);
  const TokenLoss loss = inputs.dapo();
  const std::vector<Parameter>& parameters = f.model->parameters();
  const float* w = f.model->weights();
  std::vector<double> weights(w, w + f.model->parameter_count());
  const ReferenceResult at = reference(kConfig, parameters, weights, f.batch(), loss);
  Random random(50);
  constexpr double kStep = 1e-6;
  for (const Parameter& p : parameters) {
    const size_t i = p.offset + size_t(random.below(int(p.count)));
    const double kept = weights[i];
    weights[i] = kept + kStep;
    const double above = reference(kConfig, parameters, weights, f.batch(), loss).loss;
    weights[i] = kept - kStep;
    const double below = reference(kConfig, parameters, weights, f.batch(), loss).loss;
    weights[i] = kept;
    const double difference = (above - below) / (2 * kStep);
    CHECK_NEAR(p.name, &at.gradients[i], &difference, 1, 1 + std::fabs(difference), 1e-6);
  }
}

TEST("a batch without labels costs nothing and changes nothing") {
  Fixture f = make_fixture(kShape, 51, 1, true);
  std::fill(f.mask.begin(), f.mask.end(), uint8_t(0));
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 1;
  CHECK(accumulate(&f, loss) == 0);
  const float* g = f.model->gradients();
  CHECK(std::all_of(g, g + f.model->parameter_count(), [](float x) { return x == 0; }));
}

}  // namespace
