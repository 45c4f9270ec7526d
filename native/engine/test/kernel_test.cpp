// Single kernels at every instruction level: extreme inputs, accuracy, and that nothing is written
// past the end of a result.
#include <algorithm>

#include "fixtures.h"
#include "kernels.h"

using namespace masksearch;
using namespace test;

namespace {

std::vector<const Kernels*> all_levels() {
  std::vector<const Kernels*> kernels;
  for (Level level : levels()) kernels.push_back(&kernels_of(level));
  return kernels;
}

// A result with guard words behind it.
struct Guarded {
  static constexpr float kGuard = 1234.5f;
  size_t count;
  std::vector<float> data;
  explicit Guarded(size_t n) : count(n), data(n, 0.0f) { data.resize(n + 64, kGuard); }
  bool intact() const {
    return std::all_of(data.begin() + ptrdiff_t(count), data.end(),
                       [](float x) { return x == kGuard; });
  }
};

TEST("matrix products equal float64 sums for all tail sizes and write nothing else") {
  Random random(71);
  for (const Kernels* k : all_levels())
    for (int m : {1, 2, 3, 5, 6, 7, 13, 14, 15, 29, 170})
      for (int n : {1, 15, 16, 17, 31, 33, 64, 130})
        for (int depth : {1, 5, 64, 300}) {
          if (m == 170 && depth < 64) continue;
          const std::vector<float> a = random.normals(size_t(m) * depth, 1);
          std::vector<float> w = random.normals(size_t(n) * depth, 1);
          std::vector<float> packed(packed_cells(DataType::float32, n, depth) + 64);
          k->pack_transposed(n, depth, w.data(), packed.data(), 0, panels(n));
          Guarded c(size_t(m) * n);
          k->matmul({m, n, depth, a.data(), depth, packed.data(), kPanel,
                     ptrdiff_t(kPanel) * depth, nullptr, 0, c.data.data(), n});
          std::vector<float> a_transposed(a.size());
          for (int i = 0; i < m; i++)
            for (int d = 0; d < depth; d++)
              a_transposed[size_t(d) * m + i] = a[size_t(i) * depth + d];
          a_transposed.resize(a.size() + 64);
          Guarded t(size_t(m) * n);
          k->matmul_transposed({m, n, depth, a_transposed.data(), m, packed.data(), kPanel,
                                ptrdiff_t(kPanel) * depth, nullptr, 0, t.data.data(), n});
          std::vector<double> expected(size_t(m) * n, 0.0);
          for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
              for (int d = 0; d < depth; d++)
                expected[size_t(i) * n + j] +=
                    double(a[size_t(i) * depth + d]) * w[size_t(j) * depth + d];
          const std::string what = std::string(k->name) + " " + std::to_string(m) + "x" +
                                   std::to_string(n) + "x" + std::to_string(depth);
          // n roundings of partial sums that reach about 4 sqrt(n) for normal inputs.
          const double terms = std::sqrt(double(depth));
          CHECK_NEAR(what, c.data.data(), expected.data(), expected.size(), terms,
                     6e-8 * 4 * (terms + 4));
          CHECK_SAME_BITS(what + " transposed", t.data.data(), c.data.data(), expected.size());
          CHECK(c.intact() && t.intact());
        }
}

TEST("attention of a few rows that see the same keys has the bits of every row by itself") {
  Random random(73);
  for (const Kernels* k : all_levels())
    for (int D : {20, 32, 64, 96, 128})
      for (int rows : {1, 2, 3, 6, 7, 8, 9})
        for (int keys : {1, 31, 32, 33, 64, 65, 97, 200}) {
          const size_t room = size_t(panels(keys)) * kPanel * D;
          const std::vector<float> x = random.normals(size_t(keys) * 2 * D, 1);
          const std::vector<float> queries = random.normals(size_t(rows) * D, 1);
          std::vector<float> key_tiles(room + 64), values(room + 64);
          k->store_key_tiles(keys, 0, D, x.data(), 2 * D, key_tiles.data());
          k->store_values(keys, 0, D, x.data() + D, 2 * D, values.data());
          std::vector<float> scratch(attention_scratch(rows, keys, D));
          const auto attend = [&](int first, int count, int length_step) {
            Guarded out(size_t(count) * D);
            Attention g{count, keys, length_step, D, queries.data() + size_t(first) * D, D,
                        key_tiles.data(), values.data(), out.data.data(), D, nullptr, 0,
                        scratch.data()};
            g.next_keys = first % 2 == 0 ? key_tiles.data() : nullptr;
            k->attention(g);
            CHECK(out.intact());
            return out.data;
          };
          const std::vector<float> together = attend(0, rows, 0);
          for (int r = 0; r < rows; r++) {
            const std::vector<float> alone = attend(r, 1, 1);
            CHECK(std::equal(alone.begin(), alone.begin() + D, together.begin() + r * D));
          }
        }
}

TEST("silu of gates of +-700 is 0 or the gate, never NaN") {
  for (const Kernels* k : all_levels()) {
    const std::vector<float> gates = {-700, -88, -20, 0, 20, 88, 700};
    std::vector<float> gate_up = gates, out(7), d(7, 1.0f);
    gate_up.resize(14, 1.0f);
    k->swiglu(1, 7, gate_up.data(), 14, out.data());
    for (size_t i = 0; i < 7; i++) {
      const double g = gates[i], expected = g / (1 + std::exp(-g));
      CHECK(std::fabs(out[i] - expected) <= 1e-6 * std::max(1.0, std::fabs(expected)));
    }
    k->swiglu_backward(1, 7, d.data(), gate_up.data(), 14, out.data());
    CHECK(std::all_of(gate_up.begin(), gate_up.end(), [](float x) { return std::isfinite(x); }));
    CHECK(gate_up[0] == 0.0f || std::fabs(gate_up[0]) < 1e-30f);
    CHECK(gate_up[6] == 1.0f);
  }
}

TEST("rms norm of zero rows, tiny and huge rows") {
  for (const Kernels* k : all_levels()) {
    const std::vector<float> x = {0, 0, 0, 1e-4f, -1e-4f, 1e-4f, 1e4f, 1e4f, -1e4f};
    const std::vector<float> w = {1, 2, 3};
    std::vector<float> out(9), r(3);
    k->rms_norm(3, 3, x.data(), w.data(), 1e-6f, out.data(), r.data());
    for (int t = 0; t < 3; t++) {
      double sum = 0;
      for (int c = 0; c < 3; c++) sum += double(x[t * 3 + c]) * x[t * 3 + c];
      const double rstd = 1 / std::sqrt(sum / 3 + 1e-6);
      for (int c = 0; c < 3; c++)
        CHECK(std::fabs(out[t * 3 + c] - x[t * 3 + c] * rstd * w[c]) <= 1e-6 * w[c]);
    }
  }
}

TEST("logs of the softmax's sums are those of float64 from one key on, peaked or flat") {
  constexpr int D = 16, kKeys = 70;
  for (const Kernels* k : all_levels())
    for (double spread : {0.0, 0.3, 3.0, 30.0}) {
      Random random(75);
      const std::vector<float> q = random.normals(size_t(kKeys) * D, spread);
      const std::vector<float> x = random.normals(size_t(kKeys) * D, 1);
      std::vector<float> tiles(size_t(panels(kKeys)) * kPanel * D), out(size_t(kKeys) * D);
      std::vector<float> log_sums(kKeys), scratch(attention_scratch(kKeys, kKeys, D));
      k->store_key_tiles(kKeys, 0, D, x.data(), D, tiles.data());
      std::vector<float> values = x;
      values.resize(tiles.size());
      k->attention({kKeys, 1, 1, D, q.data(), D, tiles.data(), values.data(), out.data(), D,
                    log_sums.data(), 1, scratch.data()});
      for (int row = 0; row < kKeys; row++) {
        std::vector<double> scores;
        for (int j = 0; j <= row; j++) {
          double score = 0;
          for (int d = 0; d < D; d++) score += double(q[row * D + d]) * x[j * D + d];
          scores.push_back(score / std::sqrt(double(D)));
        }
        const double largest = *std::max_element(scores.begin(), scores.end());
        double sum = 0, size = 1;
        for (double score : scores) sum += std::exp(score - largest);
        for (int d = 0; d < D; d++) size += std::fabs(double(q[row * D + d])) * 4;
        CHECK(std::fabs(log_sums[row] - (largest + std::log(sum))) <= 4e-7 * size);
      }
    }
}

TEST("row statistics of peaked, flat and wide rows are within float32 rounding") {
  for (const Kernels* k : all_levels())
    for (int n : {1, 2, 15, 16, 17, 1000}) {
      for (double spread : {0.0, 1.0, 100.0}) {
        Random random(static_cast<uint32_t>(n));
        const std::vector<float> x = random.normals(size_t(n), spread);
        const RowStatistics s = k->row_statistics(n, x.data());
        double largest = -INFINITY, sum = 0, entropy = 0;
        for (float v : x) largest = std::max(largest, double(v));
        for (float v : x) sum += std::exp(v - largest);
        for (float v : x) {
          const double lp = v - largest - std::log(sum);
          entropy -= std::exp(lp) * lp;
        }
        CHECK(s.largest == float(largest));
        CHECK(std::fabs(s.sum - sum) <= 1e-6 * sum);
        CHECK(std::fabs(s.entropy - entropy) <= 4e-6 * std::max(1.0, entropy));
        CHECK(s.sum >= 1);
      }
    }
}

TEST("exponentials are within 2 ULP of float64 and 0 far below") {
  for (const Kernels* k : all_levels()) {
    std::vector<float> x, out;
    for (int i = 0; i <= 8700; i++) x.push_back(-0.01f * float(i));
    x.push_back(-104);
    x.push_back(-1e30f);
    x.push_back(-INFINITY);
    out.resize(x.size());
    k->row_exponentials(int(x.size()), x.data(), 0, out.data());
    for (size_t i = 0; i < 8700; i++) {
      const double expected = std::exp(double(x[i]));
      CHECK(std::fabs(out[i] - expected) <= 2 * 1.2e-7 * expected);
    }
    for (size_t i = 8701; i < x.size(); i++) CHECK(out[i] == 0);
  }
}

TEST("nothing is written past log-probabilities and entropies") {
  const Shape shape{"", {19, 8, 1, 2, 1, 4, 9, 1e4, 1e-6, 64, true, true}, {5, 3, 9}};
  Fixture f = make_fixture(shape, 72, 2, true);
  Guarded log_probs(f.tokens.size()), entropies(f.tokens.size());
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 1;
  f.model->accumulate(f.batch(), loss, log_probs.data.data(), entropies.data.data());
  f.model->score(f.batch(), log_probs.data.data(), entropies.data.data());
  CHECK(log_probs.intact() && entropies.intact());
}

}  // namespace
