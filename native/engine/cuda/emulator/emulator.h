// Runs CUDA device code on the CPU, one block at a time, for tests: every thread of a block is a
// fiber that gives way at barriers and at warp-wide operations. What a GPU leaves undefined is made
// visible where that is cheap: shared memory starts as garbage, asynchronous copies arrive only at
// the wait that orders them, threads and blocks can run in other orders, and under ThreadSanitizer
// (-fsanitize=thread) two threads of a block that touch the same memory without a barrier between
// them are reported as the race that they are on a GPU.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __shared__ static

namespace emulator {

struct Dimensions {
  unsigned x = 1, y = 1, z = 1;
};

// Of the thread that runs at present.
struct Position {
  Dimensions thread, block, block_size, grid_size;
};
extern Position position;

// Runs every thread of every block to its end. Aborts with a message on a deadlock or a launch
// that no GPU would accept.
void run(Dimensions grid, Dimensions block, size_t shared_bytes, const std::function<void()>& body);

// In which order the blocks of a grid run, and between two barriers the threads of a block: a result
// that changes shows a missing barrier, or blocks that touch each other's memory.
struct Order {
  enum Kind { forward, reversed, shuffled } kind = forward;
  uint32_t seed = 0;  // of shuffled
};
extern Order order;

// __syncthreads: what the threads of the block wrote before, all of them see after.
void block_barrier();
// __syncwarp: the same for the 32 threads of a warp.
void warp_barrier();

// How values pass between the lanes of a warp by registers: each lane hands some in and waits for the
// others, reads what they handed in, and hands back. Orders no memory, as on a GPU. `bytes` is a
// multiple of 8.
constexpr size_t kLaneBytes = 64;
void hand_in(const void* value, size_t bytes);
const void* handed_in(unsigned lane);
void hand_back();
// Every thread gives 64 bits and reads those of another lane of its warp.
uint64_t exchange(uint64_t value, unsigned from_lane);
unsigned lane();

unsigned char* dynamic_shared();
// Reports an address that is no multiple of `bytes`.
void require_aligned(const void* address, size_t bytes);

// Copies that arrive at the wait. Sixteen bytes; zeros where `valid` is false.
void copy_async(void* to, const void* from, bool valid);
void commit_copies();
void wait_for_copies(int groups_left);

}  // namespace emulator

using dim3 = emulator::Dimensions;
#define threadIdx emulator::position.thread
#define blockIdx emulator::position.block
#define blockDim emulator::position.block_size
#define gridDim emulator::position.grid_size

inline void __syncthreads() { emulator::block_barrier(); }
inline void __syncwarp() { emulator::warp_barrier(); }

inline float __fmul_rn(float a, float b) { return a * b; }  // built without contraction

template <class T>
T __shfl_sync(unsigned, T value, unsigned from_lane) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = emulator::exchange(bits, from_lane & 31u);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, unsigned other) {
  return __shfl_sync(mask, value, emulator::lane() ^ other);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  const unsigned lane = emulator::lane();
  return __shfl_sync(mask, value, lane >= distance ? lane - distance : lane);
}

