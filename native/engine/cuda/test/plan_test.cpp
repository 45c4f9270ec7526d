// The memory planner: budgets that fit, what is computed again first, and refusals that help.
#include <algorithm>

#include "check.h"
#include "device_needs.h"
#include "memory_plan.h"
#include "parameters.h"
#include "tiles.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

constexpr size_t kGiB = size_t(1) << 30;

// Qwen2.5-1.5B.
masksearch::DecoderConfig qwen() {
  return {151936, 1536, 28, 12, 2, 128, 8960, 1e6, 1e-6, 32768, true, true};
}

struct Range {
  size_t begin, end;
  const char* name;
};

// No two buffers that live at the same time overlap, and all lie in the budget.
void check_disjoint(std::vector<Range> ranges, size_t begin, size_t end) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (size_t i = 0; i < ranges.size(); i++) {
    if (ranges[i].begin < begin || ranges[i].end > end || ranges[i].begin % 256 != 0)
      fail(__FILE__, __LINE__, std::string(ranges[i].name) + " lies outside or unaligned");
    if (i > 0 && ranges[i].begin < ranges[i - 1].end)
      fail(__FILE__, __LINE__,
           std::string(ranges[i - 1].name) + " overlaps " + ranges[i].name);
  }
}

}  // namespace

TEST("plan: the state of a 1.5B model is 16 bytes a parameter and little more") {
  const masksearch::DecoderConfig c = qwen();
  const masksearch::Layout layout(c);
  CHECK(layout.count > 1540000000 && layout.count < 1550000000);
  const cuda::StatePlan p =
      cuda::plan_state(c, 0, layout.count, cuda::arena_spans(layout.parameters, 0.1f).size());
  CHECK(p.end > 16 * layout.count && p.end < 16 * layout.count + kGiB / 4);
  CHECK(p.table.find("GiB  AdamW moments (f32)") != std::string::npos);
  CHECK(p.table.find("MiB  rotary table") != std::string::npos);
}

TEST("plan: spans cover every value once, and decay only matrices of the layers") {
  const masksearch::Layout layout(qwen());
  const auto spans = cuda::arena_spans(layout.parameters, 0.1f);
  int64_t next = 0;
  for (const cuda::Span& span : spans) {
    CHECK(span.offset == next && span.count > 0 && span.count <= cuda::kSpanValues);
    CHECK(span.offset % 8 == 0);
    next += span.count;
  }
  CHECK(size_t(next) == layout.count);
  CHECK(spans[0].decay == 0 && spans.back().decay == 0);
  CHECK(std::any_of(spans.begin(), spans.end(), [](const auto& s) { return s.decay == 0.1f; }));
}

TEST("plan: less memory, more computed again: gate and up first, then whole layers") {
  const masksearch::DecoderConfig c = qwen();
  const cuda::PassSize size = {16384, 260, 12000, true, 4224};
  int previous_cost = -1;
  size_t smallest = 0;
  for (size_t budget = 100 * kGiB; budget > kGiB; budget -= kGiB) {
    cuda::TrainingPlan p;
    try {
      p = cuda::plan_training(c, {}, size, 12345 * 256, budget, 0);
    } catch (const cuda::MemoryError&) {
      break;
    }
    smallest = budget;
    CHECK(p.bytes <= budget);
    CHECK(p.kept_everything + p.kept_without_gate_up + p.kept_input == c.layers);
    CHECK(p.kept_input == 0 || p.kept_everything == 0);
    const int cost = p.kept_without_gate_up + 100 * p.kept_input;
    CHECK(cost >= previous_cost);
    previous_cost = cost;
    CHECK(p.chunk_rows >= 64 && p.chunk_rows <= size.labels);
  }
  CHECK(previous_cost > 100);  // the smallest budget kept inputs only
  CHECK(smallest < 10 * kGiB);
  const cuda::TrainingPlan roomy = cuda::plan_training(c, {}, size, 0, 100 * kGiB, 0);
  CHECK(roomy.kept_everything == 28);
  // 1.38 MB a token of kept activations, plus the working set and a chunk of logits
  CHECK(roomy.bytes > size_t(16384) * 1380000 && roomy.bytes < size_t(16384) * 1700000 + kGiB);
}

TEST("plan: logits in few chunks of equal size where memory is plentiful") {
  const auto chunk = [](int labels, size_t available) {
    return cuda::least_training_plan(qwen(), {}, {16384, 256, labels, true, 0}, 0, available)
        .chunk_rows;
  };
  CHECK(chunk(16368, 100 * kGiB) == 4096);  // of 4416 that 2.5 GiB hold
  CHECK(chunk(16368, 20 * kGiB) == 1664);   // of 1728 that 1 GiB holds
  CHECK(chunk(16368, 0) == 64);
  CHECK(chunk(70, 100 * kGiB) == 70 && chunk(65, 0) == 64);
}

TEST("plan: gradients of scores are kept for as many key heads at a time as a sixteenth holds") {
  masksearch::DecoderConfig c = qwen();
  c.key_value_heads = 4;
  // The pairs of one sequence of 64 tiles: 3 heads to a key head, 2080 pairs of 8 kB each.
  cuda::PassSize size = {256, 64, 255, true, 2080};
  const size_t head = size_t(2080) * 3 * 8192;
  const auto key_heads = [&](size_t available) {
    const auto plan = cuda::find_training_plan(c, {}, size, 0, available);
    if (plan->kept_key_heads > 0)
      CHECK(plan->kept_scores > 0 && plan->kept_scores + head * plan->kept_key_heads <= plan->bytes);
    return plan->kept_key_heads;
  };
  CHECK(key_heads(100 * kGiB) == 4);
  CHECK(key_heads(16 * 3 * head) == 2);  // two groups, of equal size
  CHECK(key_heads(16 * head + 16) == 1);
  CHECK(cuda::kept_score_bytes(cuda::attention_shape(c), 2080, 1) == head);
  size.pairs = int64_t(1) << 24;
  CHECK(key_heads(100 * kGiB) == 0);
}

TEST("plan: buffers of a pass do not overlap") {
  const masksearch::DecoderConfig c = {50, 32, 3, 4, 2, 16, 48, 1e4, 1e-6, 128, true, true};
  const int n = 100;
  for (const size_t budget : {size_t(64) << 20, size_t(400000), size_t(330000)}) {
    const size_t start = 4096;
    const cuda::TrainingPlan p = cuda::plan_training(c, {}, {n, 4, 60, true}, start, budget, 0);
    const size_t rows = size_t(n);
    std::vector<Range> ranges = {
        {p.tokens, p.tokens + rows * 4, "tokens"},
        {p.positions, p.positions + rows * 4, "positions"},
        {p.query_tiles, p.query_tiles + 4 * sizeof(cuda::QueryTile), "query tiles"},
        {p.key_tiles, p.key_tiles + 4 * sizeof(cuda::KeyTile), "key tiles"},
        {p.order, p.order + rows * 4, "order"},
        {p.order_start, p.order_start + (rows + 1) * 4, "order start"},
        {p.last_x, p.last_x + rows * 64, "last x"},
        {p.dx, p.dx + rows * 64, "dx"},
        {p.hidden, p.hidden + rows * 64, "hidden"},
        {p.d_hidden, p.d_hidden + rows * 64, "d hidden"},
        {p.product, p.product + rows * 96, "product"},
        {p.d_product, p.d_product + rows * 96, "d product"},
        {p.d_attention, p.d_attention + rows * 128, "d attention"},
        {p.d_qkv, p.d_qkv + rows * 256, "d qkv"},
        {p.scratch, p.scratch + 4 * cuda::column_sums_scratch(n, 128), "scratch"},
        {p.logits, p.logits + size_t(p.chunk_rows) * 56 * 4, "logits"},
        {p.chunk_hidden, p.chunk_hidden + size_t(p.chunk_rows) * 64, "chunk hidden"}};
    for (const cuda::LayerPlan& layer : p.layers) {
      ranges.push_back({layer.x, layer.x + rows * 64, "x"});
      if (layer.keep == cuda::Keep::input) continue;
      ranges.push_back({layer.qkv, layer.qkv + rows * 256, "qkv"});
      ranges.push_back({layer.attention, layer.attention + rows * 128, "attention"});
      ranges.push_back({layer.log_sums, layer.log_sums + rows * 16, "log sums"});
      ranges.push_back({layer.x_mid, layer.x_mid + rows * 64, "x mid"});
      if (layer.keep == cuda::Keep::everything)
        ranges.push_back({layer.gate_up, layer.gate_up + rows * 192, "gate and up"});
    }
    check_disjoint(ranges, start, start + budget);
  }
}

TEST("plan: needs of a model are those of its state, its sampler and its pass, with nothing left out") {
  const masksearch::DecoderConfig c = qwen();
  const size_t count = masksearch::Layout(c).count;
  masksearch::MemoryUse use;
  CHECK(cuda::device_needs(c, use, kGiB).total() > 16 * count);
  CHECK(cuda::device_needs(c, use, kGiB).total() < 16 * count + kGiB / 4);
  use.sequences = 64;
  use.context_tokens = 4096;
  const auto sampling = cuda::device_needs(c, use, kGiB);
  CHECK(sampling.key_values == (size_t(64) * 64 + 1) * 64 * 28672);
  use.batch_tokens = 16384;
  use.longest_sequence = 4096;
  const auto roomy = cuda::device_needs(c, use, 100 * kGiB);
  const size_t pass =
      cuda::plan_training(c, {}, {16384, 256, 16384, true, 4 * 2080}, 0,
                          100 * kGiB - sampling.total(), 0).bytes;
  CHECK(roomy.total() == sampling.total() + pass);
  const auto tight = cuda::device_needs(c, use, 42 * kGiB);
  CHECK(tight.total() <= 42 * kGiB && tight.activations < roomy.activations);
  const auto less = cuda::device_needs(c, use, 30 * kGiB);
  CHECK(less.total() > 30 * kGiB && less.total() < tight.total());
  masksearch::LoraConfig lora;
  lora.rank = 16;
  lora.alpha = 32;
  std::fill_n(lora.targets, int(masksearch::kLoraTargets), true);
  use.lora = lora;
  CHECK(cuda::device_needs(c, use, 30 * kGiB).total() <= 30 * kGiB);
  masksearch::DecoderConfig odd = c;
  odd.head_width = 100;
  CHECK_THROWS(std::invalid_argument, "head_width to be a multiple of 16", cuda::device_needs(odd, use, kGiB));
}

TEST("plan: refusals say what asked for how much and which settings lower it") {
  const masksearch::DecoderConfig c = qwen();
  CHECK_THROWS(cuda::MemoryError, "for a pass of 16384 tokens",
               cuda::plan_training(c, {}, {16384, 256, 100, true}, 0, kGiB, 0));
  CHECK_THROWS(cuda::MemoryError, "3.00 GiB held by samplers; lower passTokens",
               cuda::plan_training(c, {}, {16384, 256, 100, true}, 0, kGiB, 3 * kGiB));
  CHECK_THROWS(cuda::MemoryError, "lower maxContextTokens or maxSequences",
               cuda::plan_sampler(c, {}, 64, 32768, kGiB));
}

TEST("plan: a sampler takes full contexts where they fit, else what there is") {
  const masksearch::DecoderConfig c = qwen();
  const cuda::SamplerPlan full = cuda::plan_sampler(c, {}, 64, 4096, 100 * kGiB);
  CHECK(full.pages == 64 * 64 + 1 && full.pages_per_sequence == 64);
  // 28,672 bytes of keys and values a token
  CHECK(full.layer_pool_bytes * 28 == size_t(full.pages) * 64 * 28672);
  const cuda::SamplerPlan tight = cuda::plan_sampler(c, {}, 64, 4096, 4 * kGiB);
  CHECK(tight.pages < full.pages && tight.pages >= 65 && tight.bytes <= 4 * kGiB);
}

TEST("tiles: long work first, and every row once") {
  const std::vector<cuda::RowRun> runs = {{0, 130, 0, 0}, {130, 1, 0, 1}, {131, 64, 0, 2}};
  const auto queries = cuda::query_tiles(runs);
  CHECK(queries.size() == 5);
  CHECK(queries[0].position == 128 && queries[0].rows == 2 && queries[0].sequence == 0);
  const auto keys = cuda::key_tiles(runs);
  CHECK(keys[0].position == 0 && keys[0].length == 130 && keys[0].rows == 64);
  CHECK(cuda::tile_pairs(runs) == 6 + 1 + 1);
  CHECK(queries[0].first_pair == 0 && cuda::tile_pair(0, 2, 2) == 5 && cuda::tile_pair(6, 0, 0) == 6);
  int rows = 0;
  for (const auto& tile : keys) rows += tile.rows;
  CHECK(rows == 195);
  const auto order = cuda::embedding_order({5, 2, 5, 0});
  CHECK((order.token == std::vector<int32_t>{0, 2, 5}));
  CHECK((order.start == std::vector<int32_t>{0, 1, 2, 4}));
  CHECK((order.order == std::vector<int32_t>{3, 1, 0, 2}));
}
