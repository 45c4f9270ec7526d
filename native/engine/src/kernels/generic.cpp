// The kernels at the level "generic"; CMakeLists.txt sets its instruction flags.
#define MASKSEARCH_LEVEL level_generic
#define MASKSEARCH_LEVEL_NAME "generic"
#include "level.h"
