// Chooses the instruction level at run time.
#include <stdexcept>
#include <string>

#if defined(MASKSEARCH_X86)
#include <cpuid.h>
#endif
#if defined(MASKSEARCH_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "kernels.h"
#include "levels.h"

namespace masksearch {

namespace {

#if defined(MASKSEARCH_AMX)
// Bits of cpuid's leaf 7: EAX of subleaf 1, EDX of subleaf 0.
constexpr unsigned kAvx512Bf16 = 1u << 5;
constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;

bool has_avx512_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvx512Bf16) != 0;
}

// Linux gives a process the registers of AMX when it asks for them.
bool has_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 &&
         (d & kAmxTile) != 0 && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

Level find_best_level(DataType type) {
#if defined(MASKSEARCH_X86)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#if defined(MASKSEARCH_AMX)
  if (type == DataType::bfloat16 && avx512 && has_avx512_bf16())
    return has_amx() ? Level::amx : Level::avx512_bf16;
#endif
  if (avx512) return Level::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Level::avx2;
#endif
  (void)type;
  return Level::generic;
}

const Kernels& table(Level level, DataType type) {
  const bool narrow = type == DataType::bfloat16;
#if defined(MASKSEARCH_AMX)
  if (level == Level::amx) return level_amx::bfloat16_table;
  if (level == Level::avx512_bf16) return level_avx512_bf16::bfloat16_table;
#endif
#if defined(MASKSEARCH_X86)
  if (level == Level::avx512)
    return narrow ? level_avx512::bfloat16_table : level_avx512::float32_table;
  if (level == Level::avx2) return narrow ? level_avx2::bfloat16_table : level_avx2::float32_table;
#endif
  (void)level;
  return narrow ? level_generic::bfloat16_table : level_generic::float32_table;
}

Level& default_level(DataType type) {
  static Level levels[] = {best_level(DataType::float32), best_level(DataType::bfloat16)};
  return levels[type == DataType::bfloat16];
}

}  // namespace

Level best_level(DataType type) {
  static const Level levels[] = {find_best_level(DataType::float32),
                                 find_best_level(DataType::bfloat16)};
  return levels[type == DataType::bfloat16];
}

const Kernels& kernels_of(Level level, DataType type) {
  if (level > best_level(type))
    throw std::runtime_error(
        std::string("kernels_of: expected a level this processor has, at most ") +
        table(best_level(type), type).name + "; use best_level()");
  return table(level, type);
}

const Kernels& default_kernels(DataType type) { return kernels_of(default_level(type), type); }

void set_default_level(Level level, DataType type) {
  kernels_of(level, type);
  default_level(type) = level;
}

}  // namespace masksearch
