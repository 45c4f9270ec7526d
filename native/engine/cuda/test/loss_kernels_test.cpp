// Loss-head and sampling kernels against the engine's CPU kernels and float64 sums.
#include <cmath>

#include "cuda_kernels.h"
#include "device_array.h"
#include "kernels.h"
#include "sample_token.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

// one logit; below, at and past a block; odd; Qwen's vocabulary
const int kVocabularies[] = {1, 31, 512, 513, 2049, 151936};

struct Logits {
  int rows, ld;
  std::vector<float> values;
  std::vector<int32_t> targets;
};

Logits make_logits(int V, int rows, uint32_t seed) {
  Random random(seed);
  Logits l{rows, (V + 7) / 8 * 8 + 8, {}, {}};
  l.values = random.normals(size_t(rows) * l.ld, 4);
  for (int i = 0; i < rows; i++) l.targets.push_back(random.below(V));
  return l;
}

}  // namespace

TEST("row_statistics: log-probabilities and entropies of rows") {
  for (const int V : kVocabularies) {
    const Logits l = make_logits(V, 3, uint32_t(V));
    DeviceArray<float> logits(l.values), log_probs(size_t(l.rows));
    DeviceArray<int32_t> targets(l.targets);
    DeviceArray<cuda::RowStatistics> statistics(size_t(l.rows));
    cuda::row_statistics(stream(), l.rows, V, logits.data(), l.ld, targets.data(),
                         statistics.data(), log_probs.data());
    std::vector<double> expected, entropies;
    for (int i = 0; i < l.rows; i++) {
      const float* x = l.values.data() + size_t(i) * l.ld;
      double sum = 0, weighted = 0, largest = -INFINITY;
      for (int j = 0; j < V; j++) largest = std::max(largest, double(x[j]));
      for (int j = 0; j < V; j++) sum += std::exp(x[j] - largest);
      for (int j = 0; j < V; j++) weighted += (x[j] - largest) * std::exp(x[j] - largest) / sum;
      expected.push_back(x[l.targets[i]] - largest - std::log(sum));
      entropies.push_back(std::log(sum) - weighted);
    }
    // exponentials are off by some units of 1.2e-7, sums of V of them by little more
    CHECK_WITHIN("log-probs of V " + std::to_string(V), log_probs.read(), expected, 1e-5, 1e-6);
    std::vector<float> got;
    for (const auto& s : statistics.read()) got.push_back(s.entropy);
    CHECK_WITHIN("entropies of V " + std::to_string(V), got, entropies, 2e-5, 2e-6);
  }
}

TEST("row_statistics: infinite and NaN logits") {
  const float inf = INFINITY;
  DeviceArray<float> logits({0, -inf, 1, 0, /**/ -inf, -inf, -inf, 0, /**/ 0, NAN, 1, 0});
  DeviceArray<float> log_probs(size_t(3));
  DeviceArray<int32_t> targets({1, 0, 0});
  DeviceArray<cuda::RowStatistics> statistics(size_t(3));
  cuda::row_statistics(stream(), 3, 3, logits.data(), 4, targets.data(), statistics.data(),
                       log_probs.data());
  const std::vector<float> got = log_probs.read();
  CHECK(got[0] == -inf);
  CHECK(std::isnan(got[1]) && std::isnan(got[2]));
  CHECK(std::fabs(statistics.read()[0].entropy - 0.582203f) < 1e-5f);
}

TEST("row_statistics: logits that grow along the row, and rows that begin or end with none possible") {
  constexpr int V = 9001, kRows = 3;
  std::vector<float> values(size_t(kRows) * V);
  for (int j = 0; j < V; j++) {
    values[size_t(j)] = 0.05f * float(j);  // the largest so far changes all the time
    values[size_t(V) + j] = j < 5000 ? -INFINITY : 2 - 0.001f * float(j);
    values[size_t(2) * V + j] = j < 5000 ? 0.01f * float(j % 77) : -INFINITY;
  }
  DeviceArray<float> logits(values), log_probs(size_t{kRows});
  const std::vector<int32_t> chosen = {9000, 5000, 0};
  DeviceArray<int32_t> targets(chosen);
  DeviceArray<cuda::RowStatistics> statistics(size_t{kRows});
  cuda::row_statistics(stream(), kRows, V, logits.data(), V, targets.data(), statistics.data(),
                       log_probs.data());
  std::vector<double> expected, entropies;
  for (int i = 0; i < kRows; i++) {
    const float* x = values.data() + size_t(i) * V;
    double largest = -INFINITY, sum = 0, weighted = 0;
    for (int j = 0; j < V; j++) largest = std::max(largest, double(x[j]));
    for (int j = 0; j < V; j++) {
      if (x[j] == -INFINITY) continue;
      sum += std::exp(x[j] - largest);
      weighted += (x[j] - largest) * std::exp(x[j] - largest);
    }
    expected.push_back(x[chosen[size_t(i)]] - largest - std::log(sum));
    entropies.push_back(std::log(sum) - weighted / sum);
  }
  CHECK_WITHIN("log-probs", log_probs.read(), expected, 1e-5, 1e-6);
  std::vector<float> got;
  for (const auto& s : statistics.read()) got.push_back(s.entropy);
  CHECK_WITHIN("entropies", got, entropies, 2e-5, 2e-6);
}

TEST("row_gradient: written over the logits as bfloat16") {
  for (const int V : kVocabularies) {
    const Logits l = make_logits(V, 3, uint32_t(V + 1));
    const std::vector<float> by_log_prob = {-0.5f, 0.25f, 0}, by_entropy = {0, -0.01f, 0.02f};
    DeviceArray<float> logits(l.values), log_probs(size_t(l.rows)), g(by_log_prob), h(by_entropy);
    DeviceArray<int32_t> targets(l.targets);
    DeviceArray<cuda::RowStatistics> statistics(size_t(l.rows));
    cuda::row_statistics(stream(), l.rows, V, logits.data(), l.ld, targets.data(),
                         statistics.data(), log_probs.data());
    cuda::row_gradient(stream(), l.rows, V, logits.data(), l.ld, targets.data(),
                       statistics.data(), g.data(), h.data());
    const std::vector<float> raw = logits.read();
    for (int i = 0; i < l.rows; i++) {
      std::vector<float> expected(l.values.begin() + size_t(i) * l.ld,
                                  l.values.begin() + size_t(i) * l.ld + V);
      const auto& kernels = masksearch::default_kernels();
      const masksearch::RowStatistics s = kernels.row_statistics(V, expected.data());
      kernels.row_gradient(V, expected.data(), s, l.targets[i], by_log_prob[i], by_entropy[i]);
      std::vector<bfloat16> row(static_cast<size_t>(V));
      std::memcpy(row.data(), raw.data() + size_t(i) * l.ld, size_t(V) * 2);
      CHECK_WITHIN("gradient of V " + std::to_string(V), widened(row), expected, 1e-7,
                   kBf16 + 1e-4);
    }
  }
}

TEST("sample: the token that sample_token draws, and its log-probability") {
  for (const int V : kVocabularies) {
    const int rows = 9;
    const Logits l = make_logits(V, rows, uint32_t(V + 2));
    std::vector<float> temperature;
    std::vector<double> uniforms;
    for (int i = 0; i < rows; i++) {
      temperature.push_back(i % 3 == 0 ? 1.0f : i % 3 == 1 ? 0.5f : 0.0f);
      uniforms.push_back(i == 3 ? 0.0 : i == 6 ? 1 - 1e-16 : 0.1 * i);
    }
    DeviceArray<float> logits(l.values), t(temperature), log_probs{size_t(rows)};
    DeviceArray<double> u(uniforms);
    // Rows 1, 4 and 7 are held to every third token, the later rows to a nucleus.
    std::vector<double> shares(size_t(rows), 1);
    std::vector<int32_t> is_limited(size_t(rows), 0);
    const size_t words = (size_t(V) + 31) / 32;
    std::vector<uint32_t> bits(words * rows, 0);
    for (int i = 0; i < rows; i++) {
      if (i >= 3) shares[i] = i >= 6 ? 0.2 : 0.9;
      is_limited[i] = i % 3 == 1;
      for (int j = 0; j < V; j += 3) bits[i * words + j / 32] |= 1u << (j % 32);
    }
    DeviceArray<double> p(shares);
    DeviceArray<int32_t> tokens{size_t(rows)}, limited(is_limited);
    DeviceArray<uint32_t> allowed(bits);
    cuda::sample(stream(), rows, V, logits.data(), l.ld,
                 {t.data(), u.data(), p.data(), limited.data(), allowed.data()}, tokens.data(),
                 log_probs.data());
    const auto got = tokens.read();
    const auto got_log_probs = log_probs.read();
    for (int i = 0; i < rows; i++) {
      std::vector<float> row(l.values.begin() + size_t(i) * l.ld,
                             l.values.begin() + size_t(i) * l.ld + V);
      std::vector<float> scratch(static_cast<size_t>(V));
      const masksearch::SampledToken expected = masksearch::sample_token(
          masksearch::default_kernels(), V, row.data(), {temperature[i], uniforms[i], shares[i],
           is_limited[i] != 0 ? bits.data() + i * words : nullptr},
          scratch.data());
      CHECK(got[i] == expected.token);
      CHECK_WITHIN("log-prob", std::vector<float>{got_log_probs[i]},
                   std::vector<float>{expected.log_prob}, 1e-5, 2e-6);
    }
  }
}

TEST("sample: ties go to the lowest id, zero weights are never drawn, NaN gives no token") {
  const float inf = INFINITY;
  std::vector<float> logits(size_t(5) * 3000, -inf);
  for (int j = 0; j < 3000; j++) logits[j] = 1;            // row 0: ties
  logits[1 * 3000 + 17] = 0;                               // row 1: one possible token
  logits[2 * 3000 + 17] = 0;                               // row 2: the same, at the edge
  for (int j = 0; j < 3000; j++) logits[size_t(3) * 3000 + j] = 0;
  logits[3 * 3000 + 2999] = NAN;                           // row 3
  logits[4 * 3000 + 5] = inf;                              // row 4
  DeviceArray<float> gl(logits), t({0, 1, 1, 1, 1}), log_probs{size_t(5)};
  DeviceArray<double> u({0.5, 0.0, 1 - 1e-16, 0.5, 0.5});
  DeviceArray<int32_t> tokens{size_t(5)}, limited(std::vector<int32_t>(5, 0));
  DeviceArray<double> shares(std::vector<double>(5, 1));
  cuda::sample(stream(), 5, 3000, gl.data(), 3000,
               {t.data(), u.data(), shares.data(), limited.data(), nullptr}, tokens.data(),
               log_probs.data());
  CHECK((tokens.read() == std::vector<int32_t>{0, 17, 17, -1, -1}));
  CHECK(log_probs.read()[1] == 0);
}

TEST("sample: of equal tokens a nucleus takes the first, and only allowed ones, however improbable") {
  constexpr int V = 2000, kDraws = 64;
  std::vector<float> logits(size_t(kDraws) * V, 0), temperature(kDraws, 1);
  std::vector<double> uniforms, shares(kDraws, 0.25);
  std::vector<int32_t> is_limited(kDraws, 0);
  const size_t words = (V + 31) / 32;
  std::vector<uint32_t> bits(words * kDraws, 0);
  for (int i = 0; i < kDraws; i++) {
    uniforms.push_back(i / double(kDraws));
    if (i % 2 == 0) continue;
    is_limited[i] = 1;
    shares[i] = 1;
    logits[size_t(i) * V + 1999] = -300;
    bits[i * words + 1999 / 32] = 1u << (1999 % 32);
  }
  DeviceArray<float> l(logits), t(temperature), log_probs{size_t(kDraws)};
  DeviceArray<double> u(uniforms), p(shares);
  DeviceArray<int32_t> tokens{size_t(kDraws)}, limited(is_limited);
  DeviceArray<uint32_t> allowed(bits);
  cuda::sample(stream(), kDraws, V, l.data(), V,
               {t.data(), u.data(), p.data(), limited.data(), allowed.data()}, tokens.data(),
               log_probs.data());
  const auto got = tokens.read();
  const auto got_log_probs = log_probs.read();
  for (int i = 0; i < kDraws; i++) {
    const int expected = i % 2 == 1 ? 1999 : int(uniforms[i] * 500);  // a quarter of 2,000
    CHECK(got[i] == expected);
    const double all = i % 2 == 1 ? std::log(1999.0) + 300 : std::log(2000.0);
    CHECK(std::fabs(got_log_probs[i] + all) < 1e-3);
  }
}

TEST("sample: rows of logits that cannot be read four at a time are refused") {
  CHECK_THROWS(std::invalid_argument, "a multiple of 4 logits apart, received 10",
               cuda::sample(stream(), 1, 9, nullptr, 10, {}, nullptr, nullptr));
}
