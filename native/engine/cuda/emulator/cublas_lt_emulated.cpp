// cuBLASLt for the emulator: the same calls on plain loops. It reads what the engine sets on
// descriptions and layouts, so a wrong attribute shows as a wrong sum, and refuses what cuBLASLt's
// documentation does not allow: other types, a workspace that is not aligned to 256 bytes, addresses
// that are less aligned than an algorithm needs.
#include <algorithm>
#include <cstring>

#include "bfloat16.h"
#include "cublas_lt.h"
#include "device_code.h"

namespace masksearch::cuda {

bool recording_on_this_thread();  // device_emulated.cpp

namespace {

constexpr int kInternal = 14;      // CUBLAS_STATUS_INTERNAL_ERROR
constexpr int kRefused = 7;        // CUBLAS_STATUS_INVALID_VALUE
constexpr int kNotSupported = 15;  // CUBLAS_STATUS_NOT_SUPPORTED

struct Description {
  int32_t transpose_a = 0, transpose_b = 0, epilogue = 1, bias_type = -1;
  const void* bias = nullptr;
};
struct Layout {
  int type;
  int64_t rows, columns, ld;
};
struct Preference {
  uint64_t workspace_bytes = 0;
  uint32_t reductions = CublasLt::all_reductions;
  uint32_t alignment[4] = {256, 256, 256, 256};  // of a, b, c and d
};

// What an algorithm's words mean here. `Kind::split` adds two parts that were rounded to the
// output's type, as cuBLASLt may unless it is told not to.
enum class Kind : uint64_t { aligned = 1, any = 2, split = 3 };
struct Algorithm {
  Kind kind;
  uint64_t alignment;  // that addresses and rows must have
  uint64_t workspace_bytes;
};
Algorithm algorithm_of(const CublasLt::Algorithm& a) {
  return {Kind(a.data[0]), a.data[1], a.data[2]};
}

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
const char* status_name(int status) {
  return status == kRefused        ? "CUBLAS_STATUS_INVALID_VALUE"
         : status == kNotSupported ? "CUBLAS_STATUS_NOT_SUPPORTED"
         : status == kInternal     ? "CUBLAS_STATUS_INTERNAL_ERROR"
                                   : "another status";
}
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
  if (ld < int64_t(rows) || (type != CublasLt::float32 && type != CublasLt::bfloat16))
    return kRefused;
  *made = new Layout{type, int64_t(rows), int64_t(columns), ld};
  return 0;
}
int layout_destroy(CublasLt::Layout layout) {
  delete static_cast<Layout*>(layout);
  return 0;
}
int preference_create(CublasLt::Preference* made) {
  *made = new Preference();
  return 0;
}
int preference_destroy(CublasLt::Preference p) {
  delete static_cast<Preference*>(p);
  return 0;
}
int preference_set(CublasLt::Preference preference, int attribute, const void* value,
                   size_t bytes) {
  auto& p = *static_cast<Preference*>(preference);
  const bool aligns =
      attribute >= CublasLt::alignment_a && attribute <= CublasLt::alignment_d;
  void* to = attribute == CublasLt::most_workspace_bytes ? static_cast<void*>(&p.workspace_bytes)
             : attribute == CublasLt::reductions         ? &p.reductions
             : aligns ? &p.alignment[attribute - CublasLt::alignment_a]
                      : nullptr;
  const size_t expected =
      attribute == CublasLt::most_workspace_bytes ? sizeof(uint64_t) : sizeof(uint32_t);
  if (to == nullptr || bytes != expected) return kRefused;
  std::memcpy(to, value, bytes);
  return 0;
}

bool is_aligned(const void* address, uint64_t bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

int64_t bytes_of(const Layout& layout) { return layout.type == CublasLt::float32 ? 4 : 2; }

// Sizes that fit together, and types of the table in cublasLtMatmul's documentation: bfloat16
// factors, c like d, a bias like d.
bool fits(const Description& e, const Layout& a, const Layout& b, const Layout& c,
          const Layout& d) {
  const int64_t m = e.transpose_a ? a.columns : a.rows, k = e.transpose_a ? a.rows : a.columns;
  const int64_t n = e.transpose_b ? b.rows : b.columns, k_of_b = e.transpose_b ? b.columns : b.rows;
  return m == d.rows && n == d.columns && k == k_of_b && c.rows == m && c.columns == n &&
         a.type == CublasLt::bfloat16 && b.type == CublasLt::bfloat16 && c.type == d.type &&
         (e.epilogue != CublasLt::epilogue_bias || (e.bias != nullptr && e.bias_type == d.type));
}

template <class T>
const T& as(void* opaque) {
  return *static_cast<const T*>(opaque);
}

int heuristics(CublasLt::Handle, CublasLt::Description description, CublasLt::Layout a,
               CublasLt::Layout b, CublasLt::Layout c, CublasLt::Layout d,
               CublasLt::Preference preference, int wanted, CublasLt::Heuristic* results,
               int* found) {
  const auto& e = as<Description>(description);
  const auto& p = as<Preference>(preference);
  *found = 0;
  if (recording_on_this_thread()) return kInternal;  // as in version 13.3
  if (wanted < 1 || !fits(e, as<Layout>(a), as<Layout>(b), as<Layout>(c), as<Layout>(d)))
    return kRefused;
  const auto offer = [&](const Algorithm& algorithm) {
    if (*found == wanted || algorithm.workspace_bytes > p.workspace_bytes) return;
    CublasLt::Heuristic result{};
    result.algorithm = {{uint64_t(algorithm.kind), algorithm.alignment,
                         algorithm.workspace_bytes}};
    result.workspace_bytes = algorithm.workspace_bytes;
    results[(*found)++] = result;
  };
  const uint32_t rounding = CublasLt::in_place | CublasLt::in_output_type;
  if (as<Layout>(d).type == CublasLt::bfloat16 && (p.reductions & rounding) != 0)
    offer({Kind::split, 1, 256});
  bool aligned = is_aligned(e.bias, 16);
  for (const uint32_t each : p.alignment) aligned = aligned && each >= 16;
  if (aligned) offer({Kind::aligned, 16, 256});
  offer({Kind::any, 1, 0});
  return *found == 0 ? kNotSupported : 0;
}
// Whether the algorithm can compute this, wherever the matrices lie.
bool takes(const Algorithm& algorithm, const Description& description, const Layout& a,
           const Layout& b, const Layout& c, const Layout& d) {
  return algorithm.kind >= Kind::aligned && algorithm.kind <= Kind::split &&
         algorithm.alignment > 0 && fits(description, a, b, c, d);
}

// Addresses are not looked at, as in cuBLASLt.
int check_algorithm(CublasLt::Handle, CublasLt::Description description, CublasLt::Layout a,
                    CublasLt::Layout b, CublasLt::Layout c, CublasLt::Layout d,
                    const CublasLt::Algorithm* algorithm, CublasLt::Heuristic* result) {
  *result = {};
  if (recording_on_this_thread()) return kInternal;
  const Algorithm chosen = algorithm_of(*algorithm);
  result->workspace_bytes = chosen.workspace_bytes;
  result->status = takes(chosen, as<Description>(description), as<Layout>(a), as<Layout>(b),
                         as<Layout>(c), as<Layout>(d))
                       ? 0
                       : kRefused;
  return result->status;
}

struct Call {
  Description description;
  Layout a, b, c, d;
  const void *a_data, *b_data, *c_data;
  void* d_data;
  float alpha, beta;
  Algorithm algorithm;
};

float sum_of(const Call& call, int64_t row, int64_t column, int64_t first, int64_t last) {
  const auto& e = call.description;
  float sum = 0;
  for (int64_t i = first; i < last; i++)
    sum += (e.transpose_a ? read(call.a_data, call.a, i, row)
                          : read(call.a_data, call.a, row, i)) *
           (e.transpose_b ? read(call.b_data, call.b, column, i)
                          : read(call.b_data, call.b, i, column));
  return sum;
}

void compute(const Call& call) {
  const auto& e = call.description;
  const int64_t k = e.transpose_a ? call.a.rows : call.a.columns;
  for (int64_t column = 0; column < call.d.columns; column++)
    for (int64_t row = 0; row < call.d.rows; row++) {
      float sum = call.algorithm.kind == Kind::split
                      ? to_float(to_bfloat16(sum_of(call, row, column, 0, k / 2))) +
                            to_float(to_bfloat16(sum_of(call, row, column, k / 2, k)))
                      : sum_of(call, row, column, 0, k);
      sum *= call.alpha;
      if (call.beta != 0) sum += call.beta * read(call.c_data, call.c, row, column);
      if (e.epilogue == CublasLt::epilogue_bias)
        sum += to_float(static_cast<const bfloat16*>(e.bias)[row]);
      const int64_t at = row + column * call.d.ld;
      if (call.d.type == CublasLt::float32) {
        static_cast<float*>(call.d_data)[at] = sum;
      } else {
        static_cast<bfloat16*>(call.d_data)[at] = to_bfloat16(sum);
      }
    }
}

// Whether addresses and rows are as aligned as their values and the algorithm need.
bool all_aligned(const Call& call) {
  const auto valid = [&](const void* data, const Layout& layout) {
    const uint64_t bytes = std::max(uint64_t(bytes_of(layout)), call.algorithm.alignment);
    return is_aligned(data, bytes) &&
           (call.algorithm.alignment <= 1 ||
            uint64_t(layout.ld * bytes_of(layout)) % call.algorithm.alignment == 0);
  };
  return valid(call.a_data, call.a) && valid(call.b_data, call.b) && valid(call.c_data, call.c) &&
         valid(call.d_data, call.d) && is_aligned(call.description.bias, call.algorithm.alignment);
}

int multiply(CublasLt::Handle, CublasLt::Description description, const void* alpha,
             const void* a, CublasLt::Layout a_layout, const void* b, CublasLt::Layout b_layout,
             const void* beta, const void* c, CublasLt::Layout c_layout, void* d,
             CublasLt::Layout d_layout, const CublasLt::Algorithm* algorithm, void* workspace,
             size_t workspace_bytes, void* stream) {
  const Call call = {as<Description>(description),
                     as<Layout>(a_layout),
                     as<Layout>(b_layout),
                     as<Layout>(c_layout),
                     as<Layout>(d_layout),
                     a,
                     b,
                     c,
                     d,
                     *static_cast<const float*>(alpha),
                     *static_cast<const float*>(beta),
                     algorithm_of(*algorithm)};
  if (!takes(call.algorithm, call.description, call.a, call.b, call.c, call.d) || a == nullptr ||
      b == nullptr || d == nullptr || (c == nullptr && call.beta != 0) ||
      !is_aligned(workspace, 256) || workspace_bytes < call.algorithm.workspace_bytes ||
      (c == d && call.c.ld != call.d.ld))
    return kRefused;
  if (!all_aligned(call)) return kNotSupported;
  run_or_record(stream, [call] { compute(call); });
  return 0;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt emulated = {create,
                                    destroy,
                                    version,
                                    status_name,
                                    description_create,
                                    description_destroy,
                                    description_set,
                                    layout_create,
                                    layout_destroy,
                                    preference_create,
                                    preference_destroy,
                                    preference_set,
                                    heuristics,
                                    check_algorithm,
                                    multiply};
  return emulated;
}

}  // namespace masksearch::cuda
