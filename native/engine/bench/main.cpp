// Speed of the engine against the floor its arithmetic sets, as JSON lines:
// {"case", "floor", "measured", "ratio", "unit"}. The peak is measured in the same run by a loop of
// multiply-adds in registers, so ratios mean the same on every machine.
// Arguments: [--clock cpu|wall] [--model small|large] [--threads n] [--seconds s] [--only train|decode]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine.h"
#include "kernels.h"

using namespace masksearch;

namespace {

// Seconds per thread: CPU time by default, which other work on the machine disturbs less, or wall
// time, which also shows waiting.
bool wall_clock = false;
int clock_threads = 1;

double now() {
  if (wall_clock)
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double(t.tv_sec) + 1e-9 * double(t.tv_nsec)) / clock_threads;
}

struct Options {
  DecoderConfig config{1024, 192, 4, 6, 2, 32, 512, 1e6, 1e-6, 2048, true, true};
  std::string model = "small";
  std::string only;
  int threads = 1;
  double seconds = 1;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--threads") {
      o.threads = std::atoi(value);
    } else if (name == "--clock" && (std::string(value) == "cpu" || std::string(value) == "wall")) {
      wall_clock = std::string(value) == "wall";
    } else if (name == "--only") {
      o.only = value;
    } else if (name == "--seconds") {
      o.seconds = std::atof(value);
    } else if (name == "--model" && std::string(value) == "large") {
      o.model = value;
      o.config = {2048, 256, 6, 8, 4, 32, 768, 1e6, 1e-6, 2048, true, true};
    } else if (name != "--model" || std::string(value) != "small") {
      throw std::invalid_argument("bench: expected --model small|large, --threads n or --seconds s, received " +
                                  name + " " + value);
    }
  }
  clock_threads = o.threads;
  return o;
}

void print(const std::string& name, double floor, double measured, double ratio, const char* unit) {
  std::printf("{\"case\":\"%s\",\"floor\":%.4g,\"measured\":%.4g,\"ratio\":%.3f,\"unit\":\"%s\"}\n",
              name.c_str(), floor, measured, ratio, unit);
  std::fflush(stdout);
}

struct Timing {
  double seconds;  // median of one run
  double peak;     // median operations per second of the bursts between the runs
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Floating-point operations per second of `threads` threads at once.
double peak_burst(int threads) {
  constexpr int64_t kRounds = 2000000;  // some milliseconds
  const Kernels& kernels = default_kernels();
  const double start = now();
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back([&] { kernels.peak(kRounds); });
  const double operations = kernels.peak(kRounds) * threads;
  for (std::thread& other : others) other.join();
  return operations / (now() - start);
}

// Bytes per second that `threads` threads read together, each its share of `bytes`, at best of some
// passes: what is as large as the model's weights lies where they lie.
double read_bandwidth(size_t bytes, int threads) {
  constexpr int kColumns = 128;
  constexpr int kPasses = 5;
  const int rows = int(bytes / sizeof(float) / kColumns / size_t(threads));
  static std::vector<float> memory;
  memory.resize(size_t(rows) * kColumns * size_t(threads), 1.0f);
  const auto read = [&](int thread) {
    float sums[kColumns] = {0};
    default_kernels().column_sums(rows, memory.data() + size_t(rows) * kColumns * size_t(thread),
                                  kColumns, sums, 0, kColumns);
  };
  double best = 0;
  for (int pass = 0; pass < kPasses; pass++) {
    const double start = now();
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back(read, i);
    read(0);
    for (std::thread& other : others) other.join();
    best = std::max(best, double(bytes) / (now() - start));
  }
  return best;
}

// Runs body for `seconds`, at least three times, with a burst of the peak loop before each run, so
// that both see the same machine.
template <class Body>
Timing measure(const Options& o, const Body& body) {
  body();
  std::vector<double> seconds, peaks;
  const double end = now() + o.seconds;
  do {
    peaks.push_back(peak_burst(o.threads));
    const double start = now();
    body();
    seconds.push_back(now() - start);
  } while (seconds.size() < 3 || now() < end);
  return {median(seconds), median(peaks)};
}

struct Work {
  double matrices;        // multiply-adds per token in the layers' and output matrices
  double attention_pair;  // multiply-adds per query-key pair, all layers and heads, forward
};

Work work_of(const DecoderConfig& c) {
  const double per_layer = double(c.width) * (2.0 * c.heads + 2.0 * c.key_value_heads) * c.head_width +
                           3.0 * c.width * c.feed_forward_width;
  return {c.layers * per_layer + double(c.vocabulary_size) * c.width,
          2.0 * c.layers * c.heads * c.head_width};
}

void fill_weights(Model* model) {
  uint32_t state = 1;
  for (const Parameter& p : model->parameters())
    for (size_t i = 0; i < p.count; i++) {
      state = state * 1664525u + 1013904223u;
      const float u = float(state >> 8) / float(1 << 24) - 0.5f;
      model->weights()[p.offset + i] = p.shape.size() == 1 ? 1 + 0.1f * u : 0.1f * u;
    }
}

void bench_training(const Options& o, Model* model, int length, int sequences) {
  std::vector<int32_t> tokens, offsets{0};
  std::vector<uint8_t> mask;
  for (int s = 0; s < sequences; s++) {
    for (int t = 0; t < length; t++) {
      tokens.push_back(int32_t((uint64_t(t) * 7919 + uint64_t(s) * 104729) % o.config.vocabulary_size));
      mask.push_back(t > 0);
    }
    offsets.push_back(int32_t(tokens.size()));
  }
  const Batch batch{tokens.data(), offsets.data(), mask.data(), int(tokens.size()), sequences};
  std::vector<float> log_probs(tokens.size()), entropies(tokens.size());
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 1.0 / double(tokens.size());
  const Timing accumulate = measure(o, [&] {
    model->accumulate(batch, loss, log_probs.data(), entropies.data());
    model->step({1e-6});
  });
  const Timing score =
      measure(o, [&] { model->score(batch, log_probs.data(), entropies.data()); });
  // Causal pairs only; the backward pass does twice the forward's work, 2.5 times for attention,
  // whose scores are computed again.
  const Work work = work_of(o.config);
  const double pairs = (length + 1) / 2.0;
  const double forward = 2 * (work.matrices + work.attention_pair * pairs);
  const double training = 2 * (3 * work.matrices + 3.5 * work.attention_pair * pairs);
  const double n = double(tokens.size());
  const std::string shape = o.model + " " + std::to_string(sequences) + "x" +
                            std::to_string(length) + " " + std::to_string(o.threads) + "t";
  print("train " + shape, accumulate.peak / training, n / accumulate.seconds,
        n / accumulate.seconds * training / accumulate.peak, "tokens/s");
  print("score " + shape, score.peak / forward, n / score.seconds,
        n / score.seconds * forward / score.peak, "tokens/s");
}

void bench_decoding(const Options& o, Model* model, int sequences) {
  constexpr int kPrompt = 128;
  const int steps = 128;
  const size_t bytes = model->parameter_count() * sizeof(float);
  std::vector<double> seconds, peaks, reads;
  const double end = now() + o.seconds;
  do {
    peaks.push_back(peak_burst(o.threads));
    reads.push_back(read_bandwidth(bytes, o.threads));
    Sampler sampler(*model, sequences, kPrompt + steps + 8);
    std::vector<int32_t> prompt(kPrompt, 5);
    for (int s = 0; s < sequences; s++) {
      prompt[0] = s % o.config.vocabulary_size;
      const int handle = sampler.open(prompt.data(), kPrompt, 1, uint32_t(s));
      sampler.generate(handle, {steps + 1, {}, 1.0f, 0});
    }
    std::vector<Generated> finished;
    sampler.step(&finished);  // reads the prompts
    const double start = now();
    for (int step = 0; step < steps; step++) sampler.step(&finished);
    seconds.push_back(now() - start);
  } while (seconds.size() < 3 || now() < end);
  const Work work = work_of(o.config);
  const double operations = 2 * (work.matrices + work.attention_pair * (kPrompt + steps / 2.0));
  // A step reads all weights once and each sequence's cache, and does the sequences' arithmetic; the
  // slower of the two bounds it.
  const double context = kPrompt + steps / 2.0;
  const double cache = 2.0 * o.config.layers * o.config.key_value_heads * o.config.head_width *
                       context * sizeof(float);
  const double floor = 1 / std::max(operations / median(peaks),
                                    (double(bytes) / sequences + cache) / median(reads));
  const double rate = double(sequences) * steps / median(seconds);
  print("decode " + o.model + " B=" + std::to_string(sequences) + " " + std::to_string(o.threads) +
            "t",
        floor, rate, rate / floor, "tokens/s");
}

void run(const Options& o) {
  const double peak = peak_burst(o.threads);
  print(std::string("peak ") + default_kernels().name + " " + std::to_string(o.threads) + "t",
        peak / 1e9, peak / 1e9, 1, "GFLOP/s");
  Model model(o.config, o.threads);
  fill_weights(&model);
  if (o.only != "decode") {
    bench_training(o, &model, 256, 16);
    bench_training(o, &model, 512, 8);
    bench_training(o, &model, 1000, 4);
  }
  if (o.only == "train") return;
  bench_decoding(o, &model, 1);
  bench_decoding(o, &model, 64);
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
