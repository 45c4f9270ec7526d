// cuBLASLt for the emulator: the same calls on plain loops, with two algorithms to choose from. It
// reads what the engine sets on descriptions and layouts, so a wrong attribute shows as a wrong sum.
#include <cstring>
#include <memory>

#include "bfloat16.h"
#include "cublas_lt.h"
#include "device_code.h"

namespace masksearch::cuda {

namespace {

constexpr int kRefused = 7;  // CUBLAS_STATUS_INVALID_VALUE

struct Description {
  int32_t transpose_a = 0, transpose_b = 0, epilogue = 1, bias_type = -1;
  const void* bias = nullptr;
};
struct Layout {
  int type;
  int64_t rows, columns, ld;
};

float read(const void* data, const Layout& layout, int64_t row, int64_t column) {
  const int64_t at = row + column * layout.ld;
  return layout.type == CublasLt::float32 ? static_cast<const float*>(data)[at]
                                          : to_float(static_cast<const bfloat16*>(data)[at]);
}

int create(CublasLt::Handle* handle) {
  static int only;
  *handle = &only;
  return 0;
}
int destroy(CublasLt::Handle) { return 0; }
size_t version() { return 0; }
int description_create(CublasLt::Description* made, int compute, int scale) {
  if (compute != CublasLt::compute_float32 || scale != CublasLt::float32) return kRefused;
  *made = new Description();
  return 0;
}
int description_destroy(CublasLt::Description d) {
  delete static_cast<Description*>(d);
  return 0;
}
int description_set(CublasLt::Description description, int attribute, const void* value,
                    size_t bytes) {
  auto& d = *static_cast<Description*>(description);
  void* to = attribute == CublasLt::transpose_a      ? static_cast<void*>(&d.transpose_a)
             : attribute == CublasLt::transpose_b    ? &d.transpose_b
             : attribute == CublasLt::epilogue       ? &d.epilogue
             : attribute == CublasLt::bias_data_type ? &d.bias_type
             : attribute == CublasLt::bias_pointer   ? static_cast<void*>(&d.bias)
                                                     : nullptr;
  const size_t expected = attribute == CublasLt::bias_pointer ? sizeof(void*) : sizeof(int32_t);
  if (to == nullptr || bytes != expected) return kRefused;
  std::memcpy(to, value, bytes);
  return 0;
}
int layout_create(CublasLt::Layout* made, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  if (ld < int64_t(rows)) return kRefused;
  *made = new Layout{type, int64_t(rows), int64_t(columns), ld};
  return 0;
}
int layout_destroy(CublasLt::Layout layout) {
  delete static_cast<Layout*>(layout);
  return 0;
}
int preference_create(CublasLt::Preference* made) {
  static int only;
  *made = &only;
  return 0;
}
int preference_destroy(CublasLt::Preference) { return 0; }
int preference_set(CublasLt::Preference, int attribute, const void*, size_t bytes) {
  return bytes == (attribute == CublasLt::most_workspace_bytes ? 8 : 4) ? 0 : kRefused;
}
int heuristics(CublasLt::Handle, CublasLt::Description, CublasLt::Layout, CublasLt::Layout,
               CublasLt::Layout, CublasLt::Layout, CublasLt::Preference, int wanted,
               CublasLt::Heuristic* results, int* found) {
  *found = wanted < 2 ? wanted : 2;
  for (int i = 0; i < *found; i++) {
    results[i] = {};
    results[i].algorithm.data[0] = uint64_t(i + 1);
  }
  return 0;
}
int check_algorithm(CublasLt::Handle, CublasLt::Description, CublasLt::Layout, CublasLt::Layout,
                    CublasLt::Layout, CublasLt::Layout, const CublasLt::Algorithm* algorithm,
                    CublasLt::Heuristic* result) {
  *result = {};
  result->status = algorithm->data[0] == 1 || algorithm->data[0] == 2 ? 0 : kRefused;
  return 0;
}

struct Call {
  Description description;
  Layout a, b, c, d;
  const void *a_data, *b_data, *c_data;
  void* d_data;
  float alpha, beta;
};

void compute(const Call& call) {
  const auto& d = call.description;
  const int64_t k = d.transpose_a ? call.a.rows : call.a.columns;
  for (int64_t column = 0; column < call.d.columns; column++)
    for (int64_t row = 0; row < call.d.rows; row++) {
      float sum = 0;
      for (int64_t i = 0; i < k; i++)
        sum += (d.transpose_a ? read(call.a_data, call.a, i, row)
                              : read(call.a_data, call.a, row, i)) *
               (d.transpose_b ? read(call.b_data, call.b, column, i)
                              : read(call.b_data, call.b, i, column));
      sum *= call.alpha;
      if (call.beta != 0) sum += call.beta * read(call.c_data, call.c, row, column);
      if (d.epilogue == CublasLt::epilogue_bias)
        sum += to_float(static_cast<const bfloat16*>(d.bias)[row]);
      const int64_t at = row + column * call.d.ld;
      if (call.d.type == CublasLt::float32) {
        static_cast<float*>(call.d_data)[at] = sum;
      } else {
        static_cast<bfloat16*>(call.d_data)[at] = to_bfloat16(sum);
      }
    }
}

int multiply(CublasLt::Handle, CublasLt::Description description, const void* alpha,
             const void* a, CublasLt::Layout a_layout, const void* b, CublasLt::Layout b_layout,
             const void* beta, const void* c, CublasLt::Layout c_layout, void* d,
             CublasLt::Layout d_layout, const CublasLt::Algorithm*, void*, size_t, void* stream) {
  const Call call = {*static_cast<Description*>(description),
                     *static_cast<Layout*>(a_layout),
                     *static_cast<Layout*>(b_layout),
                     *static_cast<Layout*>(c_layout),
                     *static_cast<Layout*>(d_layout),
                     a,
                     b,
                     c,
                     d,
                     *static_cast<const float*>(alpha),
                     *static_cast<const float*>(beta)};
  const auto& flags = call.description;
  const int64_t m = flags.transpose_a ? call.a.columns : call.a.rows;
  const int64_t n = flags.transpose_b ? call.b.rows : call.b.columns;
  const int64_t k = flags.transpose_a ? call.a.rows : call.a.columns;
  const int64_t k_of_b = flags.transpose_b ? call.b.columns : call.b.rows;
  if (m != call.d.rows || n != call.d.columns || k != k_of_b || call.c.rows != m ||
      call.c.columns != n)
    return kRefused;
  if (flags.epilogue == CublasLt::epilogue_bias &&
      (flags.bias == nullptr || flags.bias_type != CublasLt::bfloat16))
    return kRefused;
  run_or_record(stream, [call] { compute(call); });
  return 0;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt emulated = {create,           destroy,
                                    version,          description_create,
                                    description_destroy, description_set,
                                    layout_create,    layout_destroy,
                                    preference_create, preference_destroy,
                                    preference_set,   heuristics,
                                    check_algorithm,  multiply};
  return emulated;
}

}  // namespace masksearch::cuda
