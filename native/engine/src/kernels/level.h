// Compiles all kernels once, for the instruction level of this translation unit, into the
// namespace MASKSEARCH_LEVEL, and exports its table.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels.h"

namespace masksearch::MASKSEARCH_LEVEL {
namespace {

#include "simd.h"

#include "matmul.h"

#include "attention.h"
#include "optimizer.h"
#include "rows.h"

}  // namespace

extern const Kernels table;
const Kernels table = {MASKSEARCH_LEVEL_NAME,
                       matmul,
                       matmul_transposed,
                       pack_transposed,
                       pack,
                       rms_norm,
                       rms_norm_backward,
                       rms_norm_again,
                       rms_norm_weight,
                       column_sums,
                       rope,
                       swiglu,
                       swiglu_backward,
                       store_key_tiles,
                       attention,
                       attention_backward,
                       row_statistics,
                       row_gradient,
                       row_exponentials,
                       scale,
                       add,
                       sum_of_squares,
                       adamw,
                       peak};

}  // namespace masksearch::MASKSEARCH_LEVEL
