// The thread that a model lives on: runs jobs in order and, between jobs, works on sampler turns.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "js_thread.h"
#include "model_host.h"

namespace masksearch::addon {

// Whether a job may run while turns are in progress. Jobs that change weights or the version wait,
// and whatever was submitted after them waits with them.
enum class Order { between_tokens, after_turns };

// Made and destroyed on the JavaScript thread. It ends in one of two ways: `close` lets it finish
// what was submitted and then end; the environment's end stops it after the job at hand.
class EngineThread : public std::enable_shared_from_this<EngineThread> {
 public:
  using Job = std::function<void(ModelHost&)>;

  static std::shared_ptr<EngineThread> start(Napi::Env env);
  ~EngineThread();

  // JavaScript thread. Jobs must not throw.
  void submit(Order order, Job job);
  // JavaScript thread: after the jobs submitted so far the thread ends; turns end as cancelled.
  // `closed` runs on the JavaScript thread then. Only the first call does anything.
  void close(Napi::Env env, JsThread::Call closed);
  bool closing() const { return closing_; }

  // Engine thread: runs `call` on the JavaScript thread and waits for it to return.
  // Throws when the environment ends first.
  void call_and_wait(const JsThread::Call& call);

  JsThread& js() { return js_; }

 private:
  explicit EngineThread(Napi::Env env);
  void run();
  void work();
  void stop_now();
  void finish_closing(Napi::Env env);
  static void on_environment_end(void* thread);

  struct Queued {
    Order order;
    Job job;
  };

  JsThread js_;
  ModelHost host_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Queued> queue_;
  bool stopping_ = false;  // drop everything
  bool closing_ = false;   // JavaScript thread only
  bool last_job_done_ = false;  // engine thread only
  std::thread thread_;
  JsThread::Call closed_;
  std::shared_ptr<EngineThread> self_;  // keeps a closing thread alive until it has ended
};

}  // namespace masksearch::addon
