// Memory that is reused between calls.
#include "arena.h"

#include <cstring>
#include <new>
#include <utility>

namespace masksearch {

namespace {
constexpr std::align_val_t kAlignment{64};
constexpr size_t kSlack = 64;  // floats past the end that a kernel may read

void release(float* data) {
  if (data != nullptr) ::operator delete(data, kAlignment);
}
}  // namespace

Buffer::~Buffer() { release(data_); }

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

float* Buffer::reserve(size_t count) {
  if (data_ != nullptr && count <= size_) return data_;
  const size_t bytes = (count + kSlack) * sizeof(float);
  release(std::exchange(data_, nullptr));
  size_ = 0;
  data_ = static_cast<float*>(::operator new(bytes, kAlignment));
  std::memset(data_, 0, bytes);
  size_ = count;
  return data_;
}

void reserve_each(std::vector<Buffer>* items, size_t count) {
  for (Buffer& item : *items) item.reserve(count);
}

}  // namespace masksearch
