// The kernels at the level "generic"; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_generic
#include "level.h"

namespace masksearch::level_generic {
const Kernels float32_table = table_of<float>("generic");
const Kernels bfloat16_table = table_of<bfloat16>("generic");
}  // namespace masksearch::level_generic
