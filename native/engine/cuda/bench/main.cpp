// Speed on the GPU against the floors that its own ceilings set, as JSON lines:
// {"case", "floor", "measured", "ratio", "unit"}; ratio 1 is the floor reached. Ceilings (a large
// product, a copy) are measured in the same run. Arguments: [--model 1.5b|0.5b|tiny] [--only part]
// [--cache file] [--graphs on|off], parts: kernels, head (the loss head), train, decode, lora (an adapter of rank 16 on
// all matrices of the model), qwen3 (training Qwen3-0.6B, whose heads are normalised). A part that
// fails is reported and leaves the others; the exit code is 1 then.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "device_sampler.h"

using namespace masksearch;
using namespace masksearch::cuda;

namespace {

struct Options {
  std::string model = "1.5b", only, cache, graphs = "on";
  DecoderConfig config{151936, 1536, 28, 12, 2, 128, 8960, 1e6, 1e-6, 32768, true, true};
  DecoderConfig qwen3{151936, 1024, 28, 16, 8, 128, 3072, 1e6, 1e-6, 40960, false, true, true};
  std::string qwen3_name = "qwen3-0.6b";
  int rows = 16384;       // of a training pass and of the row kernels
  int ceiling = 8192;     // side of the large product
  int runs = 10;
  int decode_tokens = 64;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    std::string* to = name == "--model"    ? &o.model
                      : name == "--only"   ? &o.only
                      : name == "--cache"  ? &o.cache
                      : name == "--graphs" ? &o.graphs
                                           : nullptr;
    if (to == nullptr || i + 1 == argc)
      throw std::invalid_argument(
          "bench: expected --model, --only, --cache or --graphs and a value, received " + name);
    *to = argv[i + 1];
  }
  if (o.graphs != "on" && o.graphs != "off")
    throw std::invalid_argument("bench: expected --graphs on or off, received " + o.graphs);
  const char* parts[] = {"", "kernels", "head", "train", "decode", "lora", "qwen3"};
  if (std::find(std::begin(parts), std::end(parts), o.only) == std::end(parts))
    throw std::invalid_argument(
        "bench: expected --only kernels, head, train, decode, lora or qwen3, received " + o.only);
  if (o.model == "0.5b") {
    o.config = {151936, 896, 24, 14, 2, 64, 4864, 1e6, 1e-6, 32768, true, true};
  } else if (o.model == "tiny") {
    o.config = {97, 64, 2, 2, 1, 64, 96, 1e4, 1e-6, 256, true, true};
    o.qwen3 = {97, 64, 2, 2, 1, 64, 96, 1e4, 1e-6, 256, false, true, true};
    o.qwen3_name = "qwen3-tiny";
    o.rows = 128;
    o.ceiling = 32;
    o.runs = 1;
    o.decode_tokens = 2;
  } else if (o.model != "1.5b") {
    throw std::invalid_argument("bench: expected --model 1.5b, 0.5b or tiny, received " + o.model);
  }
  return o;
}

void print(const std::string& name, double floor, double measured, double ratio,
           const char* unit) {
  std::printf("{\"case\":\"%s\",\"floor\":%.5g,\"measured\":%.5g,\"ratio\":%.3f,\"unit\":\"%s\"}\n",
              name.c_str(), floor, measured, ratio, unit);
  std::fflush(stdout);
}

class Bench {
 public:
  explicit Bench(const Options& options) : o_(options) {}

  // Whether no part failed.
  bool run() {
    open(o_.config, {});
    std::printf("# %s, %d multiprocessors, model %s\n", model_->state.device.name.c_str(),
                model_->state.device.multiprocessors, o_.model.c_str());
    ceilings();
    part("kernels", [&] { kernels(); });
    part("head", [&] { loss_head(); });
    part("train", [&] { train(o_.model); });
    part("decode", [&] { decode(); });
    part("lora", [&] {
      LoraConfig lora;
      lora.rank = 16;
      lora.alpha = 32;
      std::fill_n(lora.targets, int(kLoraTargets), true);
      open(o_.config, lora);
      train(o_.model + " lora 16");
    });
    part("qwen3", [&] {
      open(o_.qwen3, {});
      train(o_.qwen3_name);
    });
    if (model_ != nullptr) std::fprintf(stderr, "%s", model_->memory_report().c_str());
    return failed_ == 0;
  }

 private:
  // The one model of the moment, with random weights; says what the one before used.
  void open(const DecoderConfig& config, const LoraConfig& lora) {
    if (model_ != nullptr) std::fprintf(stderr, "%s", model_->memory_report().c_str());
    model_.reset();
    DeviceOptions device;
    device.pass_tokens = o_.rows;
    device.gemm.cache_file = o_.cache;
    device.graphs = o_.graphs == "on";
    if (o_.model == "tiny") device.memory_bytes = size_t(256) << 20;
    model_ = std::make_unique<DeviceModel>(config, lora, device);
    fill_weights(Arena::weights, state().layout.parameters);
    if (state().frozen()) fill_weights(Arena::trained_weights, state().trained());
  }

  void part(const char* name, const std::function<void()>& work) {
    if (!o_.only.empty() && o_.only != name) return;
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench: %s failed: %s\n", name, error.what());
      failed_++;
    }
  }
  DeviceState& state() { return model_->state; }
  const char* how() const { return o_.graphs == "on" ? "" : " without graphs"; }

  // Median seconds of a run after two that warm up.
  double time(const std::function<void()>& work) {
    Stopwatch watch;
    std::vector<double> seconds;
    for (int i = 0; i < o_.runs + 2; i++) {
      watch.start(state().stream);
      work();
      const double elapsed = watch.stop(state().stream) / 1000;
      if (i >= 2) seconds.push_back(elapsed);
    }
    std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
    return seconds[seconds.size() / 2];
  }

  void fill_weights(Arena arena, const std::vector<Parameter>& parameters) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    std::vector<float> block(1 << 20);
    for (float& x : block) x = normal(random);
    for (const Parameter& p : parameters) {
      const bool norm = p.name.find("norm") != std::string::npos;
      const std::vector<float> ones(norm ? p.count : 0, 1.0f);
      for (size_t first = 0; first < p.count; first += block.size()) {
        const size_t n = std::min(block.size(), p.count - first);
        model_->write(arena, p.offset + first, n, norm ? ones.data() + first : block.data());
      }
    }
  }

  // Random bfloat16 in device memory; multiplying zeros is faster than multiplying numbers.
  bf16* random_values(size_t offset, size_t count) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, 1);
    std::vector<bf16> block(std::min(count, size_t(1) << 20));
    for (bf16& x : block) x = to_bfloat16(normal(random));
    bf16* to = state().at<bf16>(offset);
    for (size_t first = 0; first < count; first += block.size())
      state().stream.to_device(to + first, block.data(),
                               std::min(block.size(), count - first) * sizeof(bf16));
    state().stream.synchronize();
    return to;
  }

  void ceilings() {
    const int64_t n = o_.ceiling;
    Ledger ledger(state().free_begin());
    const size_t bytes = size_t(n * n) * sizeof(bf16);
    const size_t a = ledger.take("a", bytes), b = ledger.take("b", bytes);
    Product p{n, n, n, {random_values(a, size_t(n * n)), n, false},
              {random_values(b, size_t(n * n)), n, true}};
    p.d = state().at<bf16>(ledger.take("d", bytes));
    p.d_row = n;
    flops_ = 2.0 * double(n) * double(n) * double(n) / time([&] { state().gemm->run(p); });
    print("ceiling product " + std::to_string(n), flops_ / 1e12, flops_ / 1e12, 1, "TFLOP/s");
    const size_t copied = std::min(size_t(2) << 30, state().free_bytes() / 4);
    const size_t from = state().free_begin();
    bandwidth_ = 2.0 * double(copied) / time([&] {
                   state().stream.copy(state().at<char>(from + copied), state().at<char>(from),
                                       copied);
                 });
    print("ceiling copy", bandwidth_ / 1e9, bandwidth_ / 1e9, 1, "GB/s");
  }

  void print_bytes(const std::string& name, double bytes, const std::function<void()>& work) {
    const double rate = bytes / time(work);
    print(name, bandwidth_ / 1e9, rate / 1e9, rate / bandwidth_, "GB/s");
  }
  void print_flops(const std::string& name, double operations, const std::function<void()>& work) {
    const double rate = operations / time(work);
    print(name, flops_ / 1e12, rate / 1e12, rate / flops_, "TFLOP/s");
  }

  void kernels() {
    products();
    row_kernels();
    attention(std::min(1024, o_.rows));
    attention(std::min(4096, o_.rows));
    optimizer();
  }

  // The products of a layer: forward, and the gradient of the weights.
  void products() {
    const DecoderConfig& c = o_.config;
    const AttentionShape shape = attention_shape(c);
    const int q = shape.heads * shape.head_width;
    struct Matrix {
      const char* name;
      int64_t outputs, inputs, weight;
    };
    const LayerLayout& at = state().layout.layers[0];
    const Matrix matrices[] = {
        {"qkv", shape.columns(), c.width, int64_t(at.qkv)},
        {"output", c.width, q, int64_t(at.output)},
        {"gate and up", 2 * c.feed_forward_width, c.width, int64_t(at.gate_up)},
        {"down", c.width, c.feed_forward_width, int64_t(at.down)},
    };
    const int64_t N = o_.rows;
    for (const Matrix& m : matrices) {
      Ledger ledger(state().free_begin());
      bf16* x = random_values(ledger.take("x", size_t(N * m.inputs) * 2), size_t(N * m.inputs));
      bf16* y = random_values(ledger.take("y", size_t(N * m.outputs) * 2), size_t(N * m.outputs));
      const double operations = 2.0 * double(N) * double(m.inputs) * double(m.outputs);
      const std::string name = std::string("product ") + m.name;
      // The gradient first: the forward product overwrites y.
      Product gradient{m.outputs, m.inputs, N, {y, m.outputs, true}, {x, m.inputs, false}};
      gradient.addend = gradient.d = state().gradient(size_t(m.weight));
      gradient.addend_row = gradient.d_row = m.inputs;
      gradient.storage = Storage::float32;
      gradient.addend_is_zero = true;
      print_flops(name + " weight gradient", operations, [&] {
        state().gemm->run(gradient);
        gradient.addend_is_zero = false;
      });
      Product forward{N, m.outputs, m.inputs, {x, m.inputs, false},
                      {state().weight(size_t(m.weight)), m.inputs, true}};
      forward.d = y;
      forward.d_row = m.outputs;
      print_flops(name, operations, [&] { state().gemm->run(forward); });
    }
    clear_gradients();
  }

  void clear_gradients() {
    state().stream.clear(state().gradient(0), state().count(Arena::gradients) * sizeof(float));
    state().stream.synchronize();
  }

  // Norm, logits, log-probabilities and entropies, the host's turn, and the way back, of some 8,192 rows
  // in the chunks that training takes. Operations of its three products alone, none twice.
  void loss_head() {
    const DecoderConfig& c = o_.config;
    const auto plan = find_training_plan(c, {}, {o_.rows, 1, o_.rows, true, 0},
                                         state().free_begin(), state().free_bytes());
    if (!plan) throw MemoryError("bench: expected room for a pass");
    const TrainingPlan& p = *plan;
    const int rows = p.chunk_rows, chunks = std::max(1, std::min(8192, o_.rows) / rows);
    const bf16* x = random_values(p.last_x, size_t(o_.rows) * c.width);
    bf16* dx = state().at<bf16>(p.dx);
    std::vector<int32_t> row_of, targets;
    std::vector<float> d_log_probs(size_t(rows), -1e-4f), d_entropies(size_t(rows), 0);
    for (int i = 0; i < rows; i++) {
      row_of.push_back(i);
      targets.push_back(i % c.vocabulary_size);
    }
    std::vector<RowStatistics> statistics(static_cast<size_t>(rows));
    std::vector<float> log_probs(static_cast<size_t>(rows));
    Stream& s = state().stream;
    DeviceDecoder& decoder = model_->decoder;
    float* logits = state().at<float>(p.logits);
    const auto upload = [&](size_t offset, const auto& values) {
      s.to_device(state().at<char>(offset), values.data(), values.size() * sizeof(values[0]));
    };
    s.clear(dx, size_t(o_.rows) * c.width * sizeof(bf16));
    bool first = true;  // so that the gradient of the weights is tuned
    const auto chunk = [&] {
      upload(p.row_of, row_of);
      upload(p.targets, targets);
      bf16* hidden = state().at<bf16>(p.chunk_hidden);
      decoder.final_norm(rows, x, state().at<int32_t>(p.row_of), hidden,
                         state().at<float>(p.chunk_rstd));
      decoder.logits(rows, hidden, logits);
      row_statistics(s, rows, c.vocabulary_size, logits, logits_row(c),
                     state().at<int32_t>(p.targets), state().at<RowStatistics>(p.statistics),
                     state().at<float>(p.log_probs));
      s.to_host(statistics.data(), state().at<RowStatistics>(p.statistics),
                statistics.size() * sizeof(RowStatistics));
      s.to_host(log_probs.data(), state().at<float>(p.log_probs),
                log_probs.size() * sizeof(float));
      s.synchronize();
      upload(p.d_log_probs, d_log_probs);
      upload(p.d_entropies, d_entropies);
      row_gradient(s, rows, c.vocabulary_size, logits, logits_row(c),
                   state().at<int32_t>(p.targets), state().at<RowStatistics>(p.statistics),
                   state().at<float>(p.d_log_probs), state().at<float>(p.d_entropies));
      decoder.logits_backward(rows, logits, hidden, first, state().at<bf16>(p.d_chunk_hidden));
      decoder.final_norm_backward(rows, state().at<bf16>(p.d_chunk_hidden), x,
                                  state().at<int32_t>(p.row_of), state().at<float>(p.chunk_rstd),
                                  dx, state().at<float>(p.scratch));
      first = false;
    };
    print_flops("loss head " + std::to_string(chunks * rows) + " rows",
                6.0 * chunks * rows * c.width * double(c.vocabulary_size), [&] {
                  for (int i = 0; i < chunks; i++) chunk();
                });
    clear_gradients();
  }

  void row_kernels() {
    const int N = o_.rows, C = o_.config.width, F = o_.config.feed_forward_width;
    Ledger ledger(state().free_begin());
    const size_t c = size_t(N) * C, f = size_t(N) * F;
    bf16* x = random_values(ledger.take("x", c * 2), c);
    bf16* y = random_values(ledger.take("y", c * 2), c);
    bf16* dx = random_values(ledger.take("dx", c * 2), c);
    float* r = state().at<float>(ledger.take("r", size_t(N) * 4));
    float* dw = state().at<float>(ledger.take("dw", size_t(C) * 4));
    float* scratch =
        state().at<float>(ledger.take("scratch", rms_norm_backward_scratch(N, C) * 4));
    bf16* gate_up = random_values(ledger.take("gate_up", f * 4), 2 * f);
    bf16* product = random_values(ledger.take("product", f * 2), f);
    const bf16* w = state().weight(state().layout.final_norm);
    Stream& s = state().stream;
    print_bytes("rms_norm", 4.0 * double(c),
                [&] { rms_norm(s, N, C, x, nullptr, w, 1e-6f, y, r); });
    print_bytes("rms_norm backward", 8.0 * double(c), [&] {
      rms_norm_backward(s, N, C, y, x, nullptr, w, r, dx, dw, scratch);
    });
    print_bytes("swiglu", 6.0 * double(f), [&] { swiglu(s, N, F, gate_up, product); });
    print_bytes("swiglu backward", 12.0 * double(f),
                [&] { swiglu_backward(s, N, F, product, gate_up, product); });
  }

  // Of o_.rows tokens in sequences of `length`.
  void attention(int length) {
    const AttentionShape shape = attention_shape(o_.config);
    const int N = o_.rows / length * length;
    std::vector<RowRun> runs;
    for (int row = 0; row < N; row += length) runs.push_back({row, length, 0, row / length});
    const std::vector<QueryTile> queries = query_tiles(runs);
    const std::vector<KeyTile> keys = key_tiles(runs);
    Ledger ledger(state().free_begin());
    const size_t q = size_t(N) * shape.heads * shape.head_width;
    const size_t w = size_t(N) * shape.columns();
    bf16* qkv = random_values(ledger.take("qkv", w * 2), w);
    bf16* d_qkv = random_values(ledger.take("d_qkv", w * 2), w);
    bf16* out = random_values(ledger.take("out", q * 2), q);
    bf16* d_out = random_values(ledger.take("d_out", q * 2), q);
    float* sums = state().at<float>(ledger.take("sums", size_t(N) * shape.heads * 4));
    float* scratch = state().at<float>(
        ledger.take("scratch", attention_backward_scratch(shape, N) * sizeof(float)));
    auto* query_tile = state().at<QueryTile>(ledger.take("q", queries.size() * sizeof(QueryTile)));
    auto* key_tile = state().at<KeyTile>(ledger.take("k", keys.size() * sizeof(KeyTile)));
    Stream& s = state().stream;
    s.to_device(query_tile, queries.data(), queries.size() * sizeof(QueryTile));
    s.to_device(key_tile, keys.data(), keys.size() * sizeof(KeyTile));
    s.synchronize();
    const int tiles = int(queries.size());
    // Two products of S^2 / 2 by D forward, five backward, as everyone counts causal attention.
    const double forward = 2.0 * double(N) * length * shape.heads * shape.head_width;
    const std::string at = " S " + std::to_string(length);
    print_flops("attention" + at, forward, [&] {
      attention_forward(s, shape, N, tiles, query_tile, qkv, out, sums);
    });
    const KeptScores kept = {
        state().at<bf16>(ledger.take(
            "scores", kept_score_bytes(shape, tile_pairs(runs), shape.key_value_heads))),
        shape.key_value_heads};
    for (const bool keeps : {true, false})
      print_flops("attention backward" + at + (keeps ? "" : " computing scores again"),
                  2.5 * forward, [&] {
                    attention_backward(s, shape, N, tiles, query_tile, key_tile, qkv, out, d_out,
                                       sums, d_qkv, scratch, keeps ? kept : KeptScores{});
                  });
  }

  void optimizer() {
    const StatePlan& p = state().plan;
    const Span* spans = state().spans(0.1f);
    double* norm = state().at<double>(p.norm);
    const double count = double(state().layout.count);
    Stream& s = state().stream;
    const AdamWStep still = {0, 0.9f, 0.95f, 1e-8f, 1, 1, 1};
    auto* step = state().at<AdamWStep>(p.adamw_step);
    s.to_device(step, &still, sizeof still);
    s.synchronize();
    // Reads the gradients twice; reads and writes master, moments; clears the gradients.
    print_bytes("adamw and norm", (4 + 4 + 4 + 8 + 16) * count, [&] {
      gradient_norm(s, state().span_count(), spans, state().at<float>(p.gradients),
                    state().at<double>(p.partials), norm);
      adamw(s, state().span_count(), spans, step, norm,
            state().at<bf16>(p.weights), state().at<int16_t>(p.rest),
            state().at<float>(p.gradients), state().at<float>(p.first_moments),
            state().at<float>(p.second_moments));
    });
  }

  // Floating-point operations of a token: every matrix three times (frozen ones twice, as they get
  // no gradient), and causal attention: two products forward, five backward.
  double training_operations(int length) {
    const DecoderConfig& c = state().config;
    const double q = double(c.heads) * c.head_width, kv = double(c.key_value_heads) * c.head_width;
    const double layer = double(c.width) * (2 * q + 2 * kv + 3.0 * c.feed_forward_width);
    const double matrices = layer * c.layers + double(c.vocabulary_size) * c.width;
    const double frozen = 4 * matrices + 6 * double(state().adapter_layout.count);
    return (state().frozen() ? frozen : 6 * matrices) + 7.0 * length * q * c.layers;
  }

  void train(const std::string& name) {
    for (const int length : {std::min(1024, o_.rows), std::min(4096, o_.rows)}) {
      const int count = o_.rows / length;
      std::mt19937 random(3);
      std::vector<int32_t> tokens(size_t(count) * length), offsets;
      std::vector<uint8_t> mask(tokens.size(), 1);
      const uint32_t V = uint32_t(state().config.vocabulary_size);
      for (int32_t& token : tokens) token = int32_t(random() % V);
      for (int i = 0; i <= count; i++) offsets.push_back(i * length);
      for (int i = 0; i < count; i++) mask[size_t(i) * length] = 0;
      std::vector<float> log_probs(tokens.size()), entropies(tokens.size());
      TokenLoss loss{};
      loss.kind = LossKind::cross_entropy;
      loss.scale = 1.0 / double(tokens.size());
      const Batch batch = {tokens.data(), offsets.data(), mask.data(), int(tokens.size()), count};
      const double seconds = time([&] {
        model_->accumulate(batch, loss, log_probs.data(), entropies.data());
        model_->step({1e-6, 0.9, 0.95, 1e-8, 0.1, 1.0});
      });
      const double floor = flops_ / training_operations(length);
      const double rate = double(tokens.size()) / seconds;
      print("train " + name + " " + std::to_string(count) + "x" + std::to_string(length) + how(),
            floor, rate, rate / floor, "tokens/s");
    }
  }

  void decode() {
    const DecoderConfig& c = o_.config;
    const int context = std::min(1024, c.max_positions / 2);
    const double key_bytes = 4.0 * c.layers * c.key_value_heads * c.head_width;
    const double weight_bytes = 2.0 * double(state().layout.count);
    for (const int batch : {1, 64, 256}) {
      if (o_.model == "tiny" && batch > 2) continue;
      DeviceSampler sampler(*model_, batch, context + 8 * o_.decode_tokens);
      std::mt19937 random(4);
      for (int i = 0; i < batch; i++) {
        std::vector<int32_t> prompt(static_cast<size_t>(context));
        for (int32_t& token : prompt) token = int32_t(random() % uint32_t(c.vocabulary_size));
        const int handle = sampler.open(prompt.data(), context, uint32_t(i), 0);
        sampler.generate(handle, {7 * o_.decode_tokens, {}, 1, 0});
      }
      std::vector<Generated> finished;
      for (int i = 0; i < 4; i++) sampler.step(&finished);  // reads the prompts, records the graph
      Stopwatch watch;
      watch.start(state().stream);
      for (int i = 0; i < o_.decode_tokens; i++) sampler.step(&finished);
      const double seconds = watch.stop(state().stream) / 1000 / o_.decode_tokens;
      // Products read every weight or do their arithmetic, two operations for the two bytes of one;
      // then attention reads keys and values.
      const double products = std::max(weight_bytes / bandwidth_, batch * weight_bytes / flops_);
      const double keys = batch * (context + o_.decode_tokens / 2.0) * key_bytes / bandwidth_;
      const double floor = batch / (products + keys), rate = batch / seconds;
      print("decode " + o_.model + " B " + std::to_string(batch) + how(), floor, rate,
            rate / floor, "tokens/s");
    }
  }

  Options o_;
  std::unique_ptr<DeviceModel> model_;
  double flops_ = 0, bandwidth_ = 0;
  int failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    return Bench(parse(argc, argv)).run() ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
