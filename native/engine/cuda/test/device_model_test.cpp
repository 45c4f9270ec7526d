// The whole decoder on the device against the CPU's float32 engine: losses, every gradient, steps,
// and a sampler whose log-probabilities the trainer finds again. The device stores bfloat16, so a
// bound is a small multiple of kBf16 of the size of what is compared.
#include <algorithm>
#include <cmath>
#include <memory>

#include "check.h"
#include "device_array.h"
#include "device_sampler.h"
#include "engine.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

struct Model {
  const char* why;
  masksearch::DecoderConfig config;
  std::vector<int> lengths;
};

const std::vector<Model>& models() {
  static const std::vector<Model> all = {
      {"plain attention, tied, bias", {61, 32, 2, 4, 2, 16, 48, 1e4, 1e-6, 256, true, true}, {7, 1, 33}},
      {"tensor cores, untied, no bias", {40, 64, 2, 2, 1, 64, 72, 1e4, 1e-6, 256, false, false}, {66, 5}},
  };
  return all;
}

constexpr size_t kSlab = size_t(96) << 20;

struct Pair {
  std::unique_ptr<masksearch::Model> cpu;
  std::unique_ptr<cuda::DeviceModel> device;
  std::vector<int32_t> tokens, offsets;
  std::vector<uint8_t> mask;

  masksearch::Batch batch() const {
    return {tokens.data(), offsets.data(), mask.data(), int(tokens.size()),
            int(offsets.size()) - 1};
  }
};

cuda::DeviceOptions small_options(size_t bytes = kSlab) {
  cuda::DeviceOptions o;
  o.memory_bytes = bytes;
  return o;
}

// Equal weights, which bfloat16 holds exactly, so that only activations are rounded.
Pair make_pair(const Model& m, const cuda::DeviceOptions& options, uint32_t seed = 1) {
  Pair p;
  p.cpu = std::make_unique<masksearch::Model>(m.config, 1);
  p.device = std::make_unique<cuda::DeviceModel>(m.config, options);
  Random random(seed);
  std::vector<float> weights(p.cpu->parameter_count());
  for (const masksearch::Parameter& parameter : p.cpu->parameters()) {
    const bool norm = parameter.name.find("norm") != std::string::npos;
    for (size_t i = 0; i < parameter.count; i++)
      weights[parameter.offset + i] = cuda::to_float(
          cuda::to_bfloat16(float((norm ? 1.0 : 0.0) + 0.15 * random.normal())));
  }
  std::copy(weights.begin(), weights.end(), p.cpu->weights());
  p.device->write(cuda::Arena::weights, 0, weights.size(), weights.data());
  p.offsets.push_back(0);
  for (const int length : m.lengths) {
    for (int t = 0; t < length; t++) {
      p.tokens.push_back(random.below(m.config.vocabulary_size));
      p.mask.push_back(t > 0 && random.uniform() < 0.7);
    }
    p.offsets.push_back(int(p.tokens.size()));
  }
  return p;
}

struct Run {
  masksearch::AccumulateResult result;
  std::vector<float> log_probs, entropies, gradients;
};

Run run_device(const Pair& p, const masksearch::TokenLoss& loss) {
  Run r;
  r.log_probs.resize(p.tokens.size());
  r.entropies.resize(p.tokens.size());
  r.result = p.device->accumulate(p.batch(), loss, r.log_probs.data(), r.entropies.data());
  r.gradients.resize(p.cpu->parameter_count());
  p.device->read(cuda::Arena::gradients, 0, r.gradients.size(), r.gradients.data());
  return r;
}

Run run_cpu(const Pair& p, const masksearch::TokenLoss& loss) {
  Run r;
  r.log_probs.resize(p.tokens.size());
  r.entropies.resize(p.tokens.size());
  r.result = p.cpu->accumulate(p.batch(), loss, r.log_probs.data(), r.entropies.data());
  r.gradients.assign(p.cpu->gradients(), p.cpu->gradients() + p.cpu->parameter_count());
  return r;
}

double length_of(const float* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += double(x[i]) * x[i];
  return std::sqrt(sum);
}

// Each parameter's gradient within `share` of its length, as a whole.
void check_gradients(const Pair& p, const Run& device, const Run& cpu, double share) {
  for (const masksearch::Parameter& parameter : p.cpu->parameters()) {
    std::vector<float> difference(parameter.count);
    for (size_t i = 0; i < parameter.count; i++)
      difference[i] = device.gradients[parameter.offset + i] - cpu.gradients[parameter.offset + i];
    const double expected = length_of(cpu.gradients.data() + parameter.offset, parameter.count);
    const double off = length_of(difference.data(), parameter.count);
    // Key biases have almost no gradient of their own: what is left is rounding of larger terms.
    const double floor = 1e-3 * length_of(cpu.gradients.data(), cpu.gradients.size());
    if (!(off <= share * expected + floor))
      fail(__FILE__, __LINE__,
           parameter.name + ": gradient of length " + std::to_string(expected) + " is off by " +
               std::to_string(off));
  }
}

masksearch::TokenLoss cross_entropy() {
  masksearch::TokenLoss loss{};
  loss.kind = masksearch::LossKind::cross_entropy;
  loss.scale = 1.0 / 32;
  return loss;
}

}  // namespace

TEST("device model: weights come back exactly, in every arena") {
  Pair p = make_pair(models()[0], small_options());
  Random random(9);
  const std::vector<float> values = random.normals(p.cpu->parameter_count(), 0.02);
  for (const auto arena : {cuda::Arena::weights, cuda::Arena::gradients,
                           cuda::Arena::first_moments, cuda::Arena::second_moments}) {
    p.device->write(arena, 0, values.size(), values.data());
    std::vector<float> back(values.size() - 5);
    p.device->read(arena, 3, back.size(), back.data());
    CHECK_SAME_BITS("arena", back.data(), values.data() + 3, back.size());
  }
}

TEST("device model: log-probabilities, entropies, loss and gradients near the CPU's") {
  for (const Model& m : models()) {
    Pair p = make_pair(m, small_options());
    const Run cpu = run_cpu(p, cross_entropy()), device = run_device(p, cross_entropy());
    CHECK_WITHIN(std::string("log-probs: ") + m.why, device.log_probs, cpu.log_probs, 0.05, 0.01);
    CHECK_WITHIN(std::string("entropies: ") + m.why, device.entropies, cpu.entropies, 0.05, 0.01);
    CHECK(std::fabs(device.result.loss - cpu.result.loss) < 0.01 * std::fabs(cpu.result.loss));
    check_gradients(p, device, cpu, 0.03);
    std::vector<float> scored(p.tokens.size()), entropies(p.tokens.size());
    p.device->score(p.batch(), scored.data(), entropies.data());
    CHECK_SAME_BITS("score", scored.data(), device.log_probs.data(), scored.size());
  }
}

TEST("device model: a custom loss with an entropy gradient, and DAPO's clip counts") {
  Pair p = make_pair(models()[0], small_options());
  masksearch::TokenLoss custom{};
  custom.kind = masksearch::LossKind::custom;
  custom.custom = [](int n, const int32_t* positions, const float* log_probs,
                     const float* entropies, float* d_log_probs, float* d_entropies) {
    double loss = 0;
    for (int i = 0; i < n; i++) {
      const float weight = positions[i] % 2 == 0 ? 0.1f : -0.05f;
      loss += weight * log_probs[i] + 0.02 * entropies[i];
      d_log_probs[i] = weight;
      d_entropies[i] = 0.02f;
    }
    return loss;
  };
  check_gradients(p, run_device(p, custom), run_cpu(p, custom), 0.05);

  std::vector<float> old(p.tokens.size(), -4.0f), advantages(p.tokens.size(), 1.0f);
  masksearch::TokenLoss dapo{};
  dapo.kind = masksearch::LossKind::dapo;
  dapo.scale = 0.01;
  dapo.old_log_probs = old.data();
  dapo.advantages = advantages.data();
  dapo.clip_low = 0.2;
  dapo.clip_high = 0.28;
  Pair q = make_pair(models()[0], small_options());
  const Run cpu = run_cpu(q, dapo), device = run_device(q, dapo);
  CHECK(cpu.result.clipped_high > 0);
  CHECK(std::llabs(cpu.result.clipped_high - device.result.clipped_high) <= 1);
}

TEST("device model: what is computed again, and how a batch is cut, changes nothing") {
  const Model& m = models()[1];
  Pair roomy = make_pair(m, small_options());
  const Run expected = run_device(roomy, cross_entropy());
  const std::string all_kept = roomy.device->memory_report();
  CHECK(all_kept.find("everything 2") != std::string::npos);
  const cuda::PassSize size = {int(roomy.tokens.size()), 2,
                               int(std::count(roomy.mask.begin(), roomy.mask.end(), 1)), true};
  const auto plan_in = [&](size_t bytes) {
    return cuda::plan_training(m.config, size, roomy.device->state.free_begin(), bytes, 0);
  };
  size_t smallest = plan_in(kSlab / 2).bytes;
  const size_t one_less = plan_in(smallest - 1).bytes;
  CHECK(plan_in(one_less).kept_everything < m.config.layers);
  for (bool fits = true; fits;) {
    try {
      smallest = plan_in(smallest - 1).bytes;
    } catch (const cuda::MemoryError&) {
      fits = false;
    }
  }
  CHECK(plan_in(smallest).kept_input == m.config.layers);
  for (const size_t bytes : {one_less, smallest}) {
    Pair small = make_pair(m, small_options(roomy.device->state.plan.end + bytes));
    const Run again = run_device(small, cross_entropy());
    CHECK(small.device->memory_report().find("everything 2") == std::string::npos);
    CHECK_SAME_BITS("log-probs", again.log_probs.data(), expected.log_probs.data(),
                    expected.log_probs.size());
    CHECK_SAME_BITS("gradients", again.gradients.data(), expected.gradients.data(),
                    expected.gradients.size());
  }

  cuda::DeviceOptions cut = small_options();
  cut.pass_tokens = 1;  // every sequence alone
  Pair apart = make_pair(m, cut);
  const Run pieces = run_device(apart, cross_entropy());
  CHECK_SAME_BITS("log-probs", pieces.log_probs.data(), expected.log_probs.data(),
                  expected.log_probs.size());
  CHECK_WITHIN("gradients", pieces.gradients, expected.gradients, 2e-3, 0.02);
}

TEST("device model: steps follow the CPU's, and a norm that is not finite changes nothing") {
  Pair p = make_pair(models()[0], small_options());
  const masksearch::AdamW adamw{1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0};
  const Run first = run_device(p, cross_entropy());
  // The CPU steps with the device's gradients, so that only AdamW is compared.
  std::copy(first.gradients.begin(), first.gradients.end(), p.cpu->gradients());
  const double cpu_norm = p.cpu->step(adamw), norm = p.device->step(adamw);
  CHECK(std::fabs(norm - cpu_norm) < 1e-5 * cpu_norm);
  std::vector<float> weights(p.cpu->parameter_count());
  p.device->read(cuda::Arena::weights, 0, weights.size(), weights.data());
  const std::vector<float> expected(p.cpu->weights(), p.cpu->weights() + weights.size());
  CHECK_WITHIN("weights", weights, expected, 1e-7, 1e-6);
  CHECK(p.device->version() == 1);

  double loss = 0;
  for (int i = 0; i < 5; i++) {
    loss = run_device(p, cross_entropy()).result.loss;
    p.device->step(adamw);
  }
  CHECK(loss < 0.97 * first.result.loss);

  const float nan = NAN;
  p.device->write(cuda::Arena::gradients, 7, 1, &nan);
  CHECK_THROWS(std::runtime_error, "expected finite gradients", p.device->step(adamw));
  CHECK(p.device->version() == 6);
}

TEST("device model: refusals") {
  masksearch::DecoderConfig odd = models()[0].config;
  odd.width = 30;
  CHECK_THROWS(std::invalid_argument, "width to be a multiple of 8, received 30",
               cuda::DeviceModel(odd, small_options()));
  CHECK_THROWS(cuda::MemoryError, "set memoryBytes between the two",
               cuda::DeviceModel(models()[0].config, small_options(1000)));
  Pair p = make_pair(models()[0], small_options());
  p.tokens[3] = 61;
  CHECK_THROWS(std::invalid_argument, "received 61 at index 3", run_device(p, cross_entropy()));
}

namespace {

struct Turn {
  std::vector<int32_t> tokens;
  std::vector<float> log_probs;
};

std::map<int, Turn> finish_all(cuda::DeviceSampler* sampler) {
  std::vector<masksearch::Generated> finished;
  while (sampler->step(&finished)) {
  }
  std::map<int, Turn> turns;
  for (auto& g : finished) turns[g.sequence] = {g.tokens, g.log_probs};
  return turns;
}

masksearch::GenerateRequest request(int tokens, float temperature = 1) {
  return {tokens, {}, temperature, 0};
}

}  // namespace

TEST("device sampler: log-probabilities are those that the trainer finds for the same tokens") {
  for (const Model& m : models()) {
    Pair p = make_pair(m, small_options());
    cuda::DeviceSampler sampler(*p.device, 3, 200);
    std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}, {5}, {7, 8, 9, 10, 11}, {4, 4}};
    prompts[2].resize(70, 6);
    std::vector<int> handles;
    for (size_t i = 0; i < prompts.size(); i++) {
      handles.push_back(sampler.open(prompts[i].data(), int(prompts[i].size()), uint32_t(i), 9));
      sampler.generate(handles[i], request(12));
    }
    auto turns = finish_all(&sampler);
    // A second turn continues on the cache, with tokens in between.
    const std::vector<int32_t> between = {3, 2, 1};
    sampler.append(handles[0], between.data(), 3);
    sampler.generate(handles[0], request(6));
    const auto second = finish_all(&sampler);
    for (size_t i = 0; i < prompts.size(); i++) {
      std::vector<int32_t> tokens = prompts[i];
      std::vector<float> sampled(tokens.size(), 0);
      const auto add = [&](const Turn& turn) {
        tokens.insert(tokens.end(), turn.tokens.begin(), turn.tokens.end());
        sampled.insert(sampled.end(), turn.log_probs.begin(), turn.log_probs.end());
      };
      add(turns.at(handles[i]));
      if (i == 0) {
        tokens.insert(tokens.end(), between.begin(), between.end());
        sampled.resize(tokens.size(), 0);
        add(second.at(handles[0]));
      }
      CHECK(sampler.length(handles[i]) == int(tokens.size()));
      std::vector<uint8_t> mask(tokens.size());
      for (size_t t = 0; t < tokens.size(); t++) mask[t] = sampled[t] != 0;
      const std::vector<int32_t> offsets = {0, int32_t(tokens.size())};
      std::vector<float> scored(tokens.size()), entropies(tokens.size());
      p.device->score({tokens.data(), offsets.data(), mask.data(), int(tokens.size()), 1},
                      scored.data(), entropies.data());
      CHECK_WITHIN(std::string("log-probs: ") + m.why, sampled, scored, 0.06, 0.01);
    }
  }
}

TEST("device sampler: greedy tokens of the CPU, and its draws where the odds are clear") {
  Pair p = make_pair(models()[0], small_options());
  cuda::DeviceSampler device(*p.device, 4, 100);
  masksearch::Sampler cpu(*p.cpu, 4, 100);
  const std::vector<int32_t> prompt = {1, 2, 3, 4};
  int equal = 0, total = 0;
  for (uint32_t key = 0; key < 4; key++) {
    const int a = device.open(prompt.data(), 4, key, 5), b = cpu.open(prompt.data(), 4, key, 5);
    device.generate(a, request(8, key == 0 ? 0.0f : 0.7f));
    cpu.generate(b, request(8, key == 0 ? 0.0f : 0.7f));
    const auto turn = finish_all(&device).at(a);
    std::vector<masksearch::Generated> finished;
    while (cpu.step(&finished)) {
    }
    total += 1;
    equal += turn.tokens == finished[0].tokens;
  }
  CHECK(equal >= total - 1);  // bfloat16 may turn one close draw
}

TEST("device sampler: one graph per bucket gives what single sequences give, bit for bit") {
  Pair p = make_pair(models()[1], small_options());
  cuda::DeviceSampler together(*p.device, 4, 128);
  cuda::DeviceSampler alone(*p.device, 1, 128);
  std::vector<int> handles;
  for (int i = 0; i < 3; i++) {
    const std::vector<int32_t> prompt(size_t(3 + i), 5 + i);
    handles.push_back(together.open(prompt.data(), int(prompt.size()), uint32_t(i), 1));
    together.generate(handles[i], request(10));
  }
  const auto turns = finish_all(&together);
  for (int i = 0; i < 3; i++) {
    const std::vector<int32_t> prompt(size_t(3 + i), 5 + i);
    const int handle = alone.open(prompt.data(), int(prompt.size()), uint32_t(i), 1);
    alone.generate(handle, request(10));
    const auto turn = finish_all(&alone).at(handle);
    CHECK(turn.tokens == turns.at(handles[i]).tokens);
    // Products may be cut differently by cuBLASLt for other numbers of rows.
    CHECK_WITHIN("log-probs", turn.log_probs, turns.at(handles[i]).log_probs, 1e-2, 0);
    alone.close(handle);
  }
}

TEST("device sampler: too few pages make sequences wait or read again, not fail") {
  const Model& m = models()[0];
  Pair roomy = make_pair(m, small_options());
  cuda::DeviceSampler enough(*roomy.device, 3, 256);
  // Room for the buffers and five pages: one context of four, and one that belongs to nobody.
  const size_t page = size_t(2) * 2 * 64 * 16 * 2 * m.config.layers;
  const size_t bytes = roomy.device->state.plan.end + enough.plan().bytes -
                       page * size_t(enough.plan().pages - 6) + 8192;
  Pair tight = make_pair(m, small_options(bytes));
  cuda::DeviceSampler few(*tight.device, 3, 256);
  CHECK(few.plan().pages < enough.plan().pages);
  std::vector<int> a, b;
  for (int i = 0; i < 4; i++) {
    const std::vector<int32_t> prompt(size_t(60 + i), 2 + i);
    a.push_back(enough.open(prompt.data(), int(prompt.size()), uint32_t(i), 1));
    b.push_back(few.open(prompt.data(), int(prompt.size()), uint32_t(i), 1));
    enough.generate(a[i], request(70));
    few.generate(b[i], request(70));
  }
  const auto expected = finish_all(&enough);
  const auto got = finish_all(&few);
  int equal = 0;
  for (int i = 0; i < 4; i++) {
    CHECK(got.at(b[i]).tokens.size() == 70);
    equal += got.at(b[i]).tokens == expected.at(a[i]).tokens;
  }
  CHECK(equal >= 3);  // keys read again are rounded alike, a close draw may still turn
  for (const int handle : b) few.close(handle);
  CHECK(few.free_pages() == few.plan().pages - 1);
}

TEST("device sampler: stop sequences, cancelling, stale caches and full contexts") {
  Pair p = make_pair(models()[0], small_options());
  cuda::DeviceSampler sampler(*p.device, 2, 10);
  const std::vector<int32_t> prompt = {1, 2, 3, 4, 5, 6, 7, 8};
  const int full = sampler.open(prompt.data(), 8, 0, 0);
  sampler.generate(full, request(50));
  std::vector<masksearch::Generated> finished;
  while (sampler.step(&finished)) {
  }
  CHECK(finished.size() == 1 && finished[0].end == masksearch::GenerateEnd::context_full);
  CHECK(finished[0].tokens.size() == 2);

  const int stopped = sampler.open(prompt.data(), 3, 0, 0);
  std::vector<std::vector<int32_t>> any;
  for (int32_t t = 0; t < 61; t++) any.push_back({t});
  sampler.generate(stopped, {5, any, 1, 0});
  CHECK_THROWS(std::runtime_error, "no turn in progress", sampler.append(stopped, prompt.data(), 1));
  finished.clear();
  sampler.step(&finished);
  CHECK(finished.size() == 1 && finished[0].end == masksearch::GenerateEnd::stop);

  sampler.generate(stopped, request(5));
  sampler.cancel(stopped);
  finished.clear();
  sampler.step(&finished);
  CHECK(finished.size() == 1 && finished[0].end == masksearch::GenerateEnd::cancelled);

  p.device->set_version(3);
  CHECK_THROWS(std::runtime_error, "weights of version 3", sampler.generate(stopped, request(1)));
  CHECK_THROWS(std::invalid_argument, "closed or never opened", sampler.length(99));
  CHECK_THROWS(std::invalid_argument, "max_positions = 256", cuda::DeviceSampler(*p.device, 1, 257));
}

TEST("device memory: training beside a sampler, and its memory back when it closes") {
  Pair p = make_pair(models()[0], small_options());
  const size_t before = p.device->state.free_bytes();
  {
    cuda::DeviceSampler one(*p.device, 1, 64);
    auto two = std::make_unique<cuda::DeviceSampler>(*p.device, 1, 64);
    CHECK(p.device->state.free_bytes() < before);
    run_device(p, cross_entropy());
    two.reset();
    run_device(p, cross_entropy());
  }
  CHECK(p.device->state.free_bytes() == before);
}
