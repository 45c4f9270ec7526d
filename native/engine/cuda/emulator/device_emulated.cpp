// The device of the emulator: host memory, work that runs when it is put in, graphs as lists of work.
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "device_code.h"
#include "device_digest.h"

namespace masksearch::cuda {

namespace {

using Recording = std::vector<std::function<void()>>;

// The recording of a stream, if one is under way, is what its handle points to.
Recording*& recording_of(void*& handle) { return reinterpret_cast<Recording*&>(handle); }

// On this thread, as CUDA's ThreadLocal mode of recording looks at no other.
thread_local bool any_recording = false;
thread_local bool recording_is_spoilt = false;

// What CUDA refuses on a thread of which a stream is recorded.
void refuse_while_recording(const char* what) {
  if (any_recording) throw DeviceError(std::string(what) + ": not while a graph is recorded");
}
// The same where nothing can be thrown: the graph's end fails.
void spoil_recording() { recording_is_spoilt = recording_is_spoilt || any_recording; }

// One kernel at a time: a process may hold several models, each with a thread of its own.
std::mutex& device_mutex() {
  static std::mutex mutex;
  return mutex;
}

// Pinned memory, by its address: the only host memory that a recorded copy may name, as a graph
// outlives what else was copied from.
struct Pinned {
  std::mutex mutex;
  std::map<const unsigned char*, size_t> bytes_at;
};
Pinned& pinned() {
  static Pinned all;
  return all;
}

void require_pinned(bool recording, const void* host, size_t bytes) {
  if (!recording) return;
  const auto* first = static_cast<const unsigned char*>(host);
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  auto after = pinned().bytes_at.upper_bound(first);
  if (after != pinned().bytes_at.begin()) {
    const auto& [start, size] = *--after;
    if (first + bytes <= start + size) return;
  }
  throw DeviceError("copy: expected pinned memory while a graph is recorded");
}

void* allocate(size_t bytes) {
  refuse_while_recording("allocation");
  void* data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (data == nullptr) throw DeviceError("emulated device: out of memory");
  std::memset(data, 0xff, bytes);  // what a fresh allocation holds is nobody's to rely on
  return data;
}

constexpr size_t kEmulatedBytes = size_t(1) << 30;

// FNV-1a over what has come to the host.
uint64_t digest = 0xcbf29ce484222325u;
void add_to_digest(const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; i++) digest = (digest ^ at[i]) * 0x100000001b3u;
}

}  // namespace

bool recording_on_this_thread() { return any_recording; }

uint64_t take_digest() {
  const uint64_t taken = digest;
  digest = 0xcbf29ce484222325u;
  return taken;
}

Stream::Stream() = default;
Stream::~Stream() = default;

void run_or_record(void* handle, std::function<void()> work) {
  if (handle != nullptr) return recording_of(handle)->push_back(std::move(work));
  const std::lock_guard<std::mutex> lock(device_mutex());
  work();
}

void Stream::to_device(void* device, const void* host, size_t bytes) {
  require_pinned(recording_, host, bytes);
  copy(device, host, bytes);
}
void Stream::to_host(void* host, const void* device, size_t bytes) {
  require_pinned(recording_, host, bytes);
  run_or_record(handle_, [=] {
    std::memcpy(host, device, bytes);
    add_to_digest(host, bytes);
  });
}
void Stream::copy(void* to, const void* from, size_t bytes) {
  run_or_record(handle_, [=] { std::memcpy(to, from, bytes); });
}
void Stream::clear(void* device, size_t bytes) {
  run_or_record(handle_, [=] { std::memset(device, 0, bytes); });
}
void Stream::synchronize() { refuse_while_recording("synchronize"); }

void Stream::begin_recording() {
  recording_of(handle_) = new Recording();
  recording_ = any_recording = true;
}
std::unique_ptr<Graph> Stream::end_recording() {
  const bool spoilt = recording_is_spoilt;
  recording_ = any_recording = recording_is_spoilt = false;
  auto graph = std::make_unique<Graph>(handle_);
  handle_ = nullptr;
  if (spoilt) throw DeviceError("end of a graph: memory was freed while it was recorded");
  return graph;
}
void Stream::drop_recording() {
  recording_is_spoilt = false;
  end_recording();
}
void Stream::replay(Graph& graph) {
  refuse_while_recording("replay");
  const std::lock_guard<std::mutex> lock(device_mutex());
  for (const auto& work : *static_cast<Recording*>(graph.handle())) work();
}
Graph::~Graph() { delete static_cast<Recording*>(executable_); }

Stopwatch::Stopwatch() = default;
Stopwatch::~Stopwatch() = default;
void Stopwatch::start(Stream&) { refuse_while_recording("stopwatch"); }
double Stopwatch::stop(Stream&) {
  refuse_while_recording("stopwatch");
  return 1;
}

HostBuffer::HostBuffer(size_t bytes) : data_(allocate(bytes)) {
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  pinned().bytes_at[static_cast<unsigned char*>(data_)] = bytes;
}
HostBuffer::~HostBuffer() {
  spoil_recording();
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  pinned().bytes_at.erase(static_cast<unsigned char*>(data_));
  std::free(data_);
}

DeviceBuffer::DeviceBuffer(size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
DeviceBuffer::~DeviceBuffer() {
  spoil_recording();
  std::free(data_);
}

DeviceDescription open_device() {
  return {"emulated device", 2, 80, kEmulatedBytes, kEmulatedBytes};
}

}  // namespace masksearch::cuda
