// Row kernels on the device against the engine's CPU kernels on the same values. Bounds: a stored
// bfloat16 is off by half a unit in the last place (kBf16 of its value), sums by c eps sqrt(n).
#include <algorithm>
#include <cmath>

#include "cuda_kernels.h"
#include "device_array.h"
#include "kernels.h"
#include "philox.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

const masksearch::Kernels& cpu() { return masksearch::default_kernels(); }

struct Size {
  int rows, width;
};
// one row; rows below, at and past a block's 16; more such groups of rows than warps that add them;
// widths of one vector, not a multiple of 32, past one vector per thread, and the largest
const Size kSizes[] = {{1, 8}, {15, 24}, {16, 96}, {33, 1536}, {17, 2056}, {3, 8192}, {300, 40}};

std::string named(const char* what, Size s) {
  return std::string(what) + " " + std::to_string(s.rows) + "x" + std::to_string(s.width);
}

}  // namespace

TEST("rms_norm: forward, with and without a list of rows") {
  for (const Size s : kSizes) {
    Random random(uint32_t(s.rows * 10007 + s.width));
    const size_t n = size_t(s.rows) * s.width;
    const auto x = bf16_normals(&random, n, 3), w = bf16_normals(&random, size_t(s.width), 1);
    std::vector<float> expected(n), r(size_t(s.rows));
    cpu().rms_norm(s.rows, s.width, x.data(), w.data(), 1e-6f, expected.data(), r.data());
    DeviceArray<bfloat16> dx(rounded(x)), dw(rounded(w)), out(n);
    DeviceArray<float> dr(size_t(s.rows));
    cuda::rms_norm(stream(), s.rows, s.width, dx.data(), nullptr, dw.data(), 1e-6f, out.data(),
                   dr.data());
    CHECK_WITHIN(named("rstd", s), dr.read(), r, 0, 1e-5);
    CHECK_WITHIN(named("out", s), widened(out.read()), expected, 0, kBf16 + 1e-5);

    std::vector<int32_t> reversed(static_cast<size_t>(s.rows));
    for (int i = 0; i < s.rows; i++) reversed[i] = s.rows - 1 - i;
    DeviceArray<int32_t> rows(reversed);
    cuda::rms_norm(stream(), s.rows, s.width, dx.data(), rows.data(), dw.data(), 1e-6f, out.data(),
                   nullptr);
    std::vector<float> turned;
    for (int i = 0; i < s.rows; i++)
      turned.insert(turned.end(), expected.end() - (i + 1) * s.width,
                    expected.end() - i * s.width);
    CHECK_WITHIN(named("out by list", s), widened(out.read()), turned, 0, kBf16 + 1e-5);
  }
}

TEST("rms_norm: tiny and large values keep their scale") {
  for (const float scale : {1e-8f, 1e8f}) {
    Random random(5);
    const auto x = bf16_normals(&random, 64, double(scale)), w = bf16_normals(&random, 64, 1);
    std::vector<float> expected(64);
    cpu().rms_norm(1, 64, x.data(), w.data(), 1e-6f, expected.data(), nullptr);
    DeviceArray<bfloat16> dx(rounded(x)), dw(rounded(w)), out(64);
    cuda::rms_norm(stream(), 1, 64, dx.data(), nullptr, dw.data(), 1e-6f, out.data(), nullptr);
    CHECK_WITHIN("out", widened(out.read()), expected, 0, kBf16 + 1e-5);
  }
}

TEST("rms_norm: gradients of rows and weights, added to what is there") {
  for (const Size s : kSizes) {
    Random random(uint32_t(s.rows * 10007 + s.width + 1));
    const size_t n = size_t(s.rows) * s.width;
    const auto x = bf16_normals(&random, n, 1), w = bf16_normals(&random, size_t(s.width), 1);
    const auto dy = bf16_normals(&random, n, 1), before = bf16_normals(&random, n, 1);
    const auto dw_before = random.normals(size_t(s.width), 1);
    std::vector<float> r(size_t(s.rows)), out(n), dx = before, dw = dw_before;
    cpu().rms_norm(s.rows, s.width, x.data(), w.data(), 1e-6f, out.data(), r.data());
    cpu().rms_norm_backward(s.rows, s.width, dy.data(), x.data(), w.data(), r.data(), dx.data());
    cpu().rms_norm_weight(s.rows, s.width, dy.data(), x.data(), r.data(), dw.data(), 0, s.width);

    std::vector<int32_t> identity(static_cast<size_t>(s.rows));
    for (int i = 0; i < s.rows; i++) identity[i] = i;
    DeviceArray<int32_t> rows(identity);
    DeviceArray<bfloat16> gx(rounded(x)), gw(rounded(w)), gdy(rounded(dy));
    for (const int32_t* list : {static_cast<int32_t*>(nullptr), rows.data()}) {
      DeviceArray<bfloat16> gdx(rounded(before));
      DeviceArray<float> gr(r), gdw(dw_before);
      DeviceArray<float> scratch(cuda::rms_norm_backward_scratch(s.rows, s.width));
      cuda::rms_norm_backward(stream(), s.rows, s.width, gdy.data(), gx.data(), list, gw.data(),
                              gr.data(), gdx.data(), gdw.data(), scratch.data());
      CHECK_WITHIN(named("dx", s), widened(gdx.read()), dx, 1e-4, kBf16);
      CHECK_WITHIN(named("dw", s), gdw.read(), dw, 1e-5 * std::sqrt(double(s.rows)), 1e-5);
      scratch.read();
    }
    // frozen weights: no gradient of theirs, the same of the rows
    DeviceArray<bfloat16> gdx(rounded(before));
    DeviceArray<float> gr(r);
    cuda::rms_norm_backward(stream(), s.rows, s.width, gdy.data(), gx.data(), nullptr, gw.data(),
                            gr.data(), gdx.data(), nullptr, nullptr);
    CHECK_WITHIN(named("dx alone", s), widened(gdx.read()), dx, 1e-4, kBf16);
  }
}

TEST("column_sums: added in groups of rows") {
  for (const Size s : kSizes) {
    Random random(uint32_t(s.rows * 10007 + s.width + 2));
    const int ld = s.width + 16;
    const auto x = bf16_normals(&random, size_t(s.rows) * ld, 1);
    const auto before = random.normals(size_t(s.width), 1);
    std::vector<float> sums = before;
    cpu().column_sums(s.rows, x.data(), ld, sums.data(), 0, s.width);
    DeviceArray<bfloat16> gx(rounded(x));
    DeviceArray<float> got(before), scratch(cuda::column_sums_scratch(s.rows, s.width));
    cuda::column_sums(stream(), s.rows, s.width, gx.data(), ld, got.data(), scratch.data());
    CHECK_WITHIN(named("sums", s), got.read(), sums, 1e-5 * std::sqrt(double(s.rows)), 1e-6);
    scratch.read();
  }
}

TEST("rope: both directions, heads beyond the rotated ones untouched") {
  for (const int D : {16, 64, 80, 128}) {
    const int rows = 7, heads = 3, ld = 5 * D;
    Random random{uint32_t(D)};
    const auto x = bf16_normals(&random, size_t(rows) * ld, 1);
    std::vector<float> table(size_t(32) * D);
    for (int p = 0; p < 32; p++)
      for (int i = 0; i < D / 2; i++) {
        const double angle = p * std::pow(10000.0, -2.0 * i / D);
        table[size_t(p) * D + i] = float(std::cos(angle));
        table[size_t(p) * D + D / 2 + i] = float(std::sin(angle));
      }
    const std::vector<int32_t> positions = {0, 1, 2, 31, 0, 17, 5};
    for (const float direction : {1.0f, -1.0f}) {
      std::vector<float> expected = x;
      cpu().rope(rows, heads, D, expected.data(), ld, positions.data(), table.data(), direction);
      DeviceArray<bfloat16> gx(rounded(x));
      DeviceArray<int32_t> gp(positions);
      DeviceArray<float> gt(table);
      cuda::rope(stream(), rows, heads, D, gx.data(), ld, gp.data(), gt.data(), direction);
      CHECK_WITHIN("rope D " + std::to_string(D), widened(gx.read()), expected, 1e-6, kBf16);
    }
  }
}

TEST("norm_heads: each head as a row of rms_norm, gradients, values untouched") {
  struct HeadsCase {
    cuda::AttentionShape shape;
    int rows;
  };
  // the smallest head, an odd one, grouped ones past a block's 16 rows, the largest
  for (const HeadsCase& c : {HeadsCase{{1, 1, 8}, 1}, HeadsCase{{3, 1, 80}, 17},
                             HeadsCase{{4, 2, 128}, 33}, HeadsCase{{2, 2, 256}, 3}}) {
    const int D = c.shape.head_width, H = c.shape.heads, K = c.shape.key_value_heads;
    const int W = c.shape.columns(), V = c.shape.value_column(0), N = c.rows;
    const std::string name = "norm_heads D " + std::to_string(D);
    Random random{uint32_t(D)};
    const auto qkv = bf16_normals(&random, size_t(N) * W, 2);
    const auto d_qkv = bf16_normals(&random, size_t(N) * W, 1);
    const auto w = bf16_normals(&random, size_t(2) * D, 1);
    const auto dw_before = random.normals(size_t(2) * D, 1);
    std::vector<float> expected = qkv, d_expected = d_qkv, kept, dw = dw_before;
    for (int n = 0; n < N; n++)
      for (int h = 0; h < H + K; h++) {
        const float* x = qkv.data() + size_t(n) * W + h * D;
        const float* weight = w.data() + (h < H ? 0 : D);
        const float* dy = d_qkv.data() + size_t(n) * W + h * D;
        float* dx = d_expected.data() + size_t(n) * W + h * D;
        float r = 0;
        kept.insert(kept.end(), x, x + D);
        cpu().rms_norm(1, D, x, weight, 1e-6f, expected.data() + size_t(n) * W + h * D, &r);
        cpu().rms_norm_weight(1, D, dy, x, &r, dw.data() + (h < H ? 0 : D), 0, D);
        std::fill_n(dx, D, 0.0f);
        cpu().rms_norm_backward(1, D, dy, x, weight, &r, dx);
      }
    DeviceArray<bfloat16> g(rounded(qkv)), dg(rounded(d_qkv)), gw(rounded(w));
    DeviceArray<bfloat16> before(size_t(N) * V);
    cuda::norm_heads(stream(), c.shape, N, gw.data(), 1e-6f, g.data(), before.data());
    CHECK_WITHIN(name, widened(g.read()), expected, 0, kBf16 + 1e-5);
    CHECK_WITHIN(name + ": kept", widened(before.read()), kept, 0, 0);
    DeviceArray<bfloat16> unkept(rounded(qkv));
    cuda::norm_heads(stream(), c.shape, N, gw.data(), 1e-6f, unkept.data(), nullptr);
    CHECK_WITHIN(name + ": nothing kept", widened(unkept.read()), expected, 0, kBf16 + 1e-5);

    DeviceArray<bfloat16> frozen(rounded(d_qkv));
    DeviceArray<float> gdw(dw_before);
    DeviceArray<float> scratch(cuda::norm_heads_backward_scratch(c.shape, N));
    cuda::norm_heads_backward(stream(), c.shape, N, before.data(), gw.data(), 1e-6f, dg.data(),
                              gdw.data(), scratch.data());
    // an element is the difference of two terms, each of the size of dy w r
    CHECK_WITHIN(name + ": gradient", widened(dg.read()), d_expected, 1e-5, kBf16 + 1e-5);
    CHECK_WITHIN(name + ": dw", gdw.read(), dw, 1e-5 * std::sqrt(double(N) * H), 1e-5);
    scratch.read();
    cuda::norm_heads_backward(stream(), c.shape, N, before.data(), gw.data(), 1e-6f, frozen.data(),
                              nullptr, nullptr);
    CHECK_WITHIN(name + ": frozen", widened(frozen.read()), d_expected, 1e-5, kBf16 + 1e-5);
  }
}

TEST("dropout: the elements that Philox names, and what stays is scaled") {
  const int N = 5, C = 24;
  Random random(8);
  const auto x = bf16_normals(&random, size_t(N) * C, 1);
  const auto before = bf16_normals(&random, size_t(N) * C, 1);
  const double probability = 0.25;
  cuda::Dropout dropout;
  dropout.threshold = uint32_t(probability * 4294967296.0);
  dropout.scale = float(1 / (1 - probability));
  dropout.seed = 11;
  dropout.place = 9;
  const DeviceArray<cuda::DropoutMoment> moment({{3, 2, 40}});
  dropout.moment = moment.data();
  std::vector<float> expected, sum;
  int dropped = 0;
  for (int n = 0; n < N; n++)
    for (int c = 0; c < C; c++) {
      const auto words = masksearch::philox4x32(
          {uint32_t(40 + n), uint32_t(c / 4), dropout.place, 2}, 11, 3);
      const bool falls = words[size_t(c % 4)] < dropout.threshold;
      dropped += falls;
      expected.push_back(falls ? 0 : x[expected.size()] * dropout.scale);
      sum.push_back(before[sum.size()] + expected.back());
    }
  CHECK(dropped > 10 && dropped < 60);
  DeviceArray<bfloat16> gx(rounded(x)), out(size_t(N) * C), total(rounded(before));
  cuda::drop(stream(), dropout, N, C, gx.data(), out.data());
  CHECK_WITHIN("dropped", widened(out.read()), expected, 1e-30, kBf16);
  cuda::add_dropped(stream(), dropout, N, C, gx.data(), total.data());
  CHECK_WITHIN("added", widened(total.read()), sum, 1e-6, kBf16);
}

TEST("swiglu: forward and backward") {
  for (const Size s : {Size{1, 8}, Size{5, 24}, Size{33, 4864}}) {
    Random random{uint32_t(s.width)};
    const size_t n = size_t(s.rows) * s.width;
    auto gate_up = bf16_normals(&random, 2 * n, 3);
    gate_up[0] = 90;  // sigmoid 1 and, below, 0
    gate_up[1] = -90;
    const auto d_out = bf16_normals(&random, n, 1);
    std::vector<float> expected(n), again(n), d_gate_up = gate_up;
    cpu().swiglu(s.rows, s.width, gate_up.data(), 2 * s.width, expected.data());
    cpu().swiglu_backward(s.rows, s.width, d_out.data(), d_gate_up.data(), 2 * s.width,
                          again.data());
    DeviceArray<bfloat16> g(rounded(gate_up)), out(n), product(n), d(rounded(d_out));
    cuda::swiglu(stream(), s.rows, s.width, g.data(), out.data());
    CHECK_WITHIN(named("out", s), widened(out.read()), expected, 1e-6, kBf16 + 1e-5);
    cuda::swiglu_backward(stream(), s.rows, s.width, d.data(), g.data(), product.data());
    CHECK_WITHIN(named("product", s), widened(product.read()), expected, 1e-6, kBf16 + 1e-5);
    CHECK_WITHIN(named("d_gate_up", s), widened(g.read()), d_gate_up, 1e-5, kBf16 + 1e-5);
  }
}

TEST("embedding: rows of the table, and its gradient in token order") {
  const int V = 11, C = 2056;
  Random random(3);
  const auto table = bf16_normals(&random, size_t(V) * C, 1);
  const std::vector<int32_t> tokens = {3, 0, 10, 3, 3, 0};
  const auto dx = bf16_normals(&random, tokens.size() * C, 1);
  DeviceArray<bfloat16> gt(rounded(table)), out(tokens.size() * C), gdx(rounded(dx));
  DeviceArray<int32_t> gtokens(tokens);
  cuda::embed(stream(), int(tokens.size()), C, gtokens.data(), gt.data(), out.data());
  std::vector<float> expected;
  for (const int32_t t : tokens)
    expected.insert(expected.end(), table.begin() + t * C, table.begin() + (t + 1) * C);
  CHECK_WITHIN("rows", widened(out.read()), expected, 0, 0);

  const auto before = random.normals(size_t(V) * C, 1);
  std::vector<float> gradient = before;
  for (size_t i = 0; i < tokens.size(); i++)
    for (int c = 0; c < C; c++) gradient[size_t(tokens[i]) * C + c] += dx[i * C + c];
  DeviceArray<int32_t> token({0, 3, 10}), start({0, 2, 5, 6}), order({1, 5, 0, 3, 4, 2});
  DeviceArray<float> got(before);
  cuda::embed_backward(stream(), 3, C, token.data(), start.data(), order.data(), gdx.data(),
                       got.data());
  CHECK_WITHIN("gradient", got.read(), gradient, 1e-5, 1e-6);
}

TEST("kernels refuse widths that are no multiple of eight") {
  CHECK_THROWS(std::invalid_argument, "multiple of 8, received 12",
               cuda::swiglu(stream(), 1, 12, nullptr, nullptr));
  CHECK_THROWS(std::invalid_argument, "at most 8192, received 8200",
               cuda::rms_norm_backward(stream(), 1, 8200, nullptr, nullptr, nullptr, nullptr,
                                       nullptr, nullptr, nullptr, nullptr));
  CHECK_THROWS(std::invalid_argument, "multiple of 16, received 24",
               cuda::rope(stream(), 1, 1, 24, nullptr, 24, nullptr, nullptr, 1));
}
