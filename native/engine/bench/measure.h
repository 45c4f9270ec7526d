// Clock, ceilings and medians for the bench. Ceilings are measured in the same run as what they are
// held against, so ratios mean the same on every machine.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "kernels.h"

namespace masksearch::bench {

// Seconds per thread: CPU time, which other work on the machine disturbs less, or wall time, which
// also shows waiting.
class Clock {
 public:
  Clock(bool wall, int threads) : wall_(wall), threads_(threads) {}

  double now() const {
    if (wall_)
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double(t.tv_sec) + 1e-9 * double(t.tv_nsec)) / threads_;
  }
  int threads() const { return threads_; }

 private:
  bool wall_;
  int threads_;
};

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Runs body(0) .. body(threads - 1), each on a thread of its own.
template <class Body>
void on_all_threads(int threads, const Body& body) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back([&body, i] { body(i); });
  body(0);
  for (std::thread& other : others) other.join();
}

// Floating-point operations per second of all threads, in registers only.
inline double peak_burst(const Clock& clock, DataType type) {
  constexpr int64_t kRounds = 2000000;  // some milliseconds
  const double start = clock.now();
  double operations = 0;
  on_all_threads(clock.threads(), [&](int thread) {
    const double done = default_kernels(type).peak(kRounds);
    if (thread == 0) operations = done * clock.threads();
  });
  return operations / (clock.now() - start);
}

// Bytes per second that all threads read together, each its share of `bytes`, at best of some
// bursts: what is as large as the model's weights lies where they lie.
inline double read_bandwidth(const Clock& clock, size_t bytes) {
  constexpr int kColumns = 128;
  constexpr int kBursts = 3;
  constexpr int kPasses = 16;  // in a burst, which outweigh the start of its threads
  const size_t rows = bytes / sizeof(float) / kColumns / size_t(clock.threads());
  static std::vector<float> memory;
  memory.resize(rows * kColumns * size_t(clock.threads()), 1.0f);
  double best = 0;
  for (int burst = 0; burst < kBursts; burst++) {
    const double start = clock.now();
    on_all_threads(clock.threads(), [&](int thread) {
      float sums[kColumns] = {0};
      for (int pass = 0; pass < kPasses; pass++)
        default_kernels().column_sums(int(rows), memory.data() + rows * kColumns * size_t(thread),
                                      kColumns, sums, 0, kColumns);
    });
    best = std::max(best, double(bytes) * kPasses / (clock.now() - start));
  }
  return best;
}

struct Timing {
  double seconds;  // median of one run
  double peak;     // median operations per second of the bursts between the runs
};

// Runs body for `seconds`, at least three times, with a burst of the peak loop before each run, so
// that both see the same machine.
template <class Body>
Timing measure(const Clock& clock, DataType type, double seconds, const Body& body) {
  body();
  std::vector<double> times, peaks;
  const double end = clock.now() + seconds;
  do {
    peaks.push_back(peak_burst(clock, type));
    const double start = clock.now();
    body();
    times.push_back(clock.now() - start);
  } while (times.size() < 3 || clock.now() < end);
  return {median(times), median(peaks)};
}

}  // namespace masksearch::bench
