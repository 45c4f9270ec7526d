// A queue of device work, and what the engine needs of a device. Two implementations: the CUDA
// runtime (src/device_cuda.cpp), and plain memory under the emulator (emulator/device_emulated.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace masksearch::cuda {

// CUDA, cuBLAS or the driver said no.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Something that this machine lacks: a GPU, a driver, cuBLASLt. The message names the fix.
struct UnavailableError : DeviceError {
  using DeviceError::DeviceError;
};

class Graph;

// Work runs in the order in which it was put in. Belongs to one thread.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The cudaStream_t.
  void* handle() const { return handle_; }

  // Asynchronous where the host memory is pinned (HostBuffer).
  void to_device(void* device, const void* host, size_t bytes);
  void to_host(void* host, const void* device, size_t bytes);
  void copy(void* to, const void* from, size_t bytes);
  void clear(void* device, size_t bytes);
  // Waits for all work. @throws DeviceError an earlier kernel failed.
  void synchronize();

  // Everything put in between the two calls becomes a graph instead of running. Kernels, clears and
  // copies of pinned memory can be recorded; nothing may be waited for or allocated meanwhile.
  void begin_recording();
  std::unique_ptr<Graph> end_recording();
  // Ends a recording without a graph, as when what was put in has thrown.
  void drop_recording();
  bool recording() const { return recording_; }
  void replay(Graph& graph);

 private:
  void* handle_ = nullptr;
  bool recording_ = false;
};

// Work that is started as a whole.
class Graph {
 public:
  explicit Graph(void* executable) : executable_(executable) {}
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void* handle() const { return executable_; }

 private:
  void* executable_;
};

// Milliseconds of device time between two points of a stream.
class Stopwatch {
 public:
  Stopwatch();
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  void start(Stream& stream);
  // Waits for the work in between.
  double stop(Stream& stream);

 private:
  void* begin_ = nullptr;
  void* end_ = nullptr;
};

// Pinned memory of the host.
class HostBuffer {
 public:
  explicit HostBuffer(size_t bytes);
  ~HostBuffer();
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

// One allocation of device memory.
class DeviceBuffer {
 public:
  // @throws DeviceError naming the size and what is free.
  explicit DeviceBuffer(size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

struct DeviceDescription {
  std::string name;  // e.g. "NVIDIA H200"
  int multiprocessors;
  int compute_capability;  // e.g. 90
  size_t free_bytes;
  size_t total_bytes;
};

// Makes device 0 current on this thread.
// @throws UnavailableError without a driver, a device, or one that these kernels were built for.
DeviceDescription open_device();

}  // namespace masksearch::cuda
