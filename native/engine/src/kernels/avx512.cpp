// The kernels at the level "avx512"; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_avx512
#include "level.h"

namespace masksearch::level_avx512 {
const Kernels float32_table = table_of<float>("avx512");
const Kernels bfloat16_table = table_of<bfloat16>("avx512");
}  // namespace masksearch::level_avx512
