// The tables that the translation units of the levels export.
#pragma once

#include "kernels.h"

namespace masksearch {

namespace level_generic {
extern const Kernels float32_table, bfloat16_table;
}
namespace level_neon {
extern const Kernels float32_table, bfloat16_table;
}
namespace level_avx2 {
extern const Kernels float32_table, bfloat16_table;
}
namespace level_avx512 {
extern const Kernels float32_table, bfloat16_table;
}
namespace level_avx512_bf16 {
extern const Kernels bfloat16_table;
}
namespace level_amx {
extern const Kernels bfloat16_table;
}

}  // namespace masksearch
