// Chooses the instruction level at run time.
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace masksearch {

namespace level_generic {
extern const Kernels table;
}
#if defined(MASKSEARCH_X86)
namespace level_avx2 {
extern const Kernels table;
}
namespace level_avx512 {
extern const Kernels table;
}
#endif

Level best_level() {
#if defined(MASKSEARCH_X86)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return Level::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Level::avx2;
#endif
  return Level::generic;
}

const Kernels& kernels_of(Level level) {
  if (level > best_level())
    throw std::runtime_error(
        std::string("kernels_of: expected a level this processor has, at most ") +
        kernels_of(best_level()).name + "; use best_level()");
#if defined(MASKSEARCH_X86)
  if (level == Level::avx512) return level_avx512::table;
  if (level == Level::avx2) return level_avx2::table;
#endif
  return level_generic::table;
}

namespace {
Level& default_level() {
  static Level level = best_level();
  return level;
}
}  // namespace

const Kernels& default_kernels() { return kernels_of(default_level()); }

void set_default_level(Level level) {
  kernels_of(level);
  default_level() = level;
}

}  // namespace masksearch
