// Adapters on the device against the CPU's float32 engine: log-probabilities and gradients with equal
// dropout, frozen weights, the adapter switched off, steps and sampling.
#include <map>

#include "device_fixtures.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

std::vector<float> read_all(const Pair& p, cuda::Arena arena) {
  std::vector<float> values(p.device->state.count(arena));
  p.device->read(arena, 0, values.size(), values.data());
  return values;
}

std::vector<float> score(const Pair& p, masksearch::AdapterUse use) {
  std::vector<float> log_probs(p.tokens.size()), entropies(p.tokens.size());
  p.device->score(p.batch(), log_probs.data(), entropies.data(), use);
  return log_probs;
}

}  // namespace

TEST("device adapter: log-probabilities and gradients near the CPU's, dropout and all") {
  struct AdapterCase {
    int shape;
    masksearch::LoraConfig lora;
  };
  const AdapterCase cases[] = {
      {0, lora_config(4, kAllTargets)},
      {0, lora_config(1, {masksearch::kValue, masksearch::kDown})},
      {1, lora_config(33, kAllTargets, 0.25)},
      {2, lora_config(8, {masksearch::kKey, masksearch::kUp}, 0.5)},
      {2, lora_config(3, {masksearch::kQuery, masksearch::kGate})},
      {3, lora_config(16, kAllTargets, 0.1)},
  };
  for (const AdapterCase& c : cases) {
    const Shape& shape = device_shapes()[size_t(c.shape)];
    Pair p = make_pair(shape, small_options(), c.lora);
    for (int call = 0; call < 2; call++) {  // gradients add up, masks are drawn anew
      const Run cpu = run_cpu(p, device_loss()), device = run_device(p, device_loss());
      const std::string what = std::string(shape.why) + ", rank " + std::to_string(c.lora.rank);
      CHECK_WITHIN("log-probs: " + what, device.log_probs, cpu.log_probs, 0.05, 0.01);
      check_gradients(p, device, cpu);
    }
  }
}

TEST("device adapter: off, or with B zero, it is the frozen model bit for bit") {
  const Shape& shape = device_shapes()[1];
  Pair frozen = make_pair(shape, small_options());
  const Run expected = run_device(frozen, device_loss());
  Pair p = make_pair(shape, small_options(), lora_config(33, kAllTargets));
  const auto off = score(p, masksearch::AdapterUse::off), on = score(p, masksearch::AdapterUse::on);
  CHECK_SAME_BUT_FOR_PRODUCTS("off", off, expected.log_probs);
  CHECK(on != off);
  const Run trained = run_device(p, device_loss());
  CHECK_SAME_BITS("score", on.data(), trained.log_probs.data(), on.size());
  for (const masksearch::Parameter& b : p.model->trained_parameters()) {
    if (b.name.find("lora_B") == std::string::npos) continue;
    const std::vector<float> zeros(b.count);
    p.device->write(cuda::Arena::trained_weights, b.offset, b.count, zeros.data());
  }
  const auto zero = score(p, masksearch::AdapterUse::on);
  CHECK_WITHIN("zero B", zero, off, 0, 1e-12);
  CHECK_THROWS(std::invalid_argument, "adapter to switch off",
               score(frozen, masksearch::AdapterUse::off));
}

TEST("device adapter: steps change it as on the CPU and leave the frozen weights alone") {
  Pair p = make_pair(device_shapes()[2], small_options(), lora_config(5, kAllTargets, 0.25));
  const auto before = read_all(p, cuda::Arena::weights);
  CHECK_SAME_BITS("written", before.data(), p.model->weights(), before.size());
  const Run first = run_device(p, device_loss());
  // The CPU steps with the device's gradients, so that only AdamW is compared.
  std::copy(first.gradients.begin(), first.gradients.end(), p.model->gradients());
  const masksearch::AdamW adamw{1e-2, 0.9, 0.95, 1e-8, 0.1, 1.0};
  const double norm = p.device->step(adamw), cpu_norm = p.model->step(adamw);
  CHECK(std::fabs(norm - cpu_norm) < 1e-5 * cpu_norm);
  const float* adapter = p.model->trained_weights();
  const std::vector<float> expected(adapter, adapter + p.model->trained_count());
  CHECK_WITHIN("adapter", read_all(p, cuda::Arena::trained_weights), expected, 1e-6, 1e-6);
  double loss = 0;
  for (int i = 0; i < 5; i++) {
    loss = run_device(p, device_loss()).result.loss;
    p.device->step(adamw);
  }
  CHECK(loss < 0.97 * first.result.loss);
  const auto after = read_all(p, cuda::Arena::weights);
  CHECK_SAME_BITS("frozen", after.data(), before.data(), before.size());
}

TEST("device adapter: other steps and calls drop others, the same ones the same") {
  Pair p = make_pair(device_shapes()[0], small_options(), lora_config(3, kAllTargets, 0.5));
  const auto loss_at = [&](int64_t version) {
    p.device->set_version(version);
    return run_device(p, device_loss()).result.loss;
  };
  const double loss = loss_at(0);
  CHECK(run_device(p, device_loss()).result.loss != loss);
  CHECK(loss_at(0) == loss);
  CHECK(loss_at(1) != loss);
}

TEST("device adapter: sampled log-probabilities are those of score") {
  for (const Shape& shape : {device_shapes()[1], device_shapes()[2]}) {
    Pair p = make_pair(shape, small_options(), lora_config(6, kAllTargets, 0.25));
    cuda::DeviceSampler sampler(*p.device, 2, 64);
    const std::vector<int32_t> prompt = {1, 2, 3, 4, 5};
    const int handle = sampler.open(prompt.data(), 5, 1, 2);
    sampler.generate(handle, {20, {}, 1, 0});
    std::vector<masksearch::Generated> finished;
    while (sampler.step(&finished)) {
    }
    std::vector<int32_t> tokens = prompt;
    tokens.insert(tokens.end(), finished.at(0).tokens.begin(), finished.at(0).tokens.end());
    std::vector<uint8_t> mask(tokens.size(), 1);
    std::fill_n(mask.begin(), prompt.size(), uint8_t(0));
    const int32_t offsets[] = {0, int32_t(tokens.size())};
    std::vector<float> scored(tokens.size()), entropies(tokens.size());
    p.device->score({tokens.data(), offsets, mask.data(), int(tokens.size()), 1}, scored.data(),
                    entropies.data());
    scored.erase(scored.begin(), scored.begin() + 5);
    CHECK_WITHIN(shape.why, finished.at(0).log_probs, scored, 0.06, 0.01);
  }
}

TEST("device adapter: the state is 2 bytes a frozen parameter, 16 a trained one; bad ones are refused") {
  const Shape& shape = device_shapes()[0];
  const masksearch::LoraConfig lora = lora_config(4, kAllTargets);
  Pair p = make_pair(shape, small_options(), lora);
  const size_t frozen = p.model->parameter_count(), trained = p.model->trained_count();
  CHECK(p.device->state.plan.rest - p.device->state.plan.weights >= 2 * (frozen + trained));
  CHECK(p.device->state.plan.rest - p.device->state.plan.weights < 2 * (frozen + trained) + 512);
  CHECK(p.device->memory_report().find("frozen weights (bf16)") != std::string::npos);
  masksearch::LoraConfig bad = lora;
  bad.rank = -1;
  CHECK_THROWS(std::invalid_argument, "lora.rank",
               cuda::DeviceModel(shape.config, bad, small_options()));
}
