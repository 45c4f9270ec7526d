// Adapters against the float64 reference: the merged model's gradients, projected on A and B.
#include "fixtures.h"
#include "reference.h"

using namespace masksearch;
using namespace test;

namespace {

// A fixture whose model has an adapter with random A and B.
Fixture make_adapted(const Shape& shape, const LoraConfig& lora, int threads,
                     DataType type = DataType::float32) {
  Fixture f = make_fixture(shape, 91, threads, true);
  f.model = std::make_unique<Model>(shape.config, threads, lora, type);
  fill_weights(f.model.get(), 91);
  Random random(92);
  float* weights = f.model->trained_weights();
  for (size_t i = 0; i < f.model->trained_count(); i++) weights[i] = float(0.1 * random.normal());
  return f;
}

const Parameter& find(const std::vector<Parameter>& all, const std::string& name) {
  for (const Parameter& p : all)
    if (p.name == name) return p;
  throw std::runtime_error("no parameter " + name);
}

struct Adapted {
  const Parameter *base, *a, *b;
  int inputs, outputs;
};

std::vector<Adapted> adapted_matrices(const Model& model) {
  const std::vector<Parameter>& trained = model.trained_parameters();
  std::vector<Adapted> all;
  for (size_t i = 0; i < trained.size(); i += 2) {
    const std::string prefix = "base_model.model.";
    const std::string end = ".lora_A.weight";
    const std::string& name = trained[i].name;
    const std::string base =
        name.substr(prefix.size(), name.size() - prefix.size() - end.size()) + ".weight";
    all.push_back({&find(model.parameters(), base), &trained[i], &trained[i + 1],
                   trained[i].shape[1], trained[i + 1].shape[0]});
  }
  return all;
}

struct Outputs {
  std::vector<float> log_probs, entropies;
  double loss = 0;
};

TokenLoss cross_entropy() {
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 0.1;
  return loss;
}

Outputs run(Fixture* f) {
  Outputs o;
  o.log_probs.resize(f->tokens.size());
  o.entropies.resize(f->tokens.size());
  o.loss =
      f->model->accumulate(f->batch(), cross_entropy(), o.log_probs.data(), o.entropies.data()).loss;
  return o;
}

// Largest error of a log-probability, and of a gradient relative to the matrix's largest.
struct Bounds {
  double log_prob, gradient;
};
constexpr Bounds kFloatBounds{2e-5, 4e-5};
// Three times the root mean square that bfloat16_test.cpp allows for three layers.
constexpr Bounds kBfloatBounds{0.25, 0.25};

void compare(const Shape& shape, const LoraConfig& lora, DataType type) {
  const Bounds bounds = type == DataType::float32 ? kFloatBounds : kBfloatBounds;
  Fixture f = make_adapted(shape, lora, 2, type);
  Model& model = *f.model;
  const int r = lora.rank;
  const double scale = lora.alpha / r;
  const float* w = model.weights();
  const float* adapter = model.trained_weights();
  std::vector<double> merged(w, w + model.parameter_count());
  for (const Adapted& m : adapted_matrices(model))
    for (int o = 0; o < m.outputs; o++)
      for (int i = 0; i < m.inputs; i++)
        for (int k = 0; k < r; k++)
          merged[m.base->offset + size_t(o) * m.inputs + i] +=
              scale * adapter[m.b->offset + size_t(o) * r + k] *
              adapter[m.a->offset + size_t(k) * m.inputs + i];
  const ReferenceResult expected =
      reference(shape.config, model.parameters(), merged, f.batch(), cross_entropy());
  const Outputs actual = run(&f);
  const std::string what = shape.why;
  CHECK_NEAR(what + ": log-probabilities", actual.log_probs.data(), expected.log_probs.data(),
             f.tokens.size(), 1, bounds.log_prob);
  for (const Adapted& m : adapted_matrices(model)) {
    std::vector<double> d_a(m.a->count, 0.0), d_b(m.b->count, 0.0);
    double largest = 1e-3;
    for (int o = 0; o < m.outputs; o++)
      for (int i = 0; i < m.inputs; i++)
        for (int k = 0; k < r; k++) {
          const double d = scale * expected.gradients[m.base->offset + size_t(o) * m.inputs + i];
          d_a[size_t(k) * m.inputs + i] += d * adapter[m.b->offset + size_t(o) * r + k];
          d_b[size_t(o) * r + k] += d * adapter[m.a->offset + size_t(k) * m.inputs + i];
        }
    for (double d : d_a) largest = std::max(largest, std::fabs(d));
    for (double d : d_b) largest = std::max(largest, std::fabs(d));
    CHECK_NEAR(what + ": " + m.a->name, model.gradients() + m.a->offset, d_a.data(), d_a.size(),
               largest, bounds.gradient);
    CHECK_NEAR(what + ": " + m.b->name, model.gradients() + m.b->offset, d_b.data(), d_b.size(),
               largest, bounds.gradient);
  }
}

TEST("adapters equal the float64 reference of the merged model on the shape grid") {
  for (DataType type : {DataType::float32, DataType::bfloat16})
    for (const Shape& shape : shape_grid()) {
      compare(shape, lora_config(4, kAllTargets), type);
      compare(shape, lora_config(1, {kValue, kDown}), type);
    }
}

const DecoderConfig kConfig{50, 32, 2, 4, 2, 16, 48, 10000.0, 1e-6, 512, true, true};
const Shape kShape{"", kConfig, {40, 7, 130}};

void is_the_frozen_model(DataType type, const std::string& name) {
  Fixture frozen = make_fixture(kShape, 91, 2, true, type);
  const Outputs expected = run(&frozen);
  Fixture f = make_adapted(kShape, lora_config(33, kAllTargets), 2, type);
  std::vector<float> log_probs(f.tokens.size()), entropies(f.tokens.size());
  f.model->score(f.batch(), log_probs.data(), entropies.data(), AdapterUse::off);
  CHECK_SAME_BITS(name + " off", log_probs.data(), expected.log_probs.data(), log_probs.size());
  f.model->score(f.batch(), log_probs.data(), entropies.data());
  const Outputs with = run(&f);
  CHECK_SAME_BITS(name + " on", log_probs.data(), with.log_probs.data(), log_probs.size());
  CHECK(with.log_probs != expected.log_probs);
  for (const Adapted& m : adapted_matrices(*f.model))
    std::fill_n(f.model->trained_weights() + m.b->offset, m.b->count, 0.0f);
  f.model->score(f.batch(), log_probs.data(), entropies.data());
  CHECK_NEAR(name + " zero B", log_probs.data(), expected.log_probs.data(), log_probs.size(), 1, 0);
  CHECK_THROWS(std::invalid_argument, "adapter to switch off",
               frozen.model->score(f.batch(), log_probs.data(), entropies.data(), AdapterUse::off));
}

TEST("an adapter that is off, or whose B is zero, is the frozen model bit for bit") {
  each_storage(is_the_frozen_model);
}

void only_the_adapter_changes(DataType type, const std::string& name) {
  Fixture one = make_adapted(kShape, lora_config(5, kAllTargets, 0.25), 1, type);
  Fixture many = make_adapted(kShape, lora_config(5, kAllTargets, 0.25), 3, type);
  const size_t count = one.model->parameter_count();
  const std::vector<float> before(one.model->weights(), one.model->weights() + count);
  for (int step = 0; step < 3; step++) {
    const Outputs a = run(&one), b = run(&many);
    CHECK_SAME_BITS(name + " log_probs", a.log_probs.data(), b.log_probs.data(), a.log_probs.size());
    CHECK_SAME_BITS(name + " gradients", one.model->gradients(), many.model->gradients(),
                    one.model->trained_count());
    CHECK(one.model->step({1e-2}) == many.model->step({1e-2}));
    CHECK_SAME_BITS(name + " adapter", one.model->trained_weights(), many.model->trained_weights(),
                    one.model->trained_count());
  }
  CHECK_SAME_BITS(name + " frozen", one.model->weights(), before.data(), count);

  Sampler sampler(*one.model, 2, 64);
  const int handle = sampler.open(one.tokens.data(), 7, 1, 2);
  sampler.generate(handle, {20, {}, 1, 0});
  std::vector<Generated> finished;
  while (sampler.step(&finished)) {
  }
  std::vector<int32_t> tokens(one.tokens.begin(), one.tokens.begin() + 7);
  tokens.insert(tokens.end(), finished.at(0).tokens.begin(), finished.at(0).tokens.end());
  std::vector<uint8_t> mask(tokens.size(), 1);
  mask[0] = 0;
  const int32_t offsets[] = {0, int32_t(tokens.size())};
  std::vector<float> log_probs(tokens.size()), entropies(tokens.size());
  one.model->score({tokens.data(), offsets, mask.data(), int(tokens.size()), 1}, log_probs.data(),
                   entropies.data());
  CHECK_SAME_BITS(name + " sampled", finished.at(0).log_probs.data(), log_probs.data() + 7, 20);
}

TEST("only the adapter changes, whatever the number of threads; sampled log-probabilities equal score") {
  each_storage(only_the_adapter_changes);
}

// The directional derivative along the gradient, with the same masks in every call: dropout is a
// function of (seed, step, call), and set_version starts the calls anew.
TEST("dropout: gradients equal central differences; other steps, calls and seeds drop others") {
  Fixture f = make_adapted(kShape, lora_config(3, kAllTargets, 0.5), 2);
  const size_t count = f.model->trained_count();
  const double loss = run(&f).loss;
  const std::vector<float> gradient(f.model->gradients(), f.model->gradients() + count);
  double squares = 0;
  for (float g : gradient) squares += double(g) * g;
  const std::vector<float> start(f.model->trained_weights(), f.model->trained_weights() + count);
  const double h = 5e-4 / std::sqrt(squares);
  double losses[2];
  for (int side = 0; side < 2; side++) {
    float* weights = f.model->trained_weights();
    for (size_t i = 0; i < count; i++)
      weights[i] = float(start[i] + (side == 0 ? h : -h) * gradient[i]);
    f.model->set_version(0);
    losses[side] = run(&f).loss;
  }
  const double derivative = (losses[0] - losses[1]) / (2 * h);
  CHECK_NEAR("derivative", &derivative, &squares, 1, squares, 5e-3);

  std::copy(start.begin(), start.end(), f.model->trained_weights());
  f.model->set_version(0);
  CHECK(run(&f).loss == loss);
  CHECK(run(&f).loss != loss);
  f.model->set_version(1);
  CHECK(run(&f).loss != loss);
}

// What a layer keeps for its backward pass has the size of the pass that was trained.
TEST("scoring more tokens than were trained before gives the bits of a fresh model") {
  const Shape few{"", kConfig, {2}};
  Shape many{"", kConfig, {500, 60}};
  many.config.query_key_norm = true;
  each_storage([&](DataType type, const std::string& name) {
    Fixture fresh = make_adapted(many, lora_config(3, kAllTargets), 2, type);
    Fixture trained = make_adapted(many, lora_config(3, kAllTargets), 2, type);
    Fixture start = make_fixture(few, 7, 1, true);
    std::vector<float> unused(start.tokens.size());
    trained.model->accumulate(start.batch(), cross_entropy(), unused.data(), unused.data());
    const auto score = [](const Fixture& f) {
      std::vector<float> scores(2 * f.tokens.size());
      f.model->score(f.batch(), scores.data(), scores.data() + f.tokens.size());
      return scores;
    };
    const std::vector<float> expected = score(fresh), actual = score(trained);
    CHECK_SAME_BITS(name, actual.data(), expected.data(), actual.size());
  });
}

TEST("adapters that cannot be are refused by name") {
  const auto make = [](const LoraConfig& lora) { Model model(kConfig, 1, lora); };
  LoraConfig lora = lora_config(2, kAllTargets);
  lora.rank = -1;
  CHECK_THROWS(std::invalid_argument, "lora.rank", make(lora));
  lora = lora_config(2, {});
  CHECK_THROWS(std::invalid_argument, "at least one lora target", make(lora));
  lora = lora_config(2, kAllTargets, 1);
  CHECK_THROWS(std::invalid_argument, "lora.dropout", make(lora));
  lora = lora_config(2, kAllTargets);
  lora.alpha = NAN;
  CHECK_THROWS(std::invalid_argument, "lora.alpha", make(lora));
}

}  // namespace
