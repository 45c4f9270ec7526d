// The kernels at the level "neon", which every 64-bit ARM processor has.
#define MASKSEARCH_NEON_LANES
#define MASKSEARCH_LEVEL level_neon
#include "level.h"

namespace masksearch::level_neon {
const Kernels float32_table = table_of<float>("neon");
const Kernels bfloat16_table = table_of<bfloat16>("neon");
}  // namespace masksearch::level_neon
