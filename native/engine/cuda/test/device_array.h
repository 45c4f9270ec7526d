// Device memory for a test: uploaded, downloaded, and checked for writes past its ends; for reads, too,
// where the emulator is built with AddressSanitizer.
#pragma once

#include <vector>

#include "bfloat16.h"
#include "check.h"
#include "random.h"
#include "stream.h"

#if defined(MASKSEARCH_EMULATED) && defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(first, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(first, bytes)
#endif

namespace test {

using masksearch::cuda::bfloat16;

inline masksearch::cuda::Stream& stream() {
  static masksearch::cuda::Stream only;
  return only;
}

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values)
      : count_(values.size()), buffer_(kGuard + values.size() * sizeof(T) + kGuard) {
    const std::vector<unsigned char> guard(buffer_.bytes(), kGuardByte);
    stream().to_device(buffer_.data(), guard.data(), guard.size());
    if (count_ > 0) stream().to_device(data(), values.data(), count_ * sizeof(T));
    stream().synchronize();
    close_guards();
  }
  ~DeviceArray() { open_guards(); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  explicit DeviceArray(size_t count) : DeviceArray(std::vector<T>(count)) {}

  T* data() const {
    return reinterpret_cast<T*>(static_cast<unsigned char*>(buffer_.data()) + kGuard);
  }

  // Waits for the stream; fails the test where a guard has changed.
  std::vector<T> read() const {
    std::vector<unsigned char> all(buffer_.bytes());
    open_guards();
    stream().to_host(all.data(), buffer_.data(), all.size());
    stream().synchronize();
    close_guards();
    for (size_t i = 0; i < kGuard; i++)
      if (all[i] != kGuardByte || all[all.size() - 1 - i] != kGuardByte) {
        fail("device_array.h", int(count_), "a kernel wrote past an end of its buffer");
        break;
      }
    std::vector<T> values(count_);
    if (count_ > 0) std::memcpy(values.data(), all.data() + kGuard, count_ * sizeof(T));
    return values;
  }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kGuardByte = 0xa5;

  unsigned char* end() const { return reinterpret_cast<unsigned char*>(data() + count_); }
  void close_guards() const {
    ASAN_POISON_MEMORY_REGION(buffer_.data(), kGuard);
    ASAN_POISON_MEMORY_REGION(end(), kGuard);
  }
  void open_guards() const {
    ASAN_UNPOISON_MEMORY_REGION(buffer_.data(), kGuard);
    ASAN_UNPOISON_MEMORY_REGION(end(), kGuard);
  }

  size_t count_;
  masksearch::cuda::DeviceBuffer buffer_;
};

inline std::vector<bfloat16> rounded(const std::vector<float>& values) {
  std::vector<bfloat16> out(values.size());
  for (size_t i = 0; i < values.size(); i++) out[i] = masksearch::cuda::to_bfloat16(values[i]);
  return out;
}

inline std::vector<float> widened(const std::vector<bfloat16>& values) {
  std::vector<float> out(values.size());
  for (size_t i = 0; i < values.size(); i++) out[i] = masksearch::cuda::to_float(values[i]);
  return out;
}

// Seeded normal values that bfloat16 holds exactly.
inline std::vector<float> bf16_normals(Random* random, size_t count, double scale) {
  return widened(rounded(random->normals(count, scale)));
}

// Half a unit in the last place of bfloat16, relative: what storing a result costs.
constexpr double kBf16 = 1.0 / 256;

// Every |actual - expected| within absolute + relative * |expected|.
template <class A, class B>
void within(const char* file, int line, const std::string& what, const A& actual,
            const B& expected, double absolute, double relative) {
  if (actual.size() != expected.size())
    return fail(file, line, what + ": the sizes differ");
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    const double a = double(actual[i]), e = double(expected[i]);
    double excess = std::fabs(a - e) / (absolute + relative * std::fabs(e));
    if (a != a || e != e) excess = (a != a) == (e != e) ? 0 : INFINITY;
    if (excess > worst) {
      worst = excess;
      at = i;
    }
  }
  if (worst <= 1) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s: at %zu of %zu expected %.9g, received %.9g, %.3g times the bound",
                what.c_str(), at, actual.size(), double(expected[at]), double(actual[at]), worst);
  fail(file, line, text);
}

}  // namespace test

#define CHECK_WITHIN(what, actual, expected, absolute, relative) \
  test::within(__FILE__, __LINE__, what, actual, expected, absolute, relative)
