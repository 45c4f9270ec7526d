// The adapter's part in the decoder's passes: low-rank products beside the frozen matrices, dropout.
#include <algorithm>
#include <cmath>

#include "decoder.h"
#include "philox.h"

namespace masksearch {

void Decoder::pack_adapter() {
  const int r = lora.rank;
  const float* base = adapter_weights.data();
  for (size_t l = 0; l < packed_adapter_.size(); l++)
    for (size_t t = 0; t < kLoraTargets; t++) {
      const AdapterMatrix& m = adapter_layout.layers[l][t];
      if (!m.used) continue;
      PackedAdapter& to = packed_adapter_[l][t];
      const int in = m.inputs, out = m.outputs;
      kernels.pack_transposed(r, in, base + m.a, to.a.reserve(packed_floats(r, in)), 0, panels(r));
      kernels.pack_transposed(out, r, base + m.b, to.b.reserve(packed_floats(out, r)), 0,
                              panels(out));
      kernels.pack(in, r, base + m.a, to.a_back.reserve(packed_floats(in, r)), 0, panels(in));
      kernels.pack(r, out, base + m.b, to.b_back.reserve(packed_floats(r, out)), 0, panels(r));
    }
  adapter_packed_epoch_ = adapter_epoch;
}

void Decoder::reserve_adapter_scratch(const Rows& rows, bool backward) {
  const size_t n = size_t(rows.count);
  const size_t tile = std::min(n, size_t(kRowTile) * pool.threads());
  reserve_each(&tile_low_, tile * lora.rank);
  if (!backward) return;
  reserve_each(&d_low_, n * lora.rank);
  if (lora.dropout == 0) return;
  const size_t widest =
      size_t(std::max({config.width, attention_width(), config.feed_forward_width}));
  reserve_each(&tile_dropped_, tile * widest);
  reserve_each(&tile_d_dropped_, tile * widest);
  dropped_.reserve(n * widest);
}

// Element (t, c): word c mod 4 of Philox at counter (t, c / 4, 8 layer + target, call) under the key
// (seed, step), t the token's index in the batch; dropped where the word is below dropout * 2^32.
void Decoder::drop(int layer, LoraTarget target, int first, int n, int width, Source x,
                   float* out) {
  const uint64_t threshold = uint64_t(std::floor(lora.dropout * 4294967296.0));
  const float scale = float(1 / (1 - lora.dropout));
  const uint32_t place = uint32_t(layer) * 8 + uint32_t(target);
  for (int t = 0; t < n; t++) {
    const float* from = x.from(t).data;
    float* to = out + size_t(t) * width;
    const uint32_t token = dropout.first_token + uint32_t(first + t);
    for (int c = 0; c < width; c += 4) {
      const std::array<uint32_t, 4> words =
          philox4x32({token, uint32_t(c / 4), place, dropout.call}, lora.seed, dropout.step);
      for (int i = 0; i < std::min(4, width - c); i++)
        to[c + i] = words[size_t(i)] < threshold ? 0.0f : from[c + i] * scale;
    }
  }
}

template <class Runner>
void Decoder::adapt(Runner& runner, int layer, LoraTarget target, int first, int n, Source x,
                    const LayerActivations& a, Target y) {
  if (!adapted(layer, target)) return;
  const AdapterMatrix& m = adapter_layout.layers[size_t(layer)][target];
  const PackedAdapter& packed = packed_adapter_[size_t(layer)][target];
  const int r = lora.rank;
  float* low = a.low == nullptr
                   ? tile_low_[runner.worker()].data()
                   : a.low + (size_t(target) * a.low_rows + size_t(first)) * r;
  Source input = x;
  if (dropout.active) {
    float* dropped = tile_dropped_[runner.worker()].data();
    drop(layer, target, first, n, m.inputs, x, dropped);
    input = {dropped, m.inputs};
  }
  linear(runner, n, r, m.inputs, input, packed.a.data(), {nullptr, 0}, {low, r});
  kernels.scale(size_t(n) * r, low, float(lora.alpha / r));
  linear(runner, n, m.outputs, r, {low, r}, packed.b.data(), {y.data, y.row}, y);
}

template <class Runner>
void Decoder::adapt_backward(Runner& runner, int layer, LoraTarget target, int first, int n,
                             Source dy, Target dx) {
  if (!adapted(layer, target)) return;
  const AdapterMatrix& m = adapter_layout.layers[size_t(layer)][target];
  const PackedAdapter& packed = packed_adapter_[size_t(layer)][target];
  const int r = lora.rank;
  float* d_low = d_low_[target].data() + size_t(first) * r;
  linear(runner, n, r, m.outputs, dy, packed.b_back.data(), {nullptr, 0}, {d_low, r});
  kernels.scale(size_t(n) * r, d_low, float(lora.alpha / r));
  if (!dropout.active) {
    linear(runner, n, m.inputs, r, {d_low, r}, packed.a_back.data(), {dx.data, dx.row}, dx);
    return;
  }
  float* d_dropped = tile_d_dropped_[runner.worker()].data();
  float* kept = tile_dropped_[runner.worker()].data();
  linear(runner, n, m.inputs, r, {d_low, r}, packed.a_back.data(), {nullptr, 0},
         {d_dropped, m.inputs});
  drop(layer, target, first, n, m.inputs, {d_dropped, m.inputs}, kept);
  for (int t = 0; t < n; t++)
    kernels.add(size_t(m.inputs), dx.from(t).data, kept + size_t(t) * m.inputs);
}

void Decoder::adapt_weight_backward(int layer, LoraTarget target, const Rows& rows, Source dy,
                                    const float* x, const LayerActivations& a) {
  if (!adapted(layer, target)) return;
  const AdapterMatrix& m = adapter_layout.layers[size_t(layer)][target];
  const int N = rows.count;
  const int r = lora.rank;
  const float* input = x;
  if (dropout.active) {
    pool.run_ranges(N, kRegisterRows, [&](int first, int last, int) {
      drop(layer, target, first, last - first, m.inputs, Source{x, m.inputs}.from(first),
           dropped_.data() + size_t(first) * m.inputs);
    });
    input = dropped_.data();
  }
  const float* low = a.low + size_t(target) * a.low_rows * r;
  linear_weight(N, m.outputs, r, dy, low, gradient(m.b));
  linear_weight(N, r, m.inputs, {d_low_[target].data(), r}, input, gradient(m.a));
}

template void Decoder::adapt(ThreadPool&, int, LoraTarget, int, int, Source,
                             const LayerActivations&, Target);
template void Decoder::adapt(OneThread&, int, LoraTarget, int, int, Source,
                             const LayerActivations&, Target);
template void Decoder::adapt_backward(ThreadPool&, int, LoraTarget, int, int, Source, Target);
template void Decoder::adapt_backward(OneThread&, int, LoraTarget, int, int, Source, Target);

}  // namespace masksearch
