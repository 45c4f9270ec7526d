// bfloat16 storage: products at every level, and the whole model against float64.
#include <algorithm>

#include "fixtures.h"
#include "reference.h"

using namespace masksearch;
using namespace test;

namespace {

constexpr double kUnit = 1.0 / 256;  // half a unit in the last place of 8 bits: a rounding's error

std::vector<bfloat16> rounded(const std::vector<float>& values) {
  std::vector<bfloat16> stored;
  for (float value : values) stored.push_back(narrowed(value));
  return stored;
}

TEST("bfloat16 rounds to the nearest, ties to even, and keeps what is not finite") {
  const struct {
    float from;
    float to;
  } cases[] = {{1.0f, 1.0f},
               {1.00390625f, 1.0f},               // half way, down to even
               {1.01171875f, 1.015625f},          // half way, up to even
               {1.00390637f, 1.0078125f},         // just above half way
               {-1.00390637f, -1.0078125f},
               {3.4e38f, INFINITY},
               {-INFINITY, -INFINITY},
               {0.0f, 0.0f}};
  for (const auto& c : cases) {
    CHECK(widened(narrowed(c.from)) == c.to);
    for (Level level : levels(DataType::bfloat16)) {
      bfloat16 row[32];
      kernels_of(level, DataType::bfloat16).narrow(1, &c.from, row);
      CHECK(widened(row[0]) == c.to);
      for (int i = 1; i < 32; i++) CHECK(row[i].bits == 0);
    }
  }
  const float nan = NAN;
  CHECK(std::isnan(widened(narrowed(nan))));
  for (Level level : levels(DataType::bfloat16)) {
    bfloat16 row[32];
    kernels_of(level, DataType::bfloat16).narrow(1, &nan, row);
    CHECK(std::isnan(widened(row[0])));
  }
}

// One product in both forms, from row-major a (m, k) and w (n, k).
struct ProductCase {
  int m, n, k;
  std::vector<float> a, w, init;

  ProductCase(int rows, int columns, int depth, Random* random) : m(rows), n(columns), k(depth) {
    a = random->normals(size_t(m) * k, 1);
    w = random->normals(size_t(n) * k, 1);
    init = random->normals(size_t(n), 1);
  }
};

constexpr float kGuard = 1234.5f;

// c (m, n) with guards behind it.
std::vector<float> product(const Kernels& kernels, const ProductCase& p, int first, int rows,
                           bool transposed) {
  constexpr DataType type = DataType::bfloat16;
  std::vector<bfloat16> packed(packed_cells(type, p.n, p.k) + 64);
  kernels.pack_transposed(p.n, p.k, p.w.data(), packed.data(), 0, panels(p.n));
  const ptrdiff_t row = transposed ? rows : stored_row(type, p.k);
  std::vector<bfloat16> a(size_t(transposed ? p.k : rows) * size_t(row) + 64, bfloat16{0});
  for (int i = 0; i < rows; i++)
    for (int d = 0; d < p.k; d++)
      a[size_t(transposed ? d * row + i : i * row + d)] = narrowed(p.a[size_t(first + i) * p.k + d]);
  std::vector<float> c(size_t(rows) * p.n + 64, kGuard);
  (transposed ? kernels.matmul_transposed : kernels.matmul)(
      {rows, p.n, p.k, a.data(), row, packed.data(), packed_row(type), packed_panel(type, p.k),
       p.init.data(), 0, c.data(), p.n});
  CHECK(std::all_of(c.end() - 64, c.end(), [](float x) { return x == kGuard; }));
  c.resize(size_t(rows) * p.n);
  return c;
}

TEST("products of bfloat16 equal float64 sums for all tail sizes and write nothing else") {
  Random random(91);
  for (Level level : levels(DataType::bfloat16)) {
    const Kernels& kernels = kernels_of(level, DataType::bfloat16);
    for (int m : {1, 2, 7, 15, 16, 17, 31, 32, 33, 70})
      for (int n : {1, 15, 16, 17, 31, 33, 64, 130})
        for (int k : {1, 2, 31, 32, 33, 300, 1100}) {
          if (k == 1100 && (m != 33 || n < 33)) continue;
          const ProductCase p(m, n, k, &random);
          const std::vector<bfloat16> a = rounded(p.a), w = rounded(p.w);
          std::vector<double> expected(size_t(m) * n);
          for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
              double sum = p.init[size_t(j)];
              for (int d = 0; d < k; d++)
                sum += double(widened(a[size_t(i) * k + d])) * widened(w[size_t(j) * k + d]);
              expected[size_t(i) * n + j] = sum;
            }
          const std::string what = std::string(kernels.name) + " " + std::to_string(m) + "x" +
                                   std::to_string(n) + "x" + std::to_string(k);
          // Products are exact and sums float32, as in kernel_test.cpp; a pair's sum is one more.
          const double terms = std::sqrt(double(k));
          for (bool transposed : {false, true}) {
            const std::vector<float> c = product(kernels, p, 0, m, transposed);
            CHECK_NEAR(what + (transposed ? " transposed" : ""), c.data(), expected.data(), c.size(),
                       terms, 6e-8 * 4 * (terms + 5));
          }
        }
  }
}

TEST("a row of a product of bfloat16 does not depend on the rows beside it, bit for bit") {
  Random random(92);
  for (Level level : levels(DataType::bfloat16)) {
    const Kernels& kernels = kernels_of(level, DataType::bfloat16);
    const ProductCase p(70, 75, 700, &random);
    for (bool transposed : {false, true}) {
      const std::vector<float> all = product(kernels, p, 0, p.m, transposed);
      for (int rows : {1, 5, 16, 33})
        for (int first : {0, 7, 37}) {
          const std::vector<float> some = product(kernels, p, first, rows, transposed);
          CHECK_SAME_BITS(std::string(kernels.name) + " " + std::to_string(rows) + " rows", some.data(),
                          all.data() + size_t(first) * p.n, some.size());
        }
    }
  }
}

struct Errors {
  double log_probs = 0, gradients = 0;  // root mean square; of gradients relative to the tensor
};

// Errors against float64 on the same float32 weights.
Errors errors_of(const Shape& shape, DataType type) {
  TokenLoss loss{LossKind::cross_entropy};
  loss.scale = 0.1;
  Fixture f = make_fixture(shape, 93, 2, true, type);
  const size_t count = f.model->parameter_count();
  const float* w = f.model->weights();
  const ReferenceResult expected = reference(shape.config, f.model->parameters(),
                                             std::vector<double>(w, w + count), f.batch(), loss);
  std::vector<float> log_probs(f.tokens.size()), entropies(f.tokens.size());
  f.model->accumulate(f.batch(), loss, log_probs.data(), entropies.data());
  Errors e;
  for (size_t t = 0; t < log_probs.size(); t++)
    e.log_probs += std::pow(log_probs[t] - expected.log_probs[t], 2);
  e.log_probs = std::sqrt(e.log_probs / double(log_probs.size()));
  for (const Parameter& p : f.model->parameters()) {
    double difference = 0, square = 0;
    for (size_t i = p.offset; i < p.offset + p.count; i++) {
      difference += std::pow(f.model->gradients()[i] - expected.gradients[i], 2);
      square += std::pow(expected.gradients[i], 2);
    }
    // A key bias moves no probability: its gradient is rounding alone.
    if (p.name.find("k_proj.bias") == std::string::npos)
      e.gradients = std::max(e.gradients, std::sqrt(difference / square));
  }
  return e;
}

// A layer rounds about a dozen times in a row (matrices and activations before each of seven
// products, q k v, probabilities, the product of SwiGLU), each to half a unit at most and a third of
// that in the mean square; independent roundings of L layers add as a root. Weights here are large
// (0.2 a piece, so that activations grow), which the factor 6 covers; gradients go through twice.
TEST("bfloat16 stays within its rounding of the float64 reference on the shape grid, at every level") {
  for (const Shape& shape : shape_grid())
    each_storage([&](DataType type, const std::string& name) {
      if (type == DataType::float32) return;
      const Errors e = errors_of(shape, type);
      const double bound = 6 * kUnit / std::sqrt(3.0) * std::sqrt(12.0 * shape.config.layers);
      const std::string what = name + ", " + shape.why + ": ";
      const double zero = 0;
      CHECK_NEAR(what + "log-probabilities", &e.log_probs, &zero, 1, 1, bound);
      CHECK_NEAR(what + "gradients", &e.gradients, &zero, 1, 1, 2 * bound);
      CHECK(e.log_probs > 1e-5 || shape.config.width < 16);  // it is bfloat16 that was measured
    });
}

TEST("master weights stay float32: updates far below a unit of bfloat16 add up") {
  const Shape shape{"", {37, 32, 1, 2, 1, 16, 20, 1e4, 1e-6, 64, true, true}, {20}};
  Fixture f = make_fixture(shape, 94, 1, true, DataType::bfloat16);
  const size_t count = f.model->parameter_count();
  const std::vector<float> before(f.model->weights(), f.model->weights() + count);
  for (int step = 0; step < 4; step++) {
    std::fill_n(f.model->gradients(), count, 1.0f);
    f.model->step({1e-5});  // AdamW moves each weight by the rate
  }
  for (size_t i = 0; i < count; i++)
    CHECK(std::fabs(double(before[i]) - f.model->weights()[i] - 4e-5) < 1e-6);
}

TEST("a model says how it stores") {
  const DecoderConfig config{11, 8, 1, 1, 1, 2, 5, 10000.0, 1e-6, 512, true, true};
  Model model(config, 2, {}, DataType::bfloat16);
  CHECK(model.type() == DataType::bfloat16);
  CHECK(model.device() ==
        std::string("cpu ") + default_kernels(DataType::bfloat16).name + " bfloat16 2 threads");
}

}  // namespace
