// The kernels at the level "avx2"; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_avx2
#include "level.h"

namespace masksearch::level_avx2 {
const Kernels float32_table = table_of<float>("avx2");
const Kernels bfloat16_table = table_of<bfloat16>("avx2");
}  // namespace masksearch::level_avx2
