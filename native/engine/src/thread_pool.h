// One persistent pool. Tasks are claimed one by one; which thread runs a task never changes a result.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace masksearch {

class ThreadPool {
 public:
  // The calling thread is one of `threads`.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Runs body(task, worker) for task = 0 .. tasks - 1 and returns when all are done.
  // 0 <= worker < threads(). The body must not throw.
  template <class Body>
  void run(int tasks, const Body& body) {
    if (tasks <= 1 || workers_.empty()) {
      for (int task = 0; task < tasks; task++) body(task, 0);
      return;
    }
    run_shared(tasks, [](const void* b, int task, int worker) {
      (*static_cast<const Body*>(b))(task, worker);
    }, &body);
  }

  // Runs body(first, last, worker) over pieces of [0, count), each but the last a multiple of
  // `grain`, about two pieces per thread.
  template <class Body>
  void run_ranges(int count, int grain, const Body& body) {
    const int grains = (count + grain - 1) / grain;
    const int wanted = workers_.empty() ? 1 : threads() * 2;
    const int pieces = grains < wanted ? grains : wanted;
    run(pieces, [&](int piece, int worker) {
      const int first = int(int64_t(grains) * piece / pieces) * grain;
      const int last = int(int64_t(grains) * (piece + 1) / pieces) * grain;
      body(first, last < count ? last : count, worker);
    });
  }

  int worker() const { return 0; }

 private:
  using Call = void (*)(const void* body, int task, int worker);

  void run_shared(int tasks, Call call, const void* body);
  void work(int worker);
  void claim_tasks(int worker);
  bool join(uint64_t* seen);

  // The job; written only while it is closed and nobody is inside.
  Call call_ = nullptr;
  const void* body_ = nullptr;
  int tasks_ = 0;
  std::atomic<int> next_{0};
  // Bit 0: open. Bits 1..15: helpers inside. From bit 16: number of the job.
  std::atomic<uint64_t> state_{0};

  std::atomic<int> sleepers_{0};
  std::atomic<bool> owner_sleeps_{false};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::vector<std::thread> workers_;
};

// Stands in for a pool inside a task: everything on the thread that is there.
class OneThread {
 public:
  explicit OneThread(int worker) : worker_(worker) {}

  template <class Body>
  void run_ranges(int count, int, const Body& body) {
    if (count > 0) body(0, count, worker_);
  }
  int worker() const { return worker_; }

 private:
  int worker_;
};

}  // namespace masksearch
