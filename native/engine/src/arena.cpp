// Memory that is reused between calls.
#include "arena.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "cpu_memory_plan.h"

namespace masksearch {

namespace {
constexpr size_t kAlignment = 64;
constexpr size_t kSlack = 64;  // floats past the end that a kernel may read

// Zeroed memory by calloc, which takes large pieces from the system as pages that cost nothing
// before they are written to. What calloc returned lies in the word before the aligned address.
float* allocate_zeroed(size_t bytes) {
  void* block = std::calloc(1, bytes + kAlignment + sizeof(void*));
  if (block == nullptr) throw std::bad_alloc();
  const uintptr_t first = reinterpret_cast<uintptr_t>(block) + sizeof(void*);
  const uintptr_t aligned = (first + kAlignment - 1) / kAlignment * kAlignment;
  reinterpret_cast<void**>(aligned)[-1] = block;
  return reinterpret_cast<float*>(aligned);
}

void release(float* data) {
  if (data != nullptr) std::free(reinterpret_cast<void**>(data)[-1]);
}

std::atomic<size_t> held{0};
std::atomic<size_t> most_held{0};

size_t bytes_of(size_t count) { return (count + kSlack) * sizeof(float); }

void count_held(size_t bytes) {
  const size_t now = held += bytes;
  size_t most = most_held;
  while (now > most && !most_held.compare_exchange_weak(most, now)) {
  }
}
}  // namespace

HeldMemory held_memory() { return {held, most_held}; }
void forget_most_held() { most_held = held.load(); }

Buffer::~Buffer() { free(); }

void Buffer::free() {
  if (data_ == nullptr) return;
  release(std::exchange(data_, nullptr));
  held -= bytes_of(std::exchange(size_, 0));
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

float* Buffer::reserve(size_t count) {
  if (data_ != nullptr && count <= size_) return data_;
  free();
  data_ = allocate_zeroed(bytes_of(count));
  size_ = count;
  count_held(bytes_of(count));
  return data_;
}

void reserve_each(std::vector<Buffer>* items, size_t count) {
  for (Buffer& item : *items) item.reserve(count);
}

}  // namespace masksearch
