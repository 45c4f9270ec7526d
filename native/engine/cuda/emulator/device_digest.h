// What came from the emulated device, in short, so that two runs can be compared.
#pragma once

#include <cstdint>

namespace masksearch::cuda {

// A digest of every byte that was copied to the host since the last call.
uint64_t take_digest();

}  // namespace masksearch::cuda
