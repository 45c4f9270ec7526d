// Work as graphs: what is recorded and what is not, and that training by replays gives the bits of
// training without them, though shapes, learning rates and dropout differ from step to step.
#include "device_fixtures.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

struct Example {
  std::vector<int32_t> tokens, offsets = {0};
  std::vector<uint8_t> mask;

  masksearch::Batch batch() const {
    return {tokens.data(), offsets.data(), mask.data(), int(tokens.size()),
            int(offsets.size()) - 1};
  }
};

Example example(const std::vector<int>& lengths, int vocabulary, uint32_t seed) {
  Random random(seed);
  Example e;
  for (const int length : lengths) {
    for (int t = 0; t < length; t++) {
      e.tokens.push_back(int32_t(random.uniform() * vocabulary));
      e.mask.push_back(t > 0);
    }
    e.offsets.push_back(int32_t(e.tokens.size()));
  }
  return e;
}

// Log-probabilities of every batch, then norms of every step, then the trained weights.
std::vector<float> trained(cuda::DeviceModel& model, const std::vector<Example>& examples,
                           int rounds) {
  std::vector<float> all, norms;
  for (int round = 0; round < rounds; round++) {
    for (const Example& e : examples) {
      std::vector<float> log_probs(e.tokens.size()), entropies(e.tokens.size());
      model.accumulate(e.batch(), device_loss(), log_probs.data(), entropies.data());
      all.insert(all.end(), log_probs.begin(), log_probs.end());
      model.score(e.batch(), log_probs.data(), entropies.data());
      all.insert(all.end(), log_probs.begin(), log_probs.end());
      if (&e != &examples[0])  // the second adds to the gradients of the first
        norms.push_back(float(model.step({1e-3 * (round + 1), 0.9, 0.95, 1e-8, 0.1, 1.0})));
    }
  }
  all.insert(all.end(), norms.begin(), norms.end());
  std::vector<float> weights(model.state.count(cuda::Arena::trained_weights));
  model.read(cuda::Arena::trained_weights, 0, weights.size(), weights.data());
  all.insert(all.end(), weights.begin(), weights.end());
  return all;
}

// Three examples of two sizes. `padded`: 41, 39 and 40 rows become 64, and four tiles but for the last,
// which has two. Else they have 64 rows without, so that products have the sizes that they have without
// graphs; untuned, they are the same on a GPU, too.
std::vector<Example> examples_of(int vocabulary, bool padded) {
  const std::vector<std::vector<int>> lengths =
      padded ? std::vector<std::vector<int>>{{7, 1, 33}, {30, 9}, {40}}
             : std::vector<std::vector<int>>{{30, 34}, {63, 1}, {64}};
  std::vector<Example> examples;
  for (const auto& each : lengths)
    examples.push_back(example(each, vocabulary, uint32_t(examples.size() + 1)));
  return examples;
}

void check_training(const Shape& shape, const masksearch::LoraConfig& lora, bool padded) {
  const auto examples = examples_of(shape.config.vocabulary_size, padded);
  cuda::DeviceOptions graphs = small_options();
  graphs.gemm.tune = padded;
  cuda::DeviceOptions plain = graphs;
  plain.graphs = false;
  Pair without = make_pair(shape, plain, lora), with = make_pair(shape, graphs, lora);
  const int rounds = 3;
  const auto expected = trained(*without.device, examples, rounds);
  const auto received = trained(*with.device, examples, rounds);
  if (padded) {
    CHECK_SAME_BUT_FOR_PRODUCTS(shape.why, received, expected);
  } else {
    CHECK_SAME_BITS(shape.why, received.data(), expected.data(), expected.size());
  }
  CHECK(without.device->graphs.recorded() == 0 && without.device->graphs.size() == 0);
  // Forward, backward and scored, of two sizes each, and the optimizer's.
  CHECK(with.device->graphs.size() == 7);
  CHECK(with.device->graphs.replayed() > 2 * with.device->graphs.recorded());
}

}  // namespace

TEST("device graphs: training by replays gives the same bits") {
  for (const bool padded : {false, true}) {
    if (kOneOrder && !padded) continue;  // where padding changes no bit there is nothing to add
    check_training(device_shapes()[0], {}, padded);
    check_training(device_shapes()[2], lora_config(5, kAllTargets, 0.25), padded);
  }
}

TEST("device graphs: a sampler that comes and goes changes no result") {
  const Shape& shape = device_shapes()[0];
  const Example e = example({7, 1, 33}, shape.config.vocabulary_size, 1);
  cuda::DeviceOptions plain = small_options();
  plain.graphs = false;
  Pair without = make_pair(shape, plain), with = make_pair(shape, small_options());
  for (int round = 0; round < 3; round++) {
    std::unique_ptr<cuda::DeviceSampler> sampler;
    if (round == 1) sampler = std::make_unique<cuda::DeviceSampler>(*with.device, 2, 64);
    const auto expected = trained(*without.device, {e, e}, 1);
    const auto received = trained(*with.device, {e, e}, 1);
    CHECK_SAME_BUT_FOR_PRODUCTS("training", received, expected);
  }
}

TEST("device graphs: passes without room to spare are not padded") {
  const Shape& shape = device_shapes()[0];
  Pair roomy = make_pair(shape, small_options());
  CHECK(roomy.device->memory_report().find("pass of") == std::string::npos);
  run_device(roomy, device_loss());
  CHECK(roomy.device->memory_report().find("training pass of 64 rows") != std::string::npos);
  const size_t exact =
      cuda::plan_training(shape.config, {},
                          cuda::pass_lists(roomy.batch(), 0, int(shape.lengths.size())).size(true),
                          roomy.device->state.free_begin(), kSlab / 2, 0)
          .bytes;
  Pair tight = make_pair(shape, small_options(roomy.device->state.plan.end + exact));
  run_device(tight, device_loss());
  CHECK(tight.device->memory_report().find("training pass of 41 rows") != std::string::npos);
}

TEST("pass lists: padding repeats the longest sequence, and tiles that are added have no rows") {
  const Example e = example({5, 70, 2}, 50, 4);
  const cuda::PassLists exact = cuda::pass_lists(e.batch(), 0, 3), more = cuda::padded(exact);
  CHECK(exact.rows() == 77 && exact.queries.size() == 4 && exact.keys.size() == 4);
  CHECK(more.rows() == 128 && more.queries.size() == 8 && more.keys.size() == 8);
  CHECK(more.labels == exact.labels);
  for (int row = 77; row < 128; row++) {
    CHECK(more.tokens[size_t(row)] == exact.tokens[size_t(row) - 77 + 5]);
    CHECK(more.positions[size_t(row)] == row - 77);
  }
  for (size_t tile = 5; tile < 8; tile++)
    CHECK(more.queries[tile].rows == 0 && more.keys[tile].rows == 0);
  const Example whole = example({64}, 50, 5);
  CHECK(cuda::padded(cuda::pass_lists(whole.batch(), 0, 1)).rows() == 64);
  const Example large = example({3000}, 50, 6);
  CHECK(cuda::padded(cuda::pass_lists(large.batch(), 0, 1)).rows() == 3072);
  const cuda::PassSize size = cuda::padded_size(more, true);
  CHECK(size.rows == 128 && size.tiles == 8 && size.labels == 128 && size.pairs == 8);
}

namespace {

struct Cache {
  cuda::DeviceBuffer workspace{1 << 20};
  cuda::Gemm gemm{stream(), workspace.data(), 1 << 20, "test device", {true, ""}};
  cuda::GraphCache graphs{stream(), gemm, 2};
};

}  // namespace

TEST("graph cache: the first run as it is, then replays that read what lies on the device by then") {
  Cache cache;
  DeviceArray<int32_t> from(std::vector<int32_t>{1}), to(std::vector<int32_t>{0});
  int calls = 0;
  const auto copy = [&] {
    calls++;
    stream().copy(to.data(), from.data(), sizeof(int32_t));
  };
  for (int32_t value = 1; value <= 4; value++) {
    stream().to_device(from.data(), &value, sizeof value);
    cache.graphs.run({1}, false, copy);
    CHECK(to.read()[0] == value);
  }
  CHECK(calls == 2 && cache.graphs.recorded() == 1 && cache.graphs.replayed() == 3);
  cache.graphs.run({1}, true, copy);  // may tune: as it is, once
  CHECK(calls == 3 && cache.graphs.replayed() == 3);
  cache.graphs.run({1}, true, copy);
  CHECK(calls == 3 && cache.graphs.replayed() == 4);
  // Two others come: the first key is forgotten, and starts anew.
  for (const int64_t key : {2, 3, 1}) cache.graphs.run({key}, false, copy);
  CHECK(calls == 6 && cache.graphs.size() == 2);
}

TEST("graph cache: work that throws while it is recorded leaves the stream as it was") {
  Cache cache;
  DeviceArray<int32_t> to(std::vector<int32_t>{7});
  bool fails = false;
  const auto work = [&] {
    stream().clear(to.data(), sizeof(int32_t));
    if (fails) throw std::runtime_error("out of luck");
  };
  cache.graphs.run({1}, false, work);
  fails = true;
  CHECK_THROWS(std::runtime_error, "out of luck", cache.graphs.run({1}, false, work));
  CHECK(!stream().recording());
  const int32_t nine = 9;
  stream().to_device(to.data(), &nine, sizeof nine);
  CHECK(to.read()[0] == 9);
  fails = false;
  cache.graphs.run({1}, false, work);
  CHECK(to.read()[0] == 0 && cache.graphs.recorded() == 1);
}

TEST("graph cache: a graph is recorded again when a product in it has been tuned after all") {
  Cache cache;
  DeviceArray<bfloat16> a(size_t(3) * 16), b(size_t(8) * 16);
  DeviceArray<float> d(size_t(3) * 8);
  cuda::Product p{3, 8, 16, {a.data(), 16, false}, {b.data(), 16, true}};
  p.d_row = p.addend_row = 8;
  p.d = d.data();
  p.addend = d.data();
  p.storage = cuda::Storage::float32;
  const auto run = [&](bool zero) {
    p.addend_is_zero = zero;
    cache.graphs.run({1}, zero, [&] { cache.gemm.run(p); });
  };
  run(false);
  run(false);
  CHECK(cache.graphs.recorded() == 1 && cache.gemm.revision() == 0);
  run(true);
  CHECK(cache.gemm.choices().size() == 1 && cache.gemm.revision() == 1);
  run(false);  // as it is
  CHECK(cache.graphs.recorded() == 1 && cache.graphs.replayed() == 1);
  run(false);
  run(true);
  CHECK(cache.graphs.recorded() == 2 && cache.graphs.replayed() == 3);
}

#if defined(MASKSEARCH_EMULATED)
TEST("emulator: what cannot be recorded is refused") {
  Cache cache;
  DeviceArray<int32_t> to(std::vector<int32_t>{0});
  cuda::HostBuffer pinned(64);
  const auto refused = [&](int64_t key, const std::function<void()>& work) {
    cache.graphs.run({key}, false, work);
    CHECK_THROWS(cuda::DeviceError, "while a graph is recorded",
                 cache.graphs.run({key}, false, work));
  };
  int32_t local = 3;
  refused(1, [&] { stream().to_device(to.data(), &local, sizeof local); });
  refused(2, [&] { stream().to_host(&local, to.data(), sizeof local); });
  refused(3, [&] { stream().synchronize(); });
  refused(4, [&] { cuda::DeviceBuffer more(16); });
  refused(5, [&] { cuda::Stopwatch().start(stream()); });
  refused(7, [&] { cuda::HostBuffer more(16); });
  auto held = std::make_unique<cuda::DeviceBuffer>(16);
  cache.graphs.run({8}, false, [] {});
  CHECK_THROWS(cuda::DeviceError, "freed while it was recorded",
               cache.graphs.run({8}, false, [&] { held.reset(); }));
  CHECK(!stream().recording());
  const auto allowed = [&] { stream().to_host(pinned.data(), to.data(), sizeof local); };
  cache.graphs.run({6}, false, allowed);
  cache.graphs.run({6}, false, allowed);
  CHECK(cache.graphs.recorded() == 1);
}
#endif
