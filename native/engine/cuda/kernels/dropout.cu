// Dropout of an adapter's input: the masks are drawn again wherever they are needed, never kept. A
// thread takes eight columns, two counters of Philox.
#include "../../src/philox.h"
#include "cuda_kernels.h"
#include "launch_checks.h"

namespace masksearch::cuda {

namespace {

constexpr int kThreads = 256;

// Four elements from column 4 `quarter` on: which of them stay, as 0 or the scale.
__device__ void draw(const Dropout& dropout, uint32_t row, uint32_t quarter, float* factors) {
  const DropoutMoment now = *dropout.moment;
  uint32_t words[4] = {now.first_token + row, quarter, dropout.place, now.call};
  philox_rounds(words, dropout.seed, now.step);
  for (int i = 0; i < 4; i++) factors[i] = words[i] < dropout.threshold ? 0 : dropout.scale;
}

template <bool kAdd>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(Dropout dropout, int64_t pieces, int width, const bf16* x, bf16* out) {
  const int64_t piece = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const uint32_t row = uint32_t(piece / (width / 8)), eighth = uint32_t(piece % (width / 8));
  float factors[8];
  draw(dropout, row, 2 * eighth, factors);
  draw(dropout, row, 2 * eighth + 1, factors + 4);
  const Bfloat16x8 values = load8(x + piece * 8);
  const Bfloat16x8 before = kAdd ? load8(out + piece * 8) : Bfloat16x8{};
  Bfloat16x8 result;
  for (int i = 0; i < 8; i++)
    result.at[i] = to_bfloat16(to_float(before.at[i]) + to_float(values.at[i]) * factors[i]);
  store8(out + piece * 8, result);
}

template <bool kAdd>
void launch_dropout(Stream& stream, const char* name, const Dropout& dropout, int rows, int width,
                    const bf16* x, bf16* out) {
  require_width(name, width);
  const int64_t pieces = int64_t(rows) * (width / 8);
  launch(stream, name, dropout_kernel<kAdd>, {ceil_div(pieces, kThreads)}, kThreads, 0, dropout,
         pieces, width, x, out);
}

}  // namespace

void drop(Stream& stream, const Dropout& dropout, int rows, int width, const bf16* x, bf16* out) {
  launch_dropout<false>(stream, "drop", dropout, rows, width, x, out);
}

void add_dropped(Stream& stream, const Dropout& dropout, int rows, int width, const bf16* x,
                 bf16* out) {
  launch_dropout<true>(stream, "add_dropped", dropout, rows, width, x, out);
}

}  // namespace masksearch::cuda
