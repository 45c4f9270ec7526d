// The kernels at the level "avx512-bf16", of bfloat16 alone; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_avx512_bf16
#include "level.h"

namespace masksearch::level_avx512_bf16 {
const Kernels bfloat16_table = table_of<bfloat16>("avx512-bf16");
}  // namespace masksearch::level_avx512_bf16
