// Memory that is reused between calls: aligned buffers that only grow.
#pragma once

#include <cstddef>
#include <vector>

#include "data_type.h"

namespace masksearch {

// Floats at a 64-byte boundary, followed by slack that vector loads may touch.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t count) { reserve(count); }
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  // At least `count` floats. New memory is zero; growing does not keep what was there.
  float* reserve(size_t count);
  float* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void free();

  float* data_ = nullptr;
  size_t size_ = 0;
};

// The same for elements of a storage type.
class StoredBuffer {
 public:
  Cells reserve(DataType type, size_t count) {
    type_ = type;
    floats_.reserve((count * bytes_of(type) + sizeof(float) - 1) / sizeof(float));
    return data();
  }
  Cells data() const { return {floats_.data(), type_}; }

 private:
  Buffer floats_;
  DataType type_ = DataType::float32;
};

// Sets every element of `items` aside at least `count` floats.
void reserve_each(std::vector<Buffer>* items, size_t count);

}  // namespace masksearch
