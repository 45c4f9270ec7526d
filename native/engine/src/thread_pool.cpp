// The pool: helpers spin for a few microseconds, then sleep. A helper that is late does not join,
// so a job never waits for a thread that the system has not scheduled.
#include "thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace masksearch {

namespace {

constexpr uint64_t kOpen = 1;
constexpr uint64_t kInside = 2;
constexpr uint64_t kInsideMask = 0xfffe;
constexpr int kNumberShift = 16;
constexpr int kSpins = 600;  // about 30 microseconds

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // as spin loops on ARM do: its yield does nothing on most cores
#else
  std::this_thread::yield();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int worker = 1; worker < threads; worker++)
    workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_shared(int tasks, Call call, const void* body) {
  call_ = call;
  body_ = body;
  tasks_ = tasks;
  next_ = 0;
  const uint64_t number = (state_ >> kNumberShift) + 1;
  state_ = (number << kNumberShift) | kOpen;
  if (sleepers_ > 0) {
    std::lock_guard<std::mutex> lock(mutex_);
    wake_.notify_all();
  }
  claim_tasks(0);
  const auto close = [&] {
    uint64_t expected = (number << kNumberShift) | kOpen;
    return state_.compare_exchange_strong(expected, number << kNumberShift);
  };
  for (int spin = 0; spin < kSpins; spin++) {
    if (close()) return;
    pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  owner_sleeps_ = true;
  done_.wait(lock, close);
  owner_sleeps_ = false;
}

void ThreadPool::claim_tasks(int worker) {
  for (;;) {
    const int task = next_.fetch_add(1);
    if (task >= tasks_) return;
    call_(body_, task, worker);
  }
}

// Enters the open job if it is one that this helper has not seen.
bool ThreadPool::join(uint64_t* seen) {
  uint64_t state = state_;
  while ((state & kOpen) != 0 && state >> kNumberShift != *seen) {
    if (state_.compare_exchange_weak(state, state + kInside)) {
      *seen = state >> kNumberShift;
      return true;
    }
  }
  return false;
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  while (!stop_) {
    bool joined = false;
    for (int spin = 0; spin < kSpins && !joined; spin++) {
      joined = join(&seen);
      if (!joined) pause();
    }
    if (!joined) {
      std::unique_lock<std::mutex> lock(mutex_);
      sleepers_++;
      wake_.wait(lock, [&] { return stop_ || (joined = join(&seen)); });
      sleepers_--;
      if (!joined) return;
    }
    claim_tasks(worker);
    const uint64_t before = state_.fetch_sub(kInside);
    if ((before & kInsideMask) == kInside && owner_sleeps_) {
      std::lock_guard<std::mutex> lock(mutex_);
      done_.notify_one();
    }
  }
}

}  // namespace masksearch
