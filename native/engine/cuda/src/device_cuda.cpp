// The device by the CUDA runtime: streams, graphs, memory, and what a launch checks.
#include <cuda_runtime.h>

#include <map>
#include <mutex>

#include "launch.h"
#include "stream.h"

namespace masksearch::cuda {

namespace {

constexpr int kLeastCapability = 80;  // bf16 tensor cores and asynchronous copies

void check(cudaError_t status, const char* call, const std::string& of = {}) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next launch does not report it again
  const std::string problem = std::string("cuda: ") + call + of + " failed, " +
                              cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorUnsupportedPtxVersion)
    throw UnavailableError(problem + "; build the plug-in again on this machine, with "
                                     "`pnpm --filter @masksearch/native-engine run build:cuda`");
  throw DeviceError(status != cudaErrorMemoryAllocation
                        ? problem
                        : problem + "; kernels, graphs and cuBLASLt need some memory beside "
                                    "memoryBytes: set it lower, or end what else uses the GPU");
}

cudaStream_t stream_of(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle()); }

std::string megabytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

void allow_shared_memory(const char* kernel, const void* function, size_t bytes) {
  static std::mutex mutex;
  static std::map<const void*, size_t> allowed;
  const std::lock_guard<std::mutex> lock(mutex);
  size_t& most = allowed[function];
  if (bytes <= most) return;
  check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)),
        kernel, " with " + std::to_string(bytes) + " bytes of shared memory");
  most = bytes;
}

Stream::Stream() {
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "StreamCreate");
  handle_ = stream;
}
// Errors of a destructor have nobody to go to.
Stream::~Stream() { cudaStreamDestroy(stream_of(*this)); }

void Stream::to_device(void* device, const void* host, size_t bytes) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_of(*this)),
        "copy to the device");
}
void Stream::to_host(void* host, const void* device, size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_of(*this)),
        "copy to the host");
}
void Stream::copy(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(*this)), "copy");
}
void Stream::clear(void* device, size_t bytes) {
  check(cudaMemsetAsync(device, 0, bytes, stream_of(*this)), "clear");
}
void Stream::synchronize() { check(cudaStreamSynchronize(stream_of(*this)), "synchronize"); }

// Other threads may use CUDA meanwhile: only this thread's calls that cannot be recorded are errors.
void Stream::begin_recording() {
  check(cudaStreamBeginCapture(stream_of(*this), cudaStreamCaptureModeThreadLocal),
        "begin of a graph");
  recording_ = true;
}

std::unique_ptr<Graph> Stream::end_recording() {
  recording_ = false;
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream_of(*this), &graph), "end of a graph");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "instantiation of a graph (cuda.graphs: false does without)");
  return std::make_unique<Graph>(executable);
}

// The error that led here is already on its way.
void Stream::drop_recording() {
  recording_ = false;
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(stream_of(*this), &graph) == cudaSuccess) cudaGraphDestroy(graph);
  cudaGetLastError();
}

void Stream::replay(Graph& graph) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.handle()), stream_of(*this)),
        "launch of a graph");
}

Graph::~Graph() { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_)); }

Stopwatch::Stopwatch() {
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "EventCreate");
  begin_ = begin;
  check(cudaEventCreate(&end), "EventCreate");
  end_ = end;
}
Stopwatch::~Stopwatch() {
  cudaEventDestroy(static_cast<cudaEvent_t>(begin_));
  cudaEventDestroy(static_cast<cudaEvent_t>(end_));
}
void Stopwatch::start(Stream& stream) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(begin_), stream_of(stream)), "EventRecord");
}
double Stopwatch::stop(Stream& stream) {
  const auto end = static_cast<cudaEvent_t>(end_);
  check(cudaEventRecord(end, stream_of(stream)), "EventRecord");
  check(cudaEventSynchronize(end), "EventSynchronize");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(begin_), end),
        "EventElapsedTime");
  return double(milliseconds);
}

HostBuffer::HostBuffer(size_t bytes) {
  check(cudaMallocHost(&data_, bytes), "pinned host memory of ", megabytes(bytes));
}
HostBuffer::~HostBuffer() { cudaFreeHost(data_); }

DeviceBuffer::DeviceBuffer(size_t bytes) : bytes_(bytes) {
  const cudaError_t status = cudaMalloc(&data_, bytes);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "device memory of ", megabytes(bytes));
    return;
  }
  cudaGetLastError();
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw DeviceError("cuda: expected " + megabytes(bytes) + " of device memory, received " +
                    megabytes(free) + " free of " + megabytes(total) +
                    "; set memoryBytes lower or end what else uses the GPU");
}
DeviceBuffer::~DeviceBuffer() { cudaFree(data_); }

DeviceDescription open_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    throw UnavailableError(
        std::string("cuda: expected a GPU, received none (") +
        (status != cudaSuccess ? cudaGetErrorString(status) : "no device") +
        "); install an NVIDIA driver of version 580 or newer for CUDA 13 (525 for CUDA 12), check "
        "that `nvidia-smi` lists the GPU, or use device 'cpu'");
  }
  check(cudaSetDevice(0), "SetDevice");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "GetDeviceProperties");
  const int capability = properties.major * 10 + properties.minor;
  if (capability < kLeastCapability)
    throw UnavailableError("cuda: expected compute capability 8.0 or newer, received " +
                           std::to_string(properties.major) + "." +
                           std::to_string(properties.minor) + " (" + properties.name + "); use device 'cpu'");
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "MemGetInfo");
  return {properties.name, properties.multiProcessorCount, capability, free, total};
}

}  // namespace masksearch::cuda
