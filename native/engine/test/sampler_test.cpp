// The sampler's rules: how turns end, order, errors, caches and random numbers.
#include <algorithm>

#include "fixtures.h"
#include "sample_token.h"

using namespace masksearch;
using namespace test;

namespace {

const DecoderConfig kConfig{30, 16, 2, 2, 1, 8, 24, 10000.0, 1e-6, 256, true, true};

std::unique_ptr<Model> make_model() {
  auto model = std::make_unique<Model>(kConfig, 2);
  fill_weights(model.get(), 81);
  return model;
}

std::vector<Generated> run(Sampler* sampler) {
  std::vector<Generated> finished;
  while (sampler->step(&finished)) {
  }
  return finished;
}

const std::vector<int32_t> kPrompt = {1, 2, 3, 4};

Generated one_turn(Model* model, const GenerateRequest& request, uint32_t key = 0,
                   int context = 256) {
  Sampler sampler(*model, 4, context);
  const int handle = sampler.open(kPrompt.data(), int(kPrompt.size()), key, 9);
  sampler.generate(handle, request);
  return run(&sampler).at(0);
}

TEST("a turn ends at its length, at a stop sequence that is kept, or when the context is full") {
  const auto model = make_model();
  const Generated free = one_turn(model.get(), {40, {}, 1, 0});
  CHECK(free.end == GenerateEnd::length);
  CHECK(free.tokens.size() == 40 && free.log_probs.size() == 40);

  const std::vector<int32_t> stop(free.tokens.begin() + 6, free.tokens.begin() + 9);
  const auto first = std::search(free.tokens.begin(), free.tokens.end(), stop.begin(), stop.end());
  const Generated stopped = one_turn(model.get(), {40, {{29, 29, 29}, stop}, 1, 0});
  CHECK(stopped.end == GenerateEnd::stop);
  CHECK(stopped.tokens == std::vector<int32_t>(free.tokens.begin(), first + 3));

  const Generated full = one_turn(model.get(), {40, {}, 1, 0}, 0, 12);
  CHECK(full.end == GenerateEnd::context_full);
  CHECK(full.tokens == std::vector<int32_t>(free.tokens.begin(), free.tokens.begin() + 8));
}

TEST("a stop sequence counts only tokens sampled in this turn") {
  const auto model = make_model();
  const Generated free = one_turn(model.get(), {1, {}, 1, 0});
  const std::vector<int32_t> across = {kPrompt.back(), free.tokens[0]};
  CHECK(one_turn(model.get(), {5, {across}, 1, 0}).tokens.size() > 1);
}

TEST("a full context is reported at once when a turn cannot sample anything") {
  const auto model = make_model();
  Sampler sampler(*model, 2, int(kPrompt.size()));
  const int handle = sampler.open(kPrompt.data(), int(kPrompt.size()), 0, 0);
  sampler.generate(handle, {5, {}, 1, 0});
  const std::vector<Generated> finished = run(&sampler);
  CHECK(finished.size() == 1 && finished[0].end == GenerateEnd::context_full);
  CHECK(finished[0].tokens.empty());
}

TEST("keys and turns choose the random numbers; greedy needs none") {
  const auto model = make_model();
  const auto tokens = [&](uint32_t key, uint32_t turn, float temperature) {
    return one_turn(model.get(), {30, {}, temperature, turn}, key).tokens;
  };
  CHECK(tokens(1, 0, 1) == tokens(1, 0, 1));
  CHECK(tokens(1, 0, 1) != tokens(2, 0, 1));
  CHECK(tokens(1, 0, 1) != tokens(1, 1, 1));
  CHECK(tokens(1, 0, 0) == tokens(2, 1, 0));
}

TEST("greedy takes the most likely token and reports it at temperature 1") {
  const auto model = make_model();
  const Generated turn = one_turn(model.get(), {10, {}, 0, 0});
  std::vector<int32_t> tokens = kPrompt;
  for (size_t i = 0; i < turn.tokens.size(); i++) {
    float best = -INFINITY;
    int32_t best_token = -1;
    for (int32_t candidate = 0; candidate < kConfig.vocabulary_size; candidate++) {
      std::vector<int32_t> sequence = tokens;
      sequence.push_back(candidate);
      std::vector<uint8_t> mask(sequence.size(), 0);
      mask.back() = 1;
      const int32_t offsets[] = {0, int32_t(sequence.size())};
      std::vector<float> log_probs(sequence.size()), entropies(sequence.size());
      model->score({sequence.data(), offsets, mask.data(), int(sequence.size()), 1},
                   log_probs.data(), entropies.data());
      if (log_probs.back() > best) {
        best = log_probs.back();
        best_token = candidate;
      }
    }
    CHECK(turn.tokens[i] == best_token);
    CHECK(turn.log_probs[i] == best);
    tokens.push_back(best_token);
  }
}

// Frequencies of 6,000 draws against softmax(logits / temperature), from score at temperature 1:
// within 5 standard deviations each.
TEST("sampled frequencies follow the distribution at temperature 1 and 0.5") {
  const auto model = make_model();
  constexpr int kDraws = 6000;
  std::vector<double> probability(size_t(kConfig.vocabulary_size));
  for (int32_t candidate = 0; candidate < kConfig.vocabulary_size; candidate++) {
    std::vector<int32_t> sequence = kPrompt;
    sequence.push_back(candidate);
    const uint8_t mask[] = {0, 0, 0, 0, 1};
    const int32_t offsets[] = {0, 5};
    float log_probs[5], entropies[5];
    model->score({sequence.data(), offsets, mask, 5, 1}, log_probs, entropies);
    probability[size_t(candidate)] = std::exp(double(log_probs[4]));
  }
  for (double temperature : {1.0, 0.5}) {
    double total = 0;
    for (double p : probability) total += std::pow(p, 1 / temperature);
    Sampler sampler(*model, 64, 16);
    for (uint32_t i = 0; i < kDraws; i++) {
      const int handle = sampler.open(kPrompt.data(), 4, i, 5);
      sampler.generate(handle, {1, {}, float(temperature), 0});
    }
    std::vector<int> count(probability.size(), 0);
    for (const Generated& turn : run(&sampler)) {
      count[size_t(turn.tokens[0])]++;
      const double p = std::pow(probability[size_t(turn.tokens[0])], 1 / temperature) / total;
      CHECK(std::fabs(turn.log_probs[0] - std::log(p)) < 1e-4);
    }
    for (size_t v = 0; v < count.size(); v++) {
      const double p = std::pow(probability[v], 1 / temperature) / total;
      CHECK(std::fabs(count[v] - kDraws * p) <= 5 * std::sqrt(kDraws * p * (1 - p)) + 1);
    }
  }
}

// The tokens that some uniform number leads to.
std::vector<int> drawable(const std::vector<float>& probabilities, double top_p,
                          const uint32_t* allowed = nullptr) {
  const int n = int(probabilities.size());
  std::vector<int> found;
  for (int i = 0; i < 200; i++) {
    std::vector<float> logits, scratch(probabilities.size());
    for (const float p : probabilities) logits.push_back(std::log(p));
    const int token = sample_token(default_kernels(), n, logits.data(),
                                   {1, i / 200.0, top_p, allowed}, scratch.data())
                          .token;
    if (found.empty() || found.back() != token) found.push_back(token);
  }
  return found;
}

TEST("top_p leaves the fewest tokens that hold it, the lower id first among equals") {
  const std::vector<float> p = {0.1f, 0.2f, 0.4f, 0.2f, 0.1f};
  using Tokens = std::vector<int>;
  CHECK(drawable(p, 0) == Tokens({2}));
  CHECK(drawable(p, 0.39) == Tokens({2}));
  CHECK(drawable(p, 0.41) == Tokens({1, 2}));
  CHECK(drawable(p, 0.7) == Tokens({1, 2, 3}));
  CHECK(drawable(p, 0.85) == Tokens({0, 1, 2, 3}));
  CHECK(drawable(p, 1) == Tokens({0, 1, 2, 3, 4}));
  const uint32_t outer = 1 << 0 | 1 << 1 | 1 << 4;
  CHECK(drawable(p, 1, &outer) == Tokens({0, 1, 4}));
  CHECK(drawable(p, 0.45, &outer) == Tokens({1}));
  CHECK(drawable(p, 0.6, &outer) == Tokens({0, 1}));
}

TEST("only allowed tokens are drawn, however improbable, with the model's own log-probability") {
  std::vector<float> logits(40, 0), scratch(40);
  logits[39] = -500;
  const uint32_t allowed[2] = {0, 1 << 7};
  for (const float temperature : {0.0f, 1.0f, 0.5f}) {
    std::vector<float> row = logits;
    const SampledToken sampled =
        sample_token(default_kernels(), 40, row.data(), {temperature, 0.3, 1, allowed},
                     scratch.data());
    const float scale = temperature == 0.5f ? 2 : 1;
    CHECK(sampled.token == 39);
    CHECK(std::fabs(sampled.log_prob + 500 * scale + std::log(39.0f)) < 1e-3);
  }
}

TEST("a turn keeps to top_p and allowed tokens; what cannot be is refused") {
  const auto model = make_model();
  const Generated free = one_turn(model.get(), {20, {}, 1, 0});
  CHECK(one_turn(model.get(), {20, {}, 1, 0, 1, {~0u}}).tokens == free.tokens);
  CHECK(one_turn(model.get(), {20, {}, 1, 0, 0}).tokens ==
        one_turn(model.get(), {20, {}, 0, 0}).tokens);
  const uint32_t even = 0x55555555;
  for (const int32_t token : one_turn(model.get(), {20, {}, 1, 0, 0.9, {even}}).tokens)
    CHECK(token % 2 == 0);
  const auto refused = [&](double top_p, const std::vector<uint32_t>& allowed) {
    one_turn(model.get(), {1, {}, 1, 0, top_p, allowed});
  };
  CHECK_THROWS(std::invalid_argument, "top_p in [0, 1]", refused(1.5, {}));
  CHECK_THROWS(std::invalid_argument, "top_p in [0, 1]", refused(NAN, {}));
  CHECK_THROWS(std::invalid_argument, "1 words of allowed tokens", refused(1, {1, 1}));
  CHECK_THROWS(std::invalid_argument, "at least one allowed token", refused(1, {3u << 30}));
}

TEST("sequences that begin alike give what each gives alone, also one that comes later") {
  DecoderConfig config = kConfig;
  config.head_width = 24;  // not a whole tile of bfloat16
  Random random(5);
  std::vector<std::vector<int32_t>> prompts(1);
  for (int t = 0; t < 80; t++) prompts[0].push_back(random.below(config.vocabulary_size));
  for (const int same : {80, 65, 64, 63, 33, 0}) {
    prompts.emplace_back(prompts[0].begin(), prompts[0].begin() + same);
    for (int t = 0; t < same % 5; t++) prompts.back().push_back((prompts[0][size_t(same)] + 1) % 30);
  }
  prompts.back().push_back(1);
  each_storage([&](DataType type, const std::string& storage) {
    Model model(config, 2, {}, type);
    fill_weights(&model, 82);
    const auto open = [&](Sampler* sampler, size_t i) {
      const int handle = sampler->open(prompts[i].data(), int(prompts[i].size()), uint32_t(i), 3);
      sampler->generate(handle, {9, {}, 1, 0});
      return handle;
    };
    const auto check_alone = [&](size_t i, const Generated& turn) {
      Sampler sampler(model, 1, 256);
      open(&sampler, i);
      const Generated alone = run(&sampler).at(0);
      const std::string what = storage + ", prompt " + std::to_string(i);
      CHECK(turn.tokens == alone.tokens);
      CHECK_SAME_BITS(what, turn.log_probs.data(), alone.log_probs.data(), alone.log_probs.size());
    };
    Sampler sampler(model, 4, 256);
    std::vector<int> handles;
    for (size_t i = 0; i < prompts.size(); i++) handles.push_back(open(&sampler, i));
    for (const Generated& turn : run(&sampler)) {
      const auto handle = std::find(handles.begin(), handles.end(), turn.sequence);
      check_alone(size_t(handle - handles.begin()), turn);
    }
    // What was kept under other weights is not taken over, whether they are a new version or not.
    for (const bool version : {false, true}) {
      float* weights = model.weights();
      for (size_t i = 0; i < model.parameter_count(); i++) weights[i] *= 1.5f;
      if (version) model.set_version(7);
      open(&sampler, 1);
      check_alone(1, run(&sampler).at(0));
    }
  });
}

TEST("more turns than max_sequences wait and finish in the order they came") {
  const auto model = make_model();
  Sampler sampler(*model, 2, 64);
  std::vector<int> handles;
  for (uint32_t i = 0; i < 5; i++) {
    handles.push_back(sampler.open(kPrompt.data(), 4, i, 0));
    sampler.generate(handles.back(), {3, {}, 1, 0});
  }
  const std::vector<Generated> finished = run(&sampler);
  CHECK(finished.size() == 5);
  for (size_t i = 0; i < finished.size(); i++) CHECK(finished[i].sequence == handles[i]);
}

TEST("a cancelled or closed turn is reported with what it has; others go on") {
  const auto model = make_model();
  Sampler sampler(*model, 2, 64);
  const int a = sampler.open(kPrompt.data(), 4, 0, 0), b = sampler.open(kPrompt.data(), 4, 1, 0),
            c = sampler.open(kPrompt.data(), 4, 2, 0);
  for (int handle : {a, b, c}) sampler.generate(handle, {6, {}, 1, 0});
  std::vector<Generated> finished;
  sampler.step(&finished);
  sampler.cancel(a);
  sampler.close(b);
  sampler.cancel(a);  // idle by now: nothing to do
  while (sampler.step(&finished)) {
  }
  CHECK(finished.size() == 3);
  CHECK(finished[0].sequence == a && finished[0].end == GenerateEnd::cancelled);
  CHECK(finished[0].tokens.size() == 1);
  CHECK(finished[1].sequence == b && finished[1].end == GenerateEnd::cancelled);
  CHECK(finished[2].sequence == c && finished[2].end == GenerateEnd::length);
  CHECK(sampler.length(a) == 5);
  CHECK_THROWS(std::invalid_argument, "closed or never opened", sampler.length(b));
}

TEST("caches filled with older weights are refused, also after a restore") {
  const auto model = make_model();
  Sampler sampler(*model, 2, 64);
  const int handle = sampler.open(kPrompt.data(), 4, 0, 0);
  sampler.generate(handle, {8, {}, 1, 0});
  std::vector<Generated> finished;
  sampler.step(&finished);
  model->step({1e-3});
  CHECK_THROWS(std::runtime_error, "close sequences before a training step",
               sampler.step(&finished));
  sampler.cancel(handle);
  CHECK_THROWS(std::runtime_error, "close sequences before a training step",
               sampler.generate(handle, {8, {}, 1, 1}));
  sampler.close(handle);
  const int fresh = sampler.open(kPrompt.data(), 4, 0, 0);
  sampler.generate(fresh, {2, {}, 1, 0});
  CHECK(run(&sampler).size() == 2);
  model->set_version(model->version());
  CHECK_THROWS(std::runtime_error, "close sequences before a training step",
               sampler.generate(fresh, {8, {}, 1, 1}));
}

TEST("weights written between steps are seen by the sampler") {
  const auto model = make_model();
  const std::vector<int32_t> before = one_turn(model.get(), {20, {}, 0, 0}).tokens;
  fill_weights(model.get(), 82);
  CHECK(one_turn(model.get(), {20, {}, 0, 0}).tokens != before);
  fill_weights(model.get(), 81);
  CHECK(one_turn(model.get(), {20, {}, 0, 0}).tokens == before);
}

TEST("weights that have diverged are an error, and the sampler can be closed") {
  const auto model = make_model();
  Sampler sampler(*model, 2, 64);
  const int handle = sampler.open(kPrompt.data(), 4, 0, 0);
  sampler.generate(handle, {5, {}, 1, 0});
  model->weights()[model->parameter_count() / 2] = NAN;
  std::vector<Generated> finished;
  CHECK_THROWS(std::runtime_error, "expected finite logits", sampler.step(&finished));
  CHECK_THROWS(std::runtime_error, "expected finite logits", sampler.step(&finished));
  sampler.close(handle);
  CHECK(sampler.step(&finished) && finished.size() == 1);
}

}  // namespace
