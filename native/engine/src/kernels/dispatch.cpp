// Chooses the instruction level at run time.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

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

std::vector<Level> find_levels(DataType type) {
  std::vector<Level> found{Level::generic};
  (void)type;
#if defined(MASKSEARCH_NEON)
  found.push_back(Level::neon);
#elif defined(MASKSEARCH_X86)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return found;
  found.push_back(Level::avx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
    return found;
  found.push_back(Level::avx512);
#if defined(MASKSEARCH_AMX)
  if (type == DataType::float32 || !has_avx512_bf16()) return found;
  found.push_back(Level::avx512_bf16);
  if (has_amx()) found.push_back(Level::amx);
#endif
#endif
  return found;
}

const Kernels& table(Level level, DataType type) {
  const bool narrow = type == DataType::bfloat16;
#if defined(MASKSEARCH_AMX)
  if (level == Level::amx) return level_amx::bfloat16_table;
  if (level == Level::avx512_bf16) return level_avx512_bf16::bfloat16_table;
#endif
#if defined(MASKSEARCH_NEON)
  if (level == Level::neon) return narrow ? level_neon::bfloat16_table : level_neon::float32_table;
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

const std::vector<Level>& levels(DataType type) {
  static const std::vector<Level> found[] = {find_levels(DataType::float32),
                                             find_levels(DataType::bfloat16)};
  return found[type == DataType::bfloat16];
}

const Kernels& kernels_of(Level level, DataType type) {
  const std::vector<Level>& known = levels(type);
  if (std::find(known.begin(), known.end(), level) == known.end())
    throw std::runtime_error(
        std::string("kernels_of: expected a level that this processor has, up to ") +
        table(best_level(type), type).name + "; see levels()");
  return table(level, type);
}

const Kernels& default_kernels(DataType type) { return kernels_of(default_level(type), type); }

void set_default_level(Level level, DataType type) {
  kernels_of(level, type);
  default_level(type) = level;
}

}  // namespace masksearch
