// Checks that what the bench times is right.
#include "verify.h"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace masksearch::bench {

namespace {

struct Tokens {
  std::vector<int32_t> tokens, offsets{0};
  std::vector<uint8_t> mask;

  void add(const std::vector<int32_t>& sequence) {
    for (size_t t = 0; t < sequence.size(); t++) {
      tokens.push_back(sequence[t]);
      mask.push_back(t > 0);
    }
    offsets.push_back(int32_t(tokens.size()));
  }
  Batch batch() const {
    return {tokens.data(), offsets.data(), mask.data(), int(tokens.size()),
            int(offsets.size()) - 1};
  }
};

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("bench: expected " + what + "; nothing was timed");
}

double loss_of(Model* model, const Tokens& data, double scale) {
  std::vector<float> log_probs(data.tokens.size()), entropies(data.tokens.size());
  model->score(data.batch(), log_probs.data(), entropies.data());
  double sum = 0;
  for (float log_prob : log_probs) sum -= scale * double(log_prob);
  return sum;
}

}  // namespace

void verify(Model* model) {
  const int vocabulary = model->config().vocabulary_size;
  Tokens data;
  for (int length : {70, 1, 33}) {
    std::vector<int32_t> sequence;
    for (int t = 0; t < length; t++) sequence.push_back((t * 7919 + length) % vocabulary);
    data.add(sequence);
  }
  const size_t n = data.tokens.size();
  std::vector<float> trained(n), scored(n), entropies(n);
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 1.0 / double(n);
  model->accumulate(data.batch(), loss, trained.data(), entropies.data());
  model->score(data.batch(), scored.data(), entropies.data());
  require(std::memcmp(trained.data(), scored.data(), n * sizeof(float)) == 0,
          "the same log-probabilities from training and scoring");

  // Central difference along the gradient g: (loss(w + h g) - loss(w - h g)) / 2h = |g|^2 up to h^2
  // terms and the rounding of the losses, about 1e-6 nats each against a difference of 4e-3.
  const size_t count = model->parameter_count();
  const std::vector<float> weights(model->weights(), model->weights() + count);
  const std::vector<float> gradient(model->gradients(), model->gradients() + count);
  double square = 0;
  for (float g : gradient) square += double(g) * double(g);
  const double h = 2e-3 / square;
  const auto loss_at = [&](double distance) {
    float* w = model->weights();
    for (size_t i = 0; i < count; i++)
      w[i] = float(double(weights[i]) + distance * double(gradient[i]));
    return loss_of(model, data, loss.scale);
  };
  const double slope = (loss_at(h) - loss_at(-h)) / (2 * h);
  std::memcpy(model->weights(), weights.data(), count * sizeof(float));
  std::memset(model->gradients(), 0, count * sizeof(float));
  // In bfloat16 the shifted weights are rounded again: a few percent of the difference.
  const double bound = model->type() == DataType::float32 ? 0.02 : 0.1;
  require(std::fabs(slope / square - 1) < bound,
          "a slope of " + std::to_string(square) + " along the gradient, received " +
              std::to_string(slope));

  Sampler sampler(*model, 2, 64);
  Tokens sampled;
  std::vector<float> log_probs;
  std::vector<int> handles;
  std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}, {4}};
  for (uint32_t s = 0; s < 2; s++) {
    handles.push_back(sampler.open(prompts[s].data(), int(prompts[s].size()), 1, s));
    sampler.generate(handles[s], {20, {}, 1.0f, 0});
  }
  std::vector<Generated> finished;
  while (sampler.step(&finished)) {
  }
  for (const Generated& turn : finished) {
    std::vector<int32_t> all = prompts[turn.sequence == handles[0] ? 0 : 1];
    log_probs.resize(log_probs.size() + all.size(), 0.0f);
    log_probs.insert(log_probs.end(), turn.log_probs.begin(), turn.log_probs.end());
    all.insert(all.end(), turn.tokens.begin(), turn.tokens.end());
    sampled.add(all);
  }
  std::vector<float> again(log_probs.size()), unused(log_probs.size());
  model->score(sampled.batch(), again.data(), unused.data());
  for (size_t t = 0; t < log_probs.size(); t++)
    require(log_probs[t] == 0 || log_probs[t] == again[t],
            "sampled log-probabilities equal to scored ones");
}

}  // namespace masksearch::bench
