// The adapter's part in the device's layers: low-rank products beside the frozen matrices, dropout.
// Low-rank rows are computed again on the way back, as their product is a small one.
#include "device_decoder.h"

namespace masksearch::cuda {

namespace {

Dropout at_place(Dropout dropout, int layer, LoraTarget target) {
  dropout.place = uint32_t(layer) * 8 + uint32_t(target);  // as the CPU engine counts
  return dropout;
}

}  // namespace

bool DeviceDecoder::adapted(int layer, LoraTarget target, const PassBuffers& pass) const {
  return s_.frozen() && pass.adapter == AdapterUse::on && adapter_matrix(layer, target).used;
}

const bf16* DeviceDecoder::drop_input(int layer, LoraTarget target, const PassBuffers& pass,
                                      const bf16* x) {
  if (pass.dropout.threshold == 0) return x;
  drop(s_.stream, at_place(pass.dropout, layer, target), pass.rows,
       adapter_matrix(layer, target).inputs, x, pass.dropped);
  return pass.dropped;
}

void DeviceDecoder::low_rank(const AdapterMatrix& m, const PassBuffers& pass, const bf16* x) {
  const int r = s_.lora.rank;
  Product p{pass.rows, r, m.inputs, {x, m.inputs, false}, {s_.trained_weight(m.a), m.inputs, true}};
  p.scale = adapter_scale();
  p.d = pass.low;
  p.d_row = r;
  s_.gemm->run(p);
}

void DeviceDecoder::adapt(int layer, LoraTarget target, const PassBuffers& pass, const bf16* x,
                          bf16* y, int64_t y_row) {
  if (!adapted(layer, target, pass)) return;
  const AdapterMatrix& m = adapter_matrix(layer, target);
  const int r = s_.lora.rank;
  low_rank(m, pass, drop_input(layer, target, pass, x));
  Product p{pass.rows, m.outputs, r, {pass.low, r, false}, {s_.trained_weight(m.b), r, true}};
  p.addend = p.d = y;
  p.addend_row = p.d_row = y_row;
  s_.gemm->run(p);
}

void DeviceDecoder::adapt_backward(int layer, LoraTarget target, const PassBuffers& pass,
                                   const bf16* dy, int64_t dy_row, bf16* dx) {
  if (!adapted(layer, target, pass)) return;
  const AdapterMatrix& m = adapter_matrix(layer, target);
  const int r = s_.lora.rank;
  Product low{pass.rows, r, m.outputs, {dy, dy_row, false}, {s_.trained_weight(m.b), r, false}};
  low.scale = adapter_scale();
  low.d = pass.d_low;
  low.d_row = r;
  s_.gemm->run(low);
  const bool dropping = pass.dropout.threshold > 0;
  const Factor a = {s_.trained_weight(m.a), m.inputs, false};
  Product p{pass.rows, m.inputs, r, {pass.d_low, r, false}, a};
  p.d = dropping ? pass.dropped : dx;
  p.addend = dropping ? nullptr : dx;
  p.addend_row = p.d_row = m.inputs;
  s_.gemm->run(p);
  if (dropping)
    add_dropped(s_.stream, at_place(pass.dropout, layer, target), pass.rows, m.inputs,
                pass.dropped, dx);
}

void DeviceDecoder::adapt_weights(int layer, LoraTarget target, const PassBuffers& pass,
                                  const bf16* dy, int64_t dy_row, const bf16* x, bool first) {
  if (!adapted(layer, target, pass)) return;
  const AdapterMatrix& m = adapter_matrix(layer, target);
  const int N = pass.rows, r = s_.lora.rank;
  const bf16* input = drop_input(layer, target, pass, x);
  low_rank(m, pass, input);
  linear_weight(N, m.outputs, r, dy, dy_row, pass.low, m.b, first);
  linear_weight(N, r, m.inputs, pass.d_low, r, input, m.a, first);
}

}  // namespace masksearch::cuda
