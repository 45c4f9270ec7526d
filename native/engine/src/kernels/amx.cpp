// The kernels at the level "amx", of bfloat16 alone; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_amx
#include "level.h"

namespace masksearch::level_amx {
const Kernels bfloat16_table = table_of<bfloat16>("amx");
}  // namespace masksearch::level_amx
