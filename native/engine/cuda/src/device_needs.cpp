// Device memory of a model, before there is one.
#include "device_needs.h"

#include <algorithm>

#include "device_config.h"
#include "memory_plan.h"
#include "parameters.h"
#include "tiles.h"

namespace masksearch::cuda {

namespace {

// The largest pass of a batch of equal sequences, every token labelled.
PassSize pass_of(const MemoryUse& use) {
  const int longest = use.longest_sequence > 0 ? use.longest_sequence : use.batch_tokens;
  const int rows = std::min(use.batch_tokens, std::max(kPassTokens, longest));
  std::vector<RowRun> runs;
  for (int row = 0; row < rows; row += longest)
    runs.push_back({row, std::min(longest, rows - row), 0, int32_t(runs.size())});
  return {rows, int(query_tiles(runs).size()), rows, true, tile_pairs(runs)};
}

}  // namespace

MemoryPlan device_needs(const DecoderConfig& config, const MemoryUse& use, size_t memory_bytes) {
  check_device_config(config, use.lora);
  const Layout layout(config);
  const AdapterLayout adapter(config, use.lora);
  const bool frozen = use.lora.rank > 0;
  const size_t trained = frozen ? adapter.count : layout.count;
  const std::vector<Parameter>& parameters = frozen ? adapter.parameters : layout.parameters;
  const StatePlan state = plan_state(config, frozen ? layout.count : 0, trained,
                                     arena_spans(parameters, 0).size());
  MemoryPlan plan;
  plan.weights = (frozen ? layout.count + trained : trained) * sizeof(bf16);
  plan.gradients = trained * sizeof(float);
  plan.moments = trained * (2 * sizeof(float) + sizeof(int16_t));
  plan.scratch = state.end - plan.weights - plan.gradients - plan.moments;
  if (use.sequences > 0 && use.context_tokens > 0) {
    const SamplerPlan sampler = plan_sampler(config, use.lora, use.sequences, use.context_tokens,
                                             SIZE_MAX);
    plan.key_values = sampler.layer_pool_bytes * size_t(config.layers);
    plan.scratch += sampler.bytes - plan.key_values;
  }
  if (use.batch_tokens > 0) {
    const size_t held = plan.total();
    const size_t left = memory_bytes > held ? memory_bytes - held : 0;
    const PassSize size = pass_of(use);
    const auto found = find_training_plan(config, use.lora, size, state.end, left);
    const TrainingPlan pass =
        found ? *found : least_training_plan(config, use.lora, size, state.end, left);
    plan.loss_head = size_t(pass.chunk_rows) * size_t(logits_row(config)) * sizeof(float);
    plan.activations = pass.bytes - plan.loss_head;
  }
  return plan;
}

}  // namespace masksearch::cuda
