// Speed and memory of the engine against the floor that its arithmetic sets, as JSON lines:
// {"case", "floor", "measured", "ratio", "unit", "peer"}. Verifies before it times.
// Arguments: [--model small|large] [--threads n] [--clock cpu|wall] [--seconds s]
//            [--only peak|product|train|score|decode|memory] [--length s] [--batch b] [--dump file]
//            [--dtype float32|bfloat16] [--level NAME of the processor's instructions]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine.h"
#include "kernels.h"
#include "measure.h"
#include "cpu_memory_plan.h"
#include "verify.h"

using namespace masksearch;
using namespace masksearch::bench;

namespace {

constexpr int kBatchTokens = 4096;  // of a training case

struct Options {
  DecoderConfig config{1024, 192, 4, 6, 2, 32, 512, 1e6, 1e-6, 2048, true, true};
  std::string model = "small";
  std::string only;
  std::string dump;
  std::string level;
  int threads = 1;
  bool wall = false;
  DataType type = DataType::float32;
  double seconds = 1;
  std::vector<int> lengths{256, 512, 1024};
  std::vector<int> batches{1, 64};

  bool wants(const char* name) const { return only.empty() || only == name; }
};

[[noreturn]] void refuse(const std::string& expected, const std::string& received) {
  throw std::invalid_argument("bench: expected " + expected + ", received " + received);
}

Level level_named(const std::string& name, DataType type) {
  std::string known;
  for (Level level : levels(type)) {
    const char* its = kernels_of(level, type).name;
    if (name == its) return level;
    known += std::string(known.empty() ? "" : "|") + its;
  }
  refuse("--level " + known, name);
}

int positive(const std::string& name, const std::string& value) {
  const int number = std::atoi(value.c_str());
  if (number < 1) refuse("a number >= 1 for " + name, value);
  return number;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--threads") {
      o.threads = positive(name, value);
    } else if (name == "--length") {
      o.lengths = {positive(name, value)};
    } else if (name == "--batch") {
      o.batches = {positive(name, value)};
    } else if (name == "--seconds") {
      o.seconds = std::atof(value.c_str());
    } else if (name == "--only") {
      o.only = value;
    } else if (name == "--dump") {
      o.dump = value;
    } else if (name == "--clock") {
      if (value != "cpu" && value != "wall") refuse("--clock cpu|wall", value);
      o.wall = value == "wall";
    } else if (name == "--level") {
      o.level = value;
    } else if (name == "--dtype") {
      if (value != "float32" && value != "bfloat16") refuse("--dtype float32|bfloat16", value);
      o.type = value == "float32" ? DataType::float32 : DataType::bfloat16;
    } else if (name == "--model") {
      if (value != "small" && value != "large") refuse("--model small|large", value);
      o.model = value;
      if (value == "large") o.config = {2048, 256, 6, 8, 4, 32, 768, 1e6, 1e-6, 2048, true, true};
    } else {
      refuse("--model, --threads, --clock, --seconds, --only, --length, --batch, --dump, --dtype or "
             "--level", name);
    }
  }
  if (!o.level.empty()) set_default_level(level_named(o.level, o.type), o.type);
  return o;
}

void print(const std::string& name, double floor, double measured, double ratio, const char* unit) {
  std::printf(
      "{\"case\":\"%s\",\"floor\":%.4g,\"measured\":%.4g,\"ratio\":%.3f,\"unit\":\"%s\","
      "\"peer\":null}\n",
      name.c_str(), floor, measured, ratio, unit);
  std::fflush(stdout);
}

std::string label(const Options& o, const std::string& what) {
  return what + (o.type == DataType::bfloat16 ? " bfloat16 " : " ") +
         (o.level.empty() ? "" : o.level + " ") + std::to_string(o.threads) + "t";
}

struct Work {
  double matrices;        // multiply-adds per token in the layers' and output matrices
  double attention_pair;  // multiply-adds per query-key pair, all layers and heads, forward
};

Work work_of(const DecoderConfig& c) {
  const double per_layer =
      double(c.width) * (2.0 * c.heads + 2.0 * c.key_value_heads) * c.head_width +
      3.0 * c.width * c.feed_forward_width;
  return {c.layers * per_layer + double(c.vocabulary_size) * c.width,
          2.0 * c.layers * c.heads * c.head_width};
}

void fill_weights(Model* model) {
  uint32_t state = 1;
  float* weights = model->weights();
  for (const Parameter& p : model->parameters())
    for (size_t i = 0; i < p.count; i++) {
      state = state * 1664525u + 1013904223u;
      const float u = float(state >> 8) / float(1 << 24) - 0.5f;
      weights[p.offset + i] = p.shape.size() == 1 ? 1 + 0.1f * u : 0.1f * u;
    }
}

// Sequences of equal length whose every token but the first is a label.
struct Data {
  std::vector<int32_t> tokens, offsets{0};
  std::vector<uint8_t> mask;
  std::vector<float> log_probs, entropies;

  Data(int vocabulary, int length, int sequences) {
    for (int s = 0; s < sequences; s++) {
      for (int t = 0; t < length; t++) {
        const uint64_t mixed = uint64_t(t) * 7919 + uint64_t(s) * 104729;
        tokens.push_back(int32_t(mixed % uint64_t(vocabulary)));
        mask.push_back(t > 0);
      }
      offsets.push_back(int32_t(tokens.size()));
    }
    log_probs.resize(tokens.size());
    entropies.resize(tokens.size());
  }
  Batch batch() const {
    return {tokens.data(), offsets.data(), mask.data(), int(tokens.size()),
            int(offsets.size()) - 1};
  }
};

void train(Model* model, Data* data) {
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 1.0 / double(data->tokens.size());
  model->accumulate(data->batch(), loss, data->log_probs.data(), data->entropies.data());
  model->step({1e-6});
}

void bench_training(const Options& o, const Clock& clock, Model* model, int length) {
  const int sequences = std::max(1, kBatchTokens / length);
  Data data(o.config.vocabulary_size, length, sequences);
  // Causal pairs only; the backward pass does twice the forward's work, 2.5 times for attention,
  // whose scores are computed again.
  const Work work = work_of(o.config);
  const double pairs = (length + 1) / 2.0;
  const double n = double(data.tokens.size());
  const std::string shape =
      o.model + " " + std::to_string(sequences) + "x" + std::to_string(length);
  const auto report = [&](const std::string& what, double operations, const Timing& t) {
    print(label(o, what + " " + shape), t.peak / operations, n / t.seconds,
          n / t.seconds * operations / t.peak, "tokens/s");
  };
  if (o.wants("train"))
    report("train", 2 * (3 * work.matrices + 3.5 * work.attention_pair * pairs),
           measure(clock, o.type, o.seconds, [&] { train(model, &data); }));
  if (o.wants("score"))
    report("score", 2 * (work.matrices + work.attention_pair * pairs),
           measure(clock, o.type, o.seconds, [&] {
             model->score(data.batch(), data.log_probs.data(), data.entropies.data());
           }));
}

// A product of a layer over and over, its operands in the caches: a tile of rows times gate and up, and
// the gradient of those weights, packing included.
void bench_products(const Options& o, const Clock& clock) {
  constexpr int kRows = 112, kTokens = 256, kRepeats = 20;
  const Kernels& kernels = default_kernels(o.type);
  const int width = o.config.width, wide = 2 * o.config.feed_forward_width;
  const ptrdiff_t row = stored_row(o.type, width), wide_row = stored_row(o.type, wide);
  const std::vector<float> ones(size_t(kTokens) * wide_row, 1.0f);  // bfloat16 sees ones and zeros
  std::vector<float> packed(packed_cells(o.type, wide, std::max(width, kTokens)), 1.0f);
  std::vector<float> result(size_t(wide) * std::max(width, kRows));
  const auto report = [&](const std::string& what, int m, int n, int k, const Timing& t) {
    const double rate = 2.0 * m * n * k * kRepeats / t.seconds;
    const std::string shape = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
    print(label(o, what + " " + shape), t.peak / 1e9, rate / 1e9, rate / t.peak, "GFLOP/s");
  };
  report("product", kRows, wide, width, measure(clock, o.type, o.seconds, [&] {
           for (int i = 0; i < kRepeats; i++)
             kernels.matmul({kRows, wide, width, ones.data(), row, packed.data(),
                             packed_row(o.type), packed_panel(o.type, width), nullptr, 0,
                             result.data(), wide});
         }));
  report("gradient of weights", wide, width, kTokens, measure(clock, o.type, o.seconds, [&] {
           for (int i = 0; i < kRepeats; i++) {
             kernels.pack_rows(width, kTokens, ones.data(), row, packed.data(), 0, panels(width));
             kernels.matmul_transposed({wide, width, kTokens, ones.data(), wide_row, packed.data(),
                                        packed_row(o.type), packed_panel(o.type, kTokens),
                                        result.data(), width, result.data(), width});
           }
         }));
}

void bench_decoding(const Options& o, const Clock& clock, Model* model, int sequences) {
  constexpr int kPrompt = 128;
  constexpr int kSteps = 128;
  const size_t bytes = model->parameter_count() * bytes_of(o.type);
  std::vector<double> seconds, peaks, reads;
  const double end = clock.now() + o.seconds;
  do {
    peaks.push_back(peak_burst(clock, o.type));
    reads.push_back(read_bandwidth(clock, bytes));
    Sampler sampler(*model, sequences, kPrompt + kSteps + 8);
    std::vector<int32_t> prompt(kPrompt, 5);
    for (int s = 0; s < sequences; s++) {
      prompt[0] = s % o.config.vocabulary_size;
      const int handle = sampler.open(prompt.data(), kPrompt, 1, uint32_t(s));
      sampler.generate(handle, {kSteps + 1, {}, 1.0f, 0});
    }
    std::vector<Generated> finished;
    sampler.step(&finished);  // reads the prompts
    const double start = clock.now();
    for (int step = 0; step < kSteps; step++) sampler.step(&finished);
    seconds.push_back(clock.now() - start);
  } while (seconds.size() < 3 || clock.now() < end);
  // A step reads all weights once and each sequence's cache, at the best rate of any burst, and does
  // the sequences' arithmetic; the slower of the two bounds it.
  const Work work = work_of(o.config);
  const double context = kPrompt + kSteps / 2.0;
  const double operations = 2 * (work.matrices + work.attention_pair * context);
  const double cache = 2.0 * o.config.layers * o.config.key_value_heads * o.config.head_width *
                       context * double(bytes_of(o.type));
  const double most_read = *std::max_element(reads.begin(), reads.end());
  const double floor = 1 / std::max(operations / median(peaks),
                                    (double(bytes) / sequences + cache) / most_read);
  const double rate = double(sequences) * kSteps / median(seconds);
  print(label(o, "decode " + o.model + " B=" + std::to_string(sequences)), floor, rate,
        rate / floor, "tokens/s");
}

// A training step of one batch and a full sampler in a model of its own, against the plan.
void bench_memory(const Options& o) {
  constexpr int kLength = 512;
  constexpr int kSequences = 64;
  const MemoryPlan plan =
      plan_memory(o.config, {o.threads, kBatchTokens, kLength, kSequences, kLength, {}, o.type});
  forget_most_held();
  const size_t before = held_memory().now;
  Model model(o.config, o.threads, {}, o.type);
  fill_weights(&model);
  Data data(o.config.vocabulary_size, kLength, kBatchTokens / kLength);
  train(&model, &data);
  Sampler sampler(model, kSequences, kLength);
  std::vector<int32_t> prompt(kLength - 1, 5);
  for (int s = 0; s < kSequences; s++) {
    prompt[0] = s;  // none begins like another, so all are read
    sampler.generate(sampler.open(prompt.data(), int(prompt.size()), 1, uint32_t(s)),
                     {1, {}, 1.0f, 0});
  }
  std::vector<Generated> finished;
  sampler.step(&finished);
  const double planned = double(plan.total()) / (1 << 20);
  const double held = double(held_memory().most - before) / (1 << 20);
  print(label(o, "memory " + o.model), planned, held, held / planned, "MiB");
}

// One JSON line that names the parameters, then their float32, then tokens (int32) and their
// log-probabilities (float32): what bench/peers/engine_torch.py compares with.
void dump(const Options& o, Model* model) {
  Data data(o.config.vocabulary_size, 512, 2);
  model->score(data.batch(), data.log_probs.data(), data.entropies.data());
  std::ofstream file(o.dump, std::ios::binary);
  const DecoderConfig& c = o.config;
  file << "{\"vocab_size\":" << c.vocabulary_size << ",\"hidden_size\":" << c.width
       << ",\"num_hidden_layers\":" << c.layers << ",\"num_attention_heads\":" << c.heads
       << ",\"num_key_value_heads\":" << c.key_value_heads
       << ",\"intermediate_size\":" << c.feed_forward_width << ",\"rope_theta\":" << c.rope_theta
       << ",\"rms_norm_eps\":" << c.norm_epsilon
       << ",\"max_position_embeddings\":" << c.max_positions << ",\"tokens\":" << data.tokens.size()
       << ",\"sequences\":" << data.offsets.size() - 1 << ",\"parameters\":[";
  const char* separator = "";
  for (const Parameter& p : model->parameters()) {
    file << separator << "{\"name\":\"" << p.name << "\",\"shape\":[" << p.shape[0];
    if (p.shape.size() > 1) file << "," << p.shape[1];
    file << "]}";
    separator = ",";
  }
  file << "]}\n";
  const auto write = [&](const void* from, size_t count) {
    file.write(static_cast<const char*>(from), std::streamsize(count * 4));
  };
  for (const Parameter& p : model->parameters()) write(model->weights() + p.offset, p.count);
  write(data.tokens.data(), data.tokens.size());
  write(data.log_probs.data(), data.log_probs.size());
  if (!file.flush()) throw std::runtime_error("bench: could not write " + o.dump);
}

void run(const Options& o) {
  const Clock clock(o.wall, o.threads);
  if (o.wants("memory") && o.dump.empty()) bench_memory(o);
  Model model(o.config, o.threads, {}, o.type);
  fill_weights(&model);
  verify(&model);
  if (!o.dump.empty()) return dump(o, &model);
  if (o.wants("peak")) {
    const double peak = peak_burst(clock, o.type) / 1e9;
    const std::string level = o.level.empty() ? std::string(" ") + default_kernels(o.type).name : "";
    print(label(o, "peak" + level), peak, peak, 1, "GFLOP/s");
  }
  if (o.wants("product") && o.threads == 1) bench_products(o, clock);
  if (o.wants("train") || o.wants("score"))
    for (int length : o.lengths) bench_training(o, clock, &model, length);
  if (o.wants("decode"))
    for (int sequences : o.batches) bench_decoding(o, clock, &model, sequences);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
