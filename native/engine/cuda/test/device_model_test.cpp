// Training on the device against the CPU's float32 engine: losses, every gradient, steps, and that
// neither memory nor the cut of a batch changes a result.
#include "device_fixtures.h"

using namespace test;
namespace cuda = masksearch::cuda;

TEST("device model: weights come back exactly, in every arena") {
  Pair p = make_pair(device_shapes()[0], small_options());
  Random random(9);
  const std::vector<float> values = random.normals(p.model->parameter_count(), 0.02);
  for (const auto arena :
       {cuda::Arena::weights, cuda::Arena::trained_weights, cuda::Arena::gradients,
        cuda::Arena::first_moments, cuda::Arena::second_moments}) {
    p.device->write(arena, 0, values.size(), values.data());
    std::vector<float> back(values.size() - 5);
    p.device->read(arena, 3, back.size(), back.data());
    CHECK_SAME_BITS("arena", back.data(), values.data() + 3, back.size());
  }
}

TEST("device model: log-probabilities, entropies, loss and gradients near the CPU's") {
  for (const Shape& m : device_shapes()) {
    Pair p = make_pair(m, small_options());
    const Run cpu = run_cpu(p, device_loss()), device = run_device(p, device_loss());
    CHECK_WITHIN(std::string("log-probs: ") + m.why, device.log_probs, cpu.log_probs, 0.05, 0.01);
    CHECK_WITHIN(std::string("entropies: ") + m.why, device.entropies, cpu.entropies, 0.05, 0.01);
    CHECK(std::fabs(device.result.loss - cpu.result.loss) < 0.01 * std::fabs(cpu.result.loss));
    check_gradients(p, device, cpu);
    std::vector<float> scored(p.tokens.size()), entropies(p.tokens.size());
    p.device->score(p.batch(), scored.data(), entropies.data());
    CHECK_SAME_BITS("score", scored.data(), device.log_probs.data(), scored.size());
  }
}

TEST("device model: a custom loss with an entropy gradient, and DAPO's clip counts") {
  Pair p = make_pair(device_shapes()[0], small_options());
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
  Pair q = make_pair(device_shapes()[0], small_options());
  const Run cpu = run_cpu(q, dapo), device = run_device(q, dapo);
  CHECK(cpu.result.clipped_high > 0);
  CHECK(std::llabs(cpu.result.clipped_high - device.result.clipped_high) <= 1);
}

namespace {

// Training in as little memory as there can be, and sequence by sequence, against all at once.
void check_in_parts(const Shape& shape, const masksearch::LoraConfig& lora) {
  const int L = shape.config.layers;
  const std::string all_kept = "everything " + std::to_string(L);
  Pair roomy = make_pair(shape, small_options(), lora);
  const Run expected = run_device(roomy, device_loss());
  CHECK(roomy.device->memory_report().find(all_kept) != std::string::npos);
  const cuda::PassSize size =
      cuda::pass_lists(roomy.batch(), 0, int(shape.lengths.size())).size(true);
  const auto plan_in = [&](size_t bytes) {
    return cuda::plan_training(shape.config, lora, size, roomy.device->state.free_begin(), bytes,
                               0);
  };
  size_t smallest = plan_in(kSlab / 2).bytes;
  size_t one_less = smallest;
  while (plan_in(one_less).kept_everything == L) one_less = plan_in(one_less - 1).bytes;
  for (bool fits = true; fits;) {
    try {
      smallest = plan_in(smallest - 1).bytes;
    } catch (const cuda::MemoryError&) {
      fits = false;
    }
  }
  CHECK(plan_in(smallest).kept_input == L);
  for (const size_t bytes : {one_less, smallest}) {
    Pair small = make_pair(shape, small_options(roomy.device->state.plan.end + bytes), lora);
    const Run again = run_device(small, device_loss());
    CHECK(small.device->memory_report().find(all_kept) == std::string::npos);
    CHECK_SAME_BUT_FOR_PRODUCTS(shape.why, again.log_probs, expected.log_probs);
    CHECK_SAME_BUT_FOR_PRODUCTS(shape.why, again.gradients, expected.gradients);
  }

  cuda::DeviceOptions cut = small_options();
  cut.pass_tokens = 1;  // every sequence alone
  Pair apart = make_pair(shape, cut, lora);
  const Run pieces = run_device(apart, device_loss());
  CHECK_SAME_BUT_FOR_PRODUCTS(shape.why, pieces.log_probs, expected.log_probs);
  if (kOneOrder) {
    CHECK_WITHIN(shape.why, pieces.gradients, expected.gradients, 2e-3, 0.02);
  } else {
    CHECK_SAME_BUT_FOR_PRODUCTS(shape.why, pieces.gradients, expected.gradients);
  }
}

}  // namespace

TEST("device model: what is computed again, and how a batch is cut, changes nothing") {
  check_in_parts(device_shapes()[1], {});
  check_in_parts(device_shapes()[2], {});
  check_in_parts(device_shapes()[0], lora_config(5, kAllTargets, 0.25));
}

TEST("device model: steps follow the CPU's, and a norm that is not finite changes nothing") {
  Pair p = make_pair(device_shapes()[0], small_options());
  const masksearch::AdamW adamw{1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0};
  const Run first = run_device(p, device_loss());
  // The CPU steps with the device's gradients, so that only AdamW is compared.
  std::copy(first.gradients.begin(), first.gradients.end(), p.model->gradients());
  const double cpu_norm = p.model->step(adamw), norm = p.device->step(adamw);
  CHECK(std::fabs(norm - cpu_norm) < 1e-5 * cpu_norm);
  std::vector<float> weights(p.model->parameter_count());
  p.device->read(cuda::Arena::weights, 0, weights.size(), weights.data());
  const std::vector<float> expected(p.model->weights(), p.model->weights() + weights.size());
  CHECK_WITHIN("weights", weights, expected, 1e-7, 1e-6);
  CHECK(p.device->version() == 1);

  double loss = 0;
  for (int i = 0; i < 5; i++) {
    loss = run_device(p, device_loss()).result.loss;
    p.device->step(adamw);
  }
  CHECK(loss < 0.97 * first.result.loss);

  const float nan = NAN;
  p.device->write(cuda::Arena::gradients, 7, 1, &nan);
  CHECK_THROWS(std::runtime_error, "expected finite gradients", p.device->step(adamw));
  CHECK(p.device->version() == 6);
}

TEST("device model: refusals") {
  masksearch::DecoderConfig odd = device_shapes()[0].config;
  odd.width = 30;
  CHECK_THROWS(std::invalid_argument, "width to be a multiple of 8, received 30",
               cuda::DeviceModel(odd, {}, small_options()));
  CHECK_THROWS(cuda::MemoryError, "set memoryBytes between the two",
               cuda::DeviceModel(device_shapes()[0].config, {}, small_options(1000)));
  Pair p = make_pair(device_shapes()[0], small_options());
  p.tokens[3] = 61;
  CHECK_THROWS(std::invalid_argument, "received 61 at index 3", run_device(p, device_loss()));
}

TEST("device memory: training beside a sampler, and its memory back when it closes") {
  Pair p = make_pair(device_shapes()[0], small_options());
  const size_t before = p.device->state.free_bytes();
  {
    cuda::DeviceSampler one(*p.device, 1, 64);
    auto two = std::make_unique<cuda::DeviceSampler>(*p.device, 1, 64);
    CHECK(p.device->state.free_bytes() < before);
    run_device(p, device_loss());
    two.reset();
    run_device(p, device_loss());
  }
  CHECK(p.device->state.free_bytes() == before);
}
