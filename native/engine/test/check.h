// A minimal test harness: cases register themselves, checks count failures with file, line and values.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace test {

struct Case {
  std::string name;
  std::function<void()> body;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* name, std::function<void()> body) { cases().push_back({name, body}); }
};

inline void fail(const char* file, int line, const std::string& message) {
  failures()++;
  if (failures() <= 20) std::printf("    %s:%d: %s\n", file, line, message.c_str());
}

// Largest |actual - expected| / scale, where, and both values, against a bound.
template <class A, class B>
void near(const char* file, int line, const std::string& what, const A* actual, const B* expected,
          size_t count, double scale, double bound) {
  double worst = -1;
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    double difference = std::fabs(double(actual[i]) - double(expected[i])) / scale;
    if (!(difference == difference)) difference = INFINITY;
    if (difference > worst) {
      worst = difference;
      at = i;
    }
  }
  if (worst <= bound) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s: at %zu expected %.9g, received %.9g, error %.3g > bound %.3g",
                what.c_str(), at, double(expected[at]), double(actual[at]), worst, bound);
  fail(file, line, text);
}

inline void same_bits(const char* file, int line, const std::string& what, const float* a,
                      const float* b, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (std::memcmp(a + i, b + i, 4) != 0) {
      char text[256];
      std::snprintf(text, sizeof text, "%s: at %zu of %zu bits differ, %.9g and %.9g", what.c_str(),
                    i, count, double(a[i]), double(b[i]));
      return fail(file, line, text);
    }
}

// Expects body to throw Error with `part` in its message.
template <class Error>
void throws(const char* file, int line, const std::string& part, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    if (std::string(error.what()).find(part) == std::string::npos)
      fail(file, line, "expected a message with '" + part + "', received '" + error.what() + "'");
    return;
  } catch (const std::exception& error) {
    return fail(file, line, std::string("received another kind of error: ") + error.what());
  }
  fail(file, line, "expected an error with '" + part + "', received none");
}

// Runs it; what it throws is a failure.
inline void run(const Case& c) {
  try {
    c.body();
  } catch (const std::exception& error) {
    fail("uncaught", 0, error.what());
  }
}

// Prints the names of all cases if `--list` is the only argument; says whether it was.
inline bool listed(int argc, char** argv) {
  if (argc != 2 || std::strcmp(argv[1], "--list") != 0) return false;
  for (const Case& c : cases()) std::printf("%s\n", c.name.c_str());
  return true;
}

// Prints the sums of a run and returns its exit code.
inline int summary(int ran) {
  std::printf("%d tests, %d failures\n", ran, failures());
  return ran == 0 || failures() > 0 ? 1 : 0;
}

}  // namespace test

#define TEST_JOIN2(a, b) a##b
#define TEST_JOIN(a, b) TEST_JOIN2(a, b)
#define TEST(name)                                                                       \
  static void TEST_JOIN(test_body_, __LINE__)();                                         \
  static test::Register TEST_JOIN(test_case_, __LINE__)(name, TEST_JOIN(test_body_, __LINE__)); \
  static void TEST_JOIN(test_body_, __LINE__)()
#define CHECK(condition) \
  if (!(condition)) test::fail(__FILE__, __LINE__, "expected " #condition)
#define CHECK_NEAR(what, actual, expected, count, scale, bound) \
  test::near(__FILE__, __LINE__, what, actual, expected, count, scale, bound)
#define CHECK_SAME_BITS(what, a, b, count) test::same_bits(__FILE__, __LINE__, what, a, b, count)
#define CHECK_THROWS(Error, part, ...) \
  test::throws<Error>(__FILE__, __LINE__, part, [&] { __VA_ARGS__; })
