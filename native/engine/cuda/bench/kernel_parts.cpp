// The parts of the bench that time kernels and products by themselves.
#include <algorithm>
#include <vector>

#include "bench.h"

namespace masksearch::cuda::bench {

void Bench::kernels() {
  products();
  row_kernels();
  attention(std::min(1024, o_.rows));
  attention(std::min(4096, o_.rows));
  optimizer();
}

void Bench::products() {
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

void Bench::clear_gradients() {
  state().stream.clear(state().gradient(0), state().count(Arena::gradients) * sizeof(float));
  state().stream.synchronize();
}

void Bench::loss_head() {
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

void Bench::row_kernels() {
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

void Bench::attention(int length) {
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

void Bench::optimizer() {
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

}  // namespace masksearch::cuda::bench
