// The kernels at the level "avx512"; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_avx512
#define MASKSEARCH_LEVEL_NAME "avx512"
#include "level.h"
