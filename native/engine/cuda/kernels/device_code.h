// The vocabulary of the kernels: CUDA's own, or the emulator's where the same source runs on the
// CPU under test; sums over a warp and a block; launching.
#pragma once

#if defined(MASKSEARCH_EMULATED)
#include "emulator.h"
#else
#include <cuda_runtime.h>
#endif

#include <cstdint>

#include "bfloat16.h"
#include "launch.h"
#include "stream.h"

#if defined(MASKSEARCH_EMULATED)
#define MASKSEARCH_DYNAMIC_SHARED(name) unsigned char* name = emulator::dynamic_shared()
#else
#define MASKSEARCH_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif

namespace masksearch::cuda {

constexpr int kWarpSize = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

__host__ __device__ constexpr int smaller(int a, int b) { return a < b ? a : b; }

template <class T>
struct Sum {
  __device__ static T zero() { return T(0); }
  __device__ static T of(T a, T b) { return a + b; }
};
struct Largest {
  __device__ static float zero() { return -INFINITY; }
  __device__ static float of(float a, float b) { return a > b ? a : b; }
};

// In every lane the same value: the lanes are combined as a fixed tree.
template <class Operation, class T>
__device__ T over_warp(T value) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2)
    value = Operation::of(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// In every thread the same value: warps are combined in their order. All threads must call it.
template <class Operation, class T, int kThreads>
__device__ T over_block(T value) {
  static_assert(kThreads % kWarpSize == 0 && kThreads <= 1024);
  __shared__ T parts[kThreads / kWarpSize];
  value = over_warp<Operation>(value);
  __syncthreads();  // an earlier use of `parts` has ended
  if (threadIdx.x % kWarpSize == 0) parts[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  T total = Operation::zero();
  for (int warp = 0; warp < kThreads / kWarpSize; warp++)
    total = Operation::of(total, parts[warp]);
  return total;
}

template <int kThreads>
__device__ float block_sum(float value) {
  return over_block<Sum<float>, float, kThreads>(value);
}

// Values that move as one access. The emulator reports an address that a GPU could not read so.
template <class Vector, class T>
__device__ inline Vector& vector_at(T* p) {
#if defined(MASKSEARCH_EMULATED)
  emulator::require_aligned(p, alignof(Vector));
#endif
  return *reinterpret_cast<Vector*>(p);
}
template <class Vector, class T>
__device__ inline const Vector& vector_at(const T* p) {
  return vector_at<Vector>(const_cast<T*>(p));
}

__device__ inline Bfloat16x8 load8(const bfloat16* p) { return vector_at<Bfloat16x8>(p); }
__device__ inline void store8(bfloat16* p, const Bfloat16x8& v) { vector_at<Bfloat16x8>(p) = v; }

// Four floats that move as one 16-byte access.
struct alignas(16) Float4 {
  float at[4];
};
__device__ inline Float4 load4(const float* p) { return vector_at<Float4>(p); }
__device__ inline void store4(float* p, const Float4& v) { vector_at<Float4>(p) = v; }

#if defined(MASKSEARCH_EMULATED)

// Runs `work` now, or records it where the stream of this handle is recording a graph.
void run_or_record(void* stream, std::function<void()> work);

template <class... Parameters, class... Arguments>
void launch(Stream& stream, const char* name, void (*kernel)(Parameters...), Grid grid, int threads,
            size_t shared_bytes, Arguments... arguments) {
  check_grid(name, grid);
  if (grid.x == 0 || grid.y == 0) return;
  run_or_record(stream.handle(), [=] {
    emulator::run({unsigned(grid.x), unsigned(grid.y), 1}, {unsigned(threads), 1, 1}, shared_bytes,
                  [&] { kernel(Parameters(arguments)...); });
  });
}

#else

template <class... Parameters, class... Arguments>
void launch(Stream& stream, const char* name, void (*kernel)(Parameters...), Grid grid, int threads,
            size_t shared_bytes, Arguments... arguments) {
  check_grid(name, grid);
  if (grid.x == 0 || grid.y == 0) return;
  if (shared_bytes > 48 * 1024)
    allow_shared_memory(name, reinterpret_cast<const void*>(kernel), shared_bytes);
  kernel<<<dim3(unsigned(grid.x), unsigned(grid.y)), threads, shared_bytes,
           static_cast<cudaStream_t>(stream.handle())>>>(Parameters(arguments)...);
  check_launch(name);
}

#endif

}  // namespace masksearch::cuda
