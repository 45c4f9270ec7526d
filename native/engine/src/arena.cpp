// Memory that is reused between calls.
#include "arena.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu_memory_plan.h"

namespace masksearch {

namespace {
constexpr size_t kAlignment = 64;
constexpr size_t kSlack = 64;  // floats past the end that a kernel may read
constexpr size_t kHugePage = size_t(1) << 21;

// Where memory begins that a buffer of so many bytes can lie in. Large ones begin at a huge page,
// and ask for such pages: rows far apart then cost no walks of the page table.
uintptr_t aligned(uintptr_t address, size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  return (address + alignment - 1) / alignment * alignment;
}

// Zeroed memory by calloc, which takes large pieces from the system as pages that cost nothing
// before they are written to. What calloc returned lies in the word before the aligned address.
float* allocate_zeroed(size_t bytes) {
  const size_t slack = bytes >= kHugePage ? kHugePage : kAlignment;
  void* block = std::calloc(1, bytes + slack + sizeof(void*));
  if (block == nullptr) throw std::bad_alloc();
  const uintptr_t first = aligned(reinterpret_cast<uintptr_t>(block) + sizeof(void*), bytes);
  reinterpret_cast<void**>(first)[-1] = block;
#if defined(MADV_HUGEPAGE)
  // A hint: where it is not taken, nothing but speed is lost.
  if (bytes >= kHugePage) madvise(reinterpret_cast<void*>(first), bytes, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<float*>(first);
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
