// Compiles all kernels once, for the instruction level of this translation unit, into the
// namespace MASKSEARCH_LEVEL; `table_of` makes the table of a storage type.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(MASKSEARCH_NEON_LANES)
#include <arm_neon.h>
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels.h"
#include "levels.h"

namespace masksearch::MASKSEARCH_LEVEL {
namespace {

#include "simd.h"

#include "matmul.h"

#include "transpose.h"

#include "packing.h"

#include "optimizer.h"
#if defined(__AMX_BF16__)
#include "amx.h"
#endif

#include "key_values.h"

#include "attention_scores.h"

#include "attention_steps.h"

#include "attention.h"
#include "attention_backward.h"
#include "rows.h"

template <class T>
constexpr Kernels table_of(const char* name) {
  return {name,
          [](const MatMul& g) { matmul(typed<T>(g)); },
          [](const MatMul& g) { matmul_transposed(typed<T>(g)); },
          pack_transposed<T>,
          pack<T>,
          pack_rows<T>,
          narrow<T>,
          rms_norm<T>,
          rms_norm_backward,
          rms_norm_again<T>,
          rms_norm_weight,
          column_sums,
          rope,
          swiglu<T>,
          swiglu_backward<T>,
          store_key_tiles<T>,
          store_values<T>,
          attention<T>,
          attention_backward<T>,
          row_statistics,
          row_gradient,
          row_exponentials,
          scale,
          add,
          sum_of_squares,
          adamw,
          peak<T>};
}

}  // namespace
}  // namespace masksearch::MASKSEARCH_LEVEL
