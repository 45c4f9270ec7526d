// Runs CUDA device code on the CPU, one block at a time, for tests: every thread of a block is a
// fiber that gives way at barriers and at warp-wide operations. What a GPU leaves undefined is made
// visible where that is cheap: shared memory starts as garbage, asynchronous copies arrive only at
// the wait that orders them, and the order in which threads run can be reversed.
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

// Threads of a block run from the last to the first while this is true: a result that changes
// shows a missing barrier.
extern bool reverse_threads;

void block_barrier();
// All 32 threads of the warp meet.
void warp_barrier();
// Every thread gives 64 bits and reads those of another lane of its warp.
uint64_t exchange(uint64_t value, unsigned from_lane);
// Memory in which the threads of a warp meet; `bytes` for each lane.
constexpr size_t kLaneBytes = 64;
unsigned char* lane_memory(unsigned lane);
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

