// The memory plan against what buffers really hold.
#include <memory>

#include "cpu_memory_plan.h"
#include "fixtures.h"

using namespace masksearch;
using namespace test;

namespace {

// Trains one batch and fills a sampler, and returns the most that was held meanwhile.
size_t most_held_by(const Shape& shape, const MemoryUse& use) {
  forget_most_held();
  const size_t before = held_memory().now;
  Fixture f = make_fixture(shape, 81, use.threads, true, use.type);
  if (use.lora.rank > 0) {
    f.model.reset();  // the one without an adapter
    forget_most_held();
    f.model = std::make_unique<Model>(shape.config, use.threads, use.lora, use.type);
    fill_weights(f.model.get(), 81);
  }
  std::vector<float> log_probs(f.tokens.size()), entropies(f.tokens.size());
  if (use.batch_tokens > 0) {
    TokenLoss loss{LossKind::cross_entropy};
    loss.scale = 1;
    f.model->accumulate(f.batch(), loss, log_probs.data(), entropies.data());
    f.model->step({1e-3});
  }
  if (use.sequences > 0) {
    Sampler sampler(*f.model, use.sequences, use.context_tokens);
    std::vector<int32_t> prompt(size_t(use.context_tokens) - 3, 1);
    for (int s = 0; s < use.sequences; s++) {
      prompt[0] = s;  // none begins like another, so all are read
      sampler.generate(sampler.open(prompt.data(), int(prompt.size()), 1, uint32_t(s)),
                       {3, {}, 1.0f, 0});
    }
    std::vector<Generated> finished;
    while (sampler.step(&finished)) {
    }
    return held_memory().most - before;
  }
  return held_memory().most - before;
}

// The plan leaves out the 256 bytes of slack behind each buffer, a percent of models this small.
TEST("the most that buffers hold is what the plan says, to a percent") {
  const DecoderConfig config{300, 64, 3, 4, 2, 16, 96, 1e6, 1e-6, 3000, true, true};
  DecoderConfig untied = config;
  untied.tied_embeddings = false;
  untied.query_key_norm = true;
  LoraConfig lora;
  lora.rank = 8;
  lora.alpha = 16;
  lora.dropout = 0.1;
  lora.targets[kQuery] = lora.targets[kDown] = true;
  struct Case {
    Shape shape;
    MemoryUse use;
  };
  const Case cases[] = {
      {{"training", config, {512, 512, 512, 512}}, {1, 2048, 512, 0, 0}},
      {{"two threads, two passes", untied, {1024, 1024, 1024}}, {2, 3072, 1024, 0, 0}},
      {{"one sequence longer than a pass", config, {2500}}, {1, 2500, 2500, 0, 0}},
      {{"sampling", config, {}}, {2, 0, 0, 20, 500}},
      {{"both", untied, {256, 256}}, {1, 512, 256, 8, 600}},
      {{"an adapter", config, {512, 512, 512, 512}}, {2, 2048, 512, 0, 0, lora}},
  };
  for (DataType type : {DataType::float32, DataType::bfloat16})
    for (const Case& c : cases) {
      MemoryUse use = c.use;
      use.type = type;
      const double planned = double(plan_memory(c.shape.config, use).total());
      const double ratio = double(most_held_by(c.shape, use)) / planned;
      if (!(ratio <= 1.01 && ratio >= 0.99))
        fail(__FILE__, __LINE__,
             std::string(c.shape.why) + (type == DataType::float32 ? "" : ", bfloat16") +
                 ": held / planned is " + std::to_string(ratio));
    }
}

TEST("what a model held is free again when it is gone") {
  const size_t before = held_memory().now;
  const Shape shape{"", {50, 16, 1, 2, 1, 8, 24, 1e4, 1e-6, 64, true, true}, {20}};
  most_held_by(shape, {1, 20, 20, 2, 30});
  CHECK(held_memory().now == before);
}

TEST("a plan of nothing is refused") {
  const DecoderConfig config{300, 64, 3, 4, 2, 16, 96, 1e6, 1e-6, 3000, true, true};
  CHECK_THROWS(std::invalid_argument, "plan_memory: expected numbers of tokens",
               plan_memory(config, {1, -5, 0, 0, 0}));
  CHECK_THROWS(std::invalid_argument, "threads", plan_memory(config, {0, 5, 0, 0, 0}));
}

}  // namespace
