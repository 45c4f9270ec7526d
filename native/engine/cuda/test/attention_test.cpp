// Attention kernels against float64 loops: packed sequences, pages, one token per sequence, and both
// gradients, on tensor cores and in plain loops. Bounds: weights and outputs are stored as bfloat16,
// so a row of unit values is off by some kBf16; gradients by a few more.
#include <algorithm>

#include "attention_reference.h"
#include "device_array.h"

using namespace test;
namespace cuda = masksearch::cuda;

namespace {

struct AttentionCase {
  const char* why;
  cuda::AttentionShape shape;
  std::vector<int> lengths;
};

const std::vector<AttentionCase>& cases_of_attention() {
  static const std::vector<AttentionCase> all = {
      {"one token alone", {2, 1, 64}, {1}},
      {"lengths around a key step and a tile", {3, 3, 64}, {31, 1, 33, 64, 65}},
      {"six query heads to a key head, two tiles and a bit", {6, 1, 128}, {130, 2}},
      {"two key heads, tile boundary", {4, 2, 128}, {63, 64, 1}},
  };
  return all;
}

struct Inputs {
  int rows = 0;
  std::vector<cuda::RowRun> runs;
  std::vector<float> qkv, d_out;
};

Inputs make_inputs(const AttentionCase& c, uint32_t seed) {
  Inputs in;
  for (size_t s = 0; s < c.lengths.size(); s++) {
    in.runs.push_back({in.rows, c.lengths[s], 0, int32_t(s)});
    in.rows += c.lengths[s];
  }
  Random random(seed);
  in.qkv = bf16_normals(&random, size_t(in.rows) * c.shape.columns(), 1);
  in.d_out = bf16_normals(&random, size_t(in.rows) * c.shape.heads * c.shape.head_width, 1);
  return in;
}

struct Outputs {
  std::vector<float> out, log_sums, d_qkv;
};

// Forward and backward through the kernels given, with so many tiles without rows.
template <class Forward, class Back>
Outputs run_both(const AttentionCase& c, const Inputs& in, Forward forward, Back backward,
                 int empty_tiles = 0) {
  auto query_tiles = cuda::query_tiles(in.runs);
  auto key_tiles = cuda::key_tiles(in.runs);
  query_tiles.resize(query_tiles.size() + size_t(empty_tiles));
  key_tiles.resize(query_tiles.size());
  DeviceArray<cuda::QueryTile> queries(query_tiles);
  DeviceArray<cuda::KeyTile> keys(key_tiles);
  DeviceArray<bfloat16> qkv(rounded(in.qkv)), d_out(rounded(in.d_out)), out(in.d_out.size());
  DeviceArray<bfloat16> d_qkv(in.qkv.size());
  DeviceArray<float> log_sums(size_t(c.shape.heads) * in.rows);
  DeviceArray<float> scratch(cuda::attention_backward_scratch(c.shape, in.rows));
  const int tiles = int(query_tiles.size());
  forward(stream(), c.shape, in.rows, tiles, queries.data(), qkv.data(), out.data(),
          log_sums.data());
  backward(stream(), c.shape, in.rows, tiles, queries.data(), keys.data(), qkv.data(), out.data(),
           d_out.data(), log_sums.data(), d_qkv.data(), scratch.data());
  scratch.read();
  return {widened(out.read()), log_sums.read(), widened(d_qkv.read())};
}

// attention_backward with memory, NaN at first, for the gradients of so many key/value heads' scores.
struct Backward {
  int key_heads;

  void operator()(cuda::Stream& to, const cuda::AttentionShape& shape, int rows, int tiles,
                  const cuda::QueryTile* queries, const cuda::KeyTile* keys, const bfloat16* qkv,
                  const bfloat16* out, const bfloat16* d_out, const float* log_sums,
                  bfloat16* d_qkv, float* scratch) const {
    const int64_t pairs = int64_t(tiles) * (tiles + 1) / 2;  // more than there are
    const DeviceArray<bfloat16> scores(std::vector<bfloat16>(
        cuda::kept_score_bytes(shape, pairs, key_heads) / sizeof(bfloat16), bfloat16{0x7fff}));
    cuda::attention_backward(to, shape, rows, tiles, queries, keys, qkv, out, d_out, log_sums,
                             d_qkv, scratch, {scores.data(), key_heads});
    scores.read();
  }
};

void check_against_reference(const AttentionCase& c, const Inputs& in, const Outputs& got, double slack) {
  const AttentionReference expected =
      attention_reference(c.shape, in.runs, in.rows, in.qkv, in.d_out);
  CHECK_WITHIN(std::string("out: ") + c.why, got.out, expected.out, slack * kBf16, kBf16);
  CHECK_WITHIN(std::string("log sums: ") + c.why, got.log_sums, expected.log_sums, 1e-5, 1e-5);
  // sums over up to 130 queries and six heads of terms with bfloat16 factors
  CHECK_WITHIN(std::string("gradients: ") + c.why, got.d_qkv, expected.d_qkv, 16 * slack * kBf16,
               2 * kBf16);
}

// The pages of some sequences, handed out from the pool's end backwards.
struct Pool {
  int pages_per_sequence;
  std::vector<int32_t> page_of;
  DeviceArray<bfloat16> pool;
  DeviceArray<int32_t> device_page_of;

  Pool(const cuda::AttentionShape& shape, int sequences, int pages)
      : pages_per_sequence(pages),
        page_of(make_page_of(sequences * pages)),
        pool(std::vector<bfloat16>(size_t(sequences) * pages * 2 * shape.key_value_heads *
                                       cuda::kPageTokens * shape.head_width,
                                   bfloat16{0x7fff})),  // NaN where nothing was stored
        device_page_of(page_of) {}

  static std::vector<int32_t> make_page_of(int count) {
    std::vector<int32_t> all;
    for (int i = 0; i < count; i++) all.push_back(count - 1 - i);
    return all;
  }
  cuda::PagedKeys keys() const {
    return {pool.data(), device_page_of.data(), pages_per_sequence};
  }
};

}  // namespace

TEST("attention: tensor cores, forward and both gradients") {
  for (const AttentionCase& c : cases_of_attention()) {
    const Inputs in = make_inputs(c, 11);
    check_against_reference(
        c, in, run_both(c, in, cuda::attention_forward, Backward{1}), 2);
  }
}

TEST("attention: gradients of scores kept for some heads, all, or none give the same bits") {
  for (const AttentionCase& c : cases_of_attention()) {
    const Inputs in = make_inputs(c, 17);
    const Outputs again = run_both(c, in, cuda::attention_forward, Backward{0});
    for (const int key_heads : {1, 2, c.shape.key_value_heads}) {
      if (key_heads > c.shape.key_value_heads) continue;
      const Outputs kept = run_both(c, in, cuda::attention_forward, Backward{key_heads});
      CHECK_SAME_BITS(c.why, kept.d_qkv.data(), again.d_qkv.data(), again.d_qkv.size());
    }
  }
}

TEST("attention: tiles without rows change nothing") {
  const AttentionCase c = cases_of_attention()[1];
  const Inputs in = make_inputs(c, 18);
  const Outputs expected = run_both(c, in, cuda::attention_forward, Backward{1});
  const Outputs more = run_both(c, in, cuda::attention_forward, Backward{1}, 3);
  CHECK_SAME_BITS("out", more.out.data(), expected.out.data(), expected.out.size());
  CHECK_SAME_BITS("d_qkv", more.d_qkv.data(), expected.d_qkv.data(), expected.d_qkv.size());
}

TEST("attention: plain loops, forward and both gradients, any head width") {
  std::vector<AttentionCase> all = cases_of_attention();
  all.push_back({"a head of 8", {2, 2, 8}, {5, 70}});
  all.push_back({"a head of 80", {2, 1, 80}, {33}});
  all.push_back({"a head of 256", {1, 1, 256}, {9}});
  for (const AttentionCase& c : all) {
    const Inputs in = make_inputs(c, 12);
    check_against_reference(
        c, in, run_both(c, in, cuda::attention_forward_plain, cuda::attention_backward_plain), 1);
  }
}

TEST("attention: a sequence does not feel its neighbours, bit for bit") {
  const AttentionCase packed = {"packed", {2, 1, 64}, {70, 33, 5}};
  const Inputs all = make_inputs(packed, 13);
  const Outputs together = run_both(packed, all, cuda::attention_forward, Backward{1});
  const int W = packed.shape.columns(), Q = 2 * 64;
  const AttentionCase alone = {"alone", packed.shape, {33}};
  Inputs one;
  one.rows = 33;
  one.runs = {{0, 33, 0, 0}};
  one.qkv.assign(all.qkv.begin() + 70 * W, all.qkv.begin() + 103 * W);
  one.d_out.assign(all.d_out.begin() + 70 * Q, all.d_out.begin() + 103 * Q);
  const Outputs single = run_both(alone, one, cuda::attention_forward, Backward{1});
  CHECK_SAME_BITS("out", together.out.data() + 70 * Q, single.out.data(), size_t(33) * Q);
  CHECK_SAME_BITS("d_qkv", together.d_qkv.data() + 70 * W, single.d_qkv.data(), size_t(33) * W);
}

TEST("attention: large scores stay finite") {
  const AttentionCase c = {"large", {1, 1, 64}, {65}};
  Inputs in = make_inputs(c, 14);
  for (float& x : in.qkv) x *= 32;
  const Outputs got = run_both(c, in, cuda::attention_forward, Backward{1});
  for (const float x : got.out) CHECK(std::isfinite(x));
  for (const float x : got.d_qkv) CHECK(std::isfinite(x));
}

TEST("attention from pages: a prompt read in two pieces, and one token at a time") {
  for (const cuda::AttentionShape shape :
       {cuda::AttentionShape{6, 1, 128}, {4, 2, 64}, {2, 2, 16}}) {
    const AttentionCase c = {"pages", shape, {1, 64, 70, 600}};
    const int D = shape.head_width, H = shape.heads, W = shape.columns();
    const bool narrow = D == 16;
    const Inputs in = make_inputs(c, 16);
    const AttentionReference expected =
        attention_reference(shape, in.runs, in.rows, in.qkv, {});
    const Pool pool(shape, 4, 10);
    std::vector<int32_t> sequence_of, positions;
    for (const auto& run : in.runs)
      for (int i = 0; i < run.count; i++) {
        sequence_of.push_back(run.sequence);
        positions.push_back(i);
      }
    DeviceArray<bfloat16> qkv(rounded(in.qkv)), out(size_t(in.rows) * H * D);
    DeviceArray<int32_t> device_sequence_of(sequence_of), device_positions(positions);
    cuda::store_keys(stream(), shape, in.rows, qkv.data(), device_sequence_of.data(),
                     device_positions.data(), pool.pool.data(), pool.device_page_of.data(), 10);

    std::vector<cuda::RowRun> pieces;
    for (const auto& run : in.runs) {
      const int cut = run.count / 3;
      if (cut > 0) pieces.push_back({run.row, cut, 0, run.sequence});
      pieces.push_back({run.row + cut, run.count - cut, cut, run.sequence});
    }
    const auto tiles = cuda::query_tiles(pieces);
    DeviceArray<cuda::QueryTile> device_tiles(tiles);
    const auto paged = narrow ? cuda::attention_paged_plain : cuda::attention_paged;
    paged(stream(), shape, int(tiles.size()), device_tiles.data(), qkv.data(), pool.keys(),
          out.data());
    CHECK_WITHIN("prompt, D " + std::to_string(D), widened(out.read()), expected.out, 2 * kBf16,
                 kBf16);

    std::vector<float> last_rows;
    std::vector<double> last_out;
    std::vector<int32_t> last_positions;
    for (const auto& run : in.runs) {
      const size_t last = size_t(run.row) + run.count - 1;
      last_rows.insert(last_rows.end(), in.qkv.begin() + last * W, in.qkv.begin() + (last + 1) * W);
      last_out.insert(last_out.end(), expected.out.begin() + last * H * D,
                      expected.out.begin() + (last + 1) * H * D);
      last_positions.push_back(run.count - 1);
    }
    DeviceArray<bfloat16> rows(rounded(last_rows)), decoded(last_out.size());
    DeviceArray<int32_t> device_last(last_positions);
    DeviceArray<float> scratch(cuda::decode_scratch(shape, 4, 640));
    cuda::decode_attention(stream(), shape, 4, 640, rows.data(), device_last.data(), pool.keys(),
                           decoded.data(), scratch.data());
    CHECK_WITHIN("decode, D " + std::to_string(D), widened(decoded.read()), last_out, 2 * kBf16,
                 kBf16);
    scratch.read();

    // A row alone, with other bounds, gives the same bits.
    DeviceArray<int32_t> last_pages(
        std::vector<int32_t>(pool.page_of.begin() + 30, pool.page_of.end()));
    DeviceArray<bfloat16> row(
        rounded(std::vector<float>(last_rows.begin() + 3 * W, last_rows.end())));
    DeviceArray<bfloat16> alone(size_t(H) * D);
    DeviceArray<int32_t> position(std::vector<int32_t>{599});
    DeviceArray<float> more(cuda::decode_scratch(shape, 1, 5000));
    cuda::decode_attention(stream(), shape, 1, 5000, row.data(), position.data(),
                           {pool.pool.data(), last_pages.data(), 10}, alone.data(), more.data());
    const std::vector<float> first = widened(decoded.read()), second = widened(alone.read());
    CHECK_SAME_BITS("decode alone", first.data() + 3 * H * D, second.data(), size_t(H) * D);
  }
}
