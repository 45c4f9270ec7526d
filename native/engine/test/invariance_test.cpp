// Bit equality: whatever is in the batch, however many threads, whichever instruction level, and
// whether a token was scored or sampled.
#include <algorithm>
#include <map>

#include "fixtures.h"
#include "kernels.h"

using namespace masksearch;
using namespace test;

namespace {

// The default model's proportions, with more heads per key head than rows in no tile.
const DecoderConfig kConfig{150, 48, 2, 6, 2, 16, 72, 1e6, 1e-6, 600, true, true};

struct Outputs {
  std::vector<float> log_probs, entropies, gradients;
  double loss = 0;
};

TokenLoss cross_entropy() {
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 0.01;
  return loss;
}

Outputs run(Fixture* f) {
  const Batch batch = f->batch();
  Outputs o;
  o.log_probs.resize(f->tokens.size());
  o.entropies.resize(f->tokens.size());
  o.loss = f->model->accumulate(batch, cross_entropy(), o.log_probs.data(), o.entropies.data()).loss;
  o.gradients.assign(f->model->gradients(),
                     f->model->gradients() + f->model->parameter_count());
  return o;
}

void same(const std::string& what, const Outputs& a, const Outputs& b) {
  CHECK(a.loss == b.loss);
  CHECK_SAME_BITS(what + " log_probs", a.log_probs.data(), b.log_probs.data(), a.log_probs.size());
  CHECK_SAME_BITS(what + " entropies", a.entropies.data(), b.entropies.data(), a.entropies.size());
  CHECK_SAME_BITS(what + " gradients", a.gradients.data(), b.gradients.data(), a.gradients.size());
}

TEST("log-probabilities of packed sequences equal those one by one, bit for bit") {
  const Shape shape{"mixed lengths", kConfig, {300, 1, 2, 45, 14, 97, 500, 64}};
  each_storage([&](DataType type, const std::string& name) {
    Fixture packed = make_fixture(shape, 21, 2, true, type);
    const Outputs together = run(&packed);
    for (size_t s = 0; s < shape.lengths.size(); s++) {
      Fixture one = make_fixture({"", kConfig, {}}, 21, 1, true, type);
      const int first = packed.offsets[s], last = packed.offsets[s + 1];
      one.tokens.assign(packed.tokens.begin() + first, packed.tokens.begin() + last);
      one.mask.assign(packed.mask.begin() + first, packed.mask.begin() + last);
      one.offsets = {0, last - first};
      const Outputs alone = run(&one);
      CHECK_SAME_BITS(name + " sequence " + std::to_string(s), alone.log_probs.data(),
                      together.log_probs.data() + first, alone.log_probs.size());
    }
  });
}

TEST("gradients of one batch equal those of its sequences accumulated in order, untied, bit for bit") {
  DecoderConfig config = kConfig;
  config.tied_embeddings = false;
  const Shape shape{"", config, {40, 7, 90}};
  Fixture packed = make_fixture(shape, 22, 2, true);
  const Outputs together = run(&packed);
  Fixture apart = make_fixture({"", config, {}}, 22, 1, true);
  for (size_t s = 0; s < shape.lengths.size(); s++) {
    const int first = packed.offsets[s], last = packed.offsets[s + 1];
    apart.tokens.assign(packed.tokens.begin() + first, packed.tokens.begin() + last);
    apart.mask.assign(packed.mask.begin() + first, packed.mask.begin() + last);
    apart.offsets = {0, last - first};
    run(&apart);
  }
  CHECK_SAME_BITS("gradients", apart.model->gradients(), together.gradients.data(),
                  together.gradients.size());
}

TEST("results and updated weights do not depend on the number of threads") {
  const Shape shape{"", kConfig, {200, 33, 1, 120}};
  each_storage([&](DataType type, const std::string& name) {
    Fixture one = make_fixture(shape, 23, 1, false, type);
    const Outputs expected = run(&one);
    AdamW options{1e-2};
    options.max_gradient_norm = 0.1;
    options.weight_decay = 0.1;
    const double norm = one.model->step(options);
    for (int threads : {2, 3, 5}) {
      Fixture many = make_fixture(shape, 23, threads, false, type);
      same(name + " " + std::to_string(threads) + " threads", run(&many), expected);
      CHECK(many.model->step(options) == norm);
      CHECK_SAME_BITS("weights", many.model->weights(), one.model->weights(),
                      one.model->parameter_count());
    }
  });
}

TEST("levels without instructions for bfloat16 give the same bits, in either storage") {
  for (DataType type : {DataType::float32, DataType::bfloat16}) {
    for (const Shape& shape : shape_grid()) {
      set_default_level(Level::generic, type);
      Fixture f = make_fixture(shape, 24, 1, false, type);
      const Outputs expected = run(&f);
      f.model->step({1e-3});
      for (Level level : levels(type)) {
        if (level > Level::avx512) continue;
        set_default_level(level, type);
        Fixture other = make_fixture(shape, 24, 1, false, type);
        same(std::string(shape.why) + " " + kernels_of(level, type).name, run(&other), expected);
        other.model->step({1e-3});
        CHECK_SAME_BITS("weights", other.model->weights(), f.model->weights(),
                        f.model->parameter_count());
      }
    }
    set_default_level(best_level(type), type);
  }
}

TEST("accumulate and score agree, and a second run repeats the first") {
  std::vector<Shape> shapes = shape_grid();
  shapes.push_back({"", kConfig, {90, 3, 250}});
  each_storage([&](DataType type, const std::string& name) {
    for (const Shape& shape : shapes) {
      Fixture f = make_fixture(shape, 25, 2, false, type);
      const Outputs first = run(&f);
      const std::string what = name + " " + shape.why;
      std::vector<float> log_probs(f.tokens.size()), entropies(f.tokens.size());
      f.model->score(f.batch(), log_probs.data(), entropies.data());
      CHECK_SAME_BITS(what + " log_probs", log_probs.data(), first.log_probs.data(),
                      log_probs.size());
      CHECK_SAME_BITS(what + " entropies", entropies.data(), first.entropies.data(),
                      entropies.size());
      std::fill_n(f.model->gradients(), f.model->parameter_count(), 0.0f);
      same(what + " again", run(&f), first);
    }
  });
}

// One conversation: prompt, then turns of sampled tokens with appended tool tokens between them.
struct Conversation {
  int handle = -1;
  std::vector<int32_t> tokens;
  std::map<int, float> sampled;  // position -> log-probability
  int turns = 0;
};

std::vector<int32_t> random_tokens(Random* random, int count) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; i++) tokens.push_back(random->below(kConfig.vocabulary_size));
  return tokens;
}

// Plays `count` conversations, at most `together` at once, and returns them.
std::vector<Conversation> play(Model* model, int count, int together, uint32_t seed,
                               float temperature) {
  Sampler sampler(*model, together, 600);
  std::vector<Conversation> all(static_cast<size_t>(count));
  std::vector<Random> random;
  const auto generate = [&](Conversation& c, Random& r) {
    sampler.generate(c.handle, {1 + r.below(20), {{3}, {4, 5}}, temperature, uint32_t(c.turns)});
    c.turns++;
  };
  for (int i = 0; i < count; i++) {
    random.emplace_back(seed + uint32_t(i));
    Conversation& c = all[i];
    c.tokens = random_tokens(&random[i], 1 + random[i].below(i % 3 == 0 ? 300 : 20));
    c.handle = sampler.open(c.tokens.data(), int(c.tokens.size()), 77, uint32_t(i));
    generate(c, random[i]);
  }
  std::vector<Generated> finished;
  while (sampler.step(&finished)) {
    for (const Generated& turn : finished) {
      const auto found = std::find_if(all.begin(), all.end(), [&](const Conversation& c) {
        return c.handle == turn.sequence;
      });
      Conversation& c = *found;
      Random& r = random[size_t(found - all.begin())];
      for (size_t i = 0; i < turn.tokens.size(); i++) {
        c.sampled[int(c.tokens.size())] = turn.log_probs[i];
        c.tokens.push_back(turn.tokens[i]);
      }
      CHECK(sampler.length(c.handle) == int(c.tokens.size()));
      if (c.turns == 4) continue;
      const std::vector<int32_t> tool = random_tokens(&r, r.below(60));
      sampler.append(c.handle, tool.data(), int(tool.size()));
      c.tokens.insert(c.tokens.end(), tool.begin(), tool.end());
      generate(c, r);
    }
    finished.clear();
  }
  return all;
}

void sampler_equals_score(DataType type, const std::string& name) {
  Fixture f = make_fixture({"", kConfig, {}}, 26, 2, false, type);
  const std::vector<Conversation> all = play(f.model.get(), 9, 9, 31, 1);
  f.offsets = {0};
  std::vector<float> sampled;
  for (const Conversation& c : all) {
    for (int t = 0; t < int(c.tokens.size()); t++) {
      const auto found = c.sampled.find(t);
      f.mask.push_back(found != c.sampled.end());
      sampled.push_back(found != c.sampled.end() ? found->second : 0.0f);
      f.tokens.push_back(c.tokens[t]);
    }
    f.offsets.push_back(int(f.tokens.size()));
  }
  std::vector<float> log_probs(f.tokens.size()), entropies(f.tokens.size());
  f.model->score(f.batch(), log_probs.data(), entropies.data());
  CHECK_SAME_BITS(name + " score", log_probs.data(), sampled.data(), sampled.size());
  CHECK(std::count(f.mask.begin(), f.mask.end(), 1) > 100);

  Fixture single = make_fixture({"", kConfig, {}}, 26, 1, false, type);
  for (int together : {1, 2, 4}) {
    const std::vector<Conversation> others = play(single.model.get(), 9, together, 31, 1);
    for (size_t i = 0; i < all.size(); i++) {
      CHECK(others[i].tokens == all[i].tokens);
      CHECK(others[i].sampled == all[i].sampled);
    }
  }
}

TEST("sampled log-probabilities equal score, and do not depend on the batch, bit for bit") {
  each_storage(sampler_equals_score);
}

}  // namespace
