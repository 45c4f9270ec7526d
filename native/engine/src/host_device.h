// Marks functions that the CPU and CUDA kernels share.
#pragma once

#if defined(__CUDACC__)
#define MASKSEARCH_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define MASKSEARCH_HOST_DEVICE inline
#endif
