// The check that every operation starts with: sequence offsets lead through their array in order.
#include "masking.h"

namespace masksearch {

Result check_offsets(const int32_t* offsets, int64_t count, int64_t total, Fault fault) {
  if (offsets[0] != 0) return {fault, 0};
  for (int64_t b = 1; b <= count; b++) {
    if (offsets[b] < offsets[b - 1] || offsets[b] > total) return {fault, b};
  }
  if (offsets[count] != total) return {fault, count};
  return {};
}

}  // namespace masksearch
