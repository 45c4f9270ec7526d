// The kernels at the level "avx2"; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_avx2
#define MASKSEARCH_LEVEL_NAME "avx2"
#include "level.h"
