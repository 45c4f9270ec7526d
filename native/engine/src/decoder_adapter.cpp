// The adapter's part in the decoder's passes: low-rank products beside the frozen matrices, dropout.
#include <algorithm>
#include <cmath>
#include <type_traits>

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
      const auto place = [&](StoredBuffer& buffer, int n, int k) {
        return buffer.reserve(type, packed_cells(type, n, k)).data;
      };
      kernels.pack_transposed(r, in, base + m.a, place(to.a, r, in), 0, panels(r));
      kernels.pack_transposed(out, r, base + m.b, place(to.b, out, r), 0, panels(out));
      kernels.pack(in, r, base + m.a, place(to.a_back, in, r), 0, panels(in));
      kernels.pack(r, out, base + m.b, place(to.b_back, r, out), 0, panels(r));
    }
  adapter_packed_epoch_ = adapter_epoch;
}

void Decoder::reserve_adapter_scratch(const Rows& rows, bool backward) {
  const size_t n = size_t(rows.count);
  const size_t tile = std::min(n, size_t(row_tile(type)) * pool.threads());
  const size_t low = size_t(row(lora.rank));
  if (type == DataType::bfloat16) reserve_each(&tile_low_, tile * lora.rank);
  for (StoredBuffer& buffer : tile_low_stored_) buffer.reserve(type, tile * low);
  if (!backward) return;
  for (StoredBuffer& buffer : d_low_) buffer.reserve(type, n * low);
  if (lora.dropout == 0) return;
  const int widest = widest_input();
  for (StoredBuffer& buffer : tile_dropped_) buffer.reserve(type, tile * size_t(row(widest)));
  reserve_each(&tile_d_dropped_, tile * widest);
  reserve_each(&tile_d_kept_, tile * widest);
  dropped_.reserve(type, n * size_t(row(widest)));
}

// Element (t, c): word c mod 4 of Philox at counter (t, c / 4, 8 layer + target, call) under the key
// (seed, step), t the token's index in the batch; dropped where the word is below dropout * 2^32.
template <class T>
void Decoder::drop_rows(int layer, LoraTarget target, int first, int n, int width, Source x,
                        Source out) {
  const auto scaled = [](T value, float scale) {
    if constexpr (std::is_same_v<T, float>) {
      return value * scale;
    } else {
      return narrowed(widened(value) * scale);
    }
  };
  const uint64_t threshold = uint64_t(std::floor(lora.dropout * 4294967296.0));
  const float scale = float(1 / (1 - lora.dropout));
  const uint32_t place = uint32_t(layer) * 8 + uint32_t(target);
  for (int t = 0; t < n; t++) {
    const T* from = static_cast<const T*>(x.from(t).data.data);
    T* to = static_cast<T*>(out.from(t).data.data);
    const uint32_t token = dropout.first_token + uint32_t(first + t);
    for (int c = 0; c < width; c += 4) {
      const std::array<uint32_t, 4> words =
          philox4x32({token, uint32_t(c / 4), place, dropout.call}, lora.seed, dropout.step);
      for (int i = 0; i < std::min(4, width - c); i++)
        to[c + i] = words[size_t(i)] < threshold ? T() : scaled(from[c + i], scale);
    }
  }
}

void Decoder::drop(int layer, LoraTarget target, int first, int n, int width, Source x,
                   Source out) {
  if (x.data.type == DataType::float32) {
    drop_rows<float>(layer, target, first, n, width, x, out);
  } else {
    drop_rows<bfloat16>(layer, target, first, n, width, x, out);
  }
}

template <class Runner>
void Decoder::adapt(Runner& runner, int layer, LoraTarget target, int first, int n, Source x,
                    const LayerActivations& a, Target y) {
  if (!adapted(layer, target)) return;
  const AdapterMatrix& m = adapter_layout.layers[size_t(layer)][target];
  const PackedAdapter& packed = packed_adapter_[size_t(layer)][target];
  const int r = lora.rank;
  const Source low = a.low.data == nullptr
                         ? Source{tile_low_stored_[runner.worker()].data(), row(r)}
                         : Source{a.low, row(r)}.from(int(size_t(target) * a.low_rows) + first);
  Source input = x;
  if (dropout.active) {
    input = {tile_dropped_[runner.worker()].data(), row(m.inputs)};
    drop(layer, target, first, n, m.inputs, x, input);
  }
  low_product(runner, n, m.inputs, input, packed.a.data(), low);
  linear(runner, n, m.outputs, r, low, packed.b.data(), y, y);
}

template <class Runner>
void Decoder::low_product(Runner& runner, int n, int k, Source x, Cells packed, Source low) {
  const int r = lora.rank;
  const Target made{staged(low, tile_low_[runner.worker()]).data, r};
  linear(runner, n, r, k, x, packed, {nullptr, 0}, made);
  kernels.scale(size_t(n) * r, made.data, float(lora.alpha / r));
  keep(runner, n, r, made, low);
}

template <class Runner>
void Decoder::adapt_backward(Runner& runner, int layer, LoraTarget target, int first, int n,
                             Source dy, Target dx) {
  if (!adapted(layer, target)) return;
  const AdapterMatrix& m = adapter_layout.layers[size_t(layer)][target];
  const PackedAdapter& packed = packed_adapter_[size_t(layer)][target];
  const int r = lora.rank;
  const Source d_low = Source{d_low_[target].data(), row(r)}.from(first);
  low_product(runner, n, m.outputs, dy, packed.b_back.data(), d_low);
  if (!dropout.active) {
    linear(runner, n, m.inputs, r, d_low, packed.a_back.data(), dx, dx);
    return;
  }
  const Target d_dropped{tile_d_dropped_[runner.worker()].data(), m.inputs};
  const Target kept{tile_d_kept_[runner.worker()].data(), m.inputs};
  const auto as_source = [](Target t) { return Source{{t.data, DataType::float32}, t.row}; };
  linear(runner, n, m.inputs, r, d_low, packed.a_back.data(), {nullptr, 0}, d_dropped);
  drop(layer, target, first, n, m.inputs, as_source(d_dropped), as_source(kept));
  for (int t = 0; t < n; t++)
    kernels.add(size_t(m.inputs), dx.from(t).data, kept.from(t).data);
}

void Decoder::adapt_weight_backward(int layer, LoraTarget target, const Rows& rows, Source dy,
                                    Source x, const LayerActivations& a) {
  if (!adapted(layer, target)) return;
  const AdapterMatrix& m = adapter_layout.layers[size_t(layer)][target];
  const int N = rows.count;
  const int r = lora.rank;
  Source input = x;
  if (dropout.active) {
    input = {dropped_.data(), row(m.inputs)};
    pool.run_ranges(N, register_rows(type), [&](int first, int last, int) {
      drop(layer, target, first, last - first, m.inputs, x.from(first), input.from(first));
    });
  }
  const Source low = Source{a.low, row(r)}.from(int(size_t(target) * a.low_rows));
  linear_weight(N, m.outputs, r, dy, low, gradient(m.b));
  linear_weight(N, r, m.inputs, {d_low_[target].data(), row(r)}, input, gradient(m.a));
}

template void Decoder::adapt(ThreadPool&, int, LoraTarget, int, int, Source,
                             const LayerActivations&, Target);
template void Decoder::adapt(OneThread&, int, LoraTarget, int, int, Source,
                             const LayerActivations&, Target);
template void Decoder::adapt_backward(ThreadPool&, int, LoraTarget, int, int, Source, Target);
template void Decoder::adapt_backward(OneThread&, int, LoraTarget, int, int, Source, Target);

}  // namespace masksearch
