// The thread that a model lives on: runs jobs in order and, between jobs, works on sampler turns.
#include "engine_thread.h"

#include <stdexcept>

namespace masksearch::addon {

std::shared_ptr<EngineThread> EngineThread::start(Napi::Env env) {
  std::shared_ptr<EngineThread> engine(new EngineThread(env));
  // Hooks run in reverse order: this one before the one that ends the queue to JavaScript.
  napi_add_env_cleanup_hook(env, on_environment_end, engine.get());
  engine->thread_ = std::thread([raw = engine.get()] { raw->run(); });
  return engine;
}

EngineThread::EngineThread(Napi::Env env) : js_(env) {}

EngineThread::~EngineThread() {
  if (thread_.joinable()) stop_now();
}

void EngineThread::submit(Order order, Job job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back({order, std::move(job)});
  }
  changed_.notify_all();
}

void EngineThread::close(Napi::Env env, JsThread::Call closed) {
  // Not joinable: the environment has ended, and the thread with it.
  if (closing_ || !thread_.joinable()) return;
  closing_ = true;
  self_ = shared_from_this();
  closed_ = std::move(closed);
  js_.hold(env);
  submit(Order::between_tokens, [this](ModelHost& host) {
    host.shut_down();
    last_job_done_ = true;
  });
}

void EngineThread::call_and_wait(const JsThread::Call& call) {
  bool returned = false;
  js_.post([this, &call, &returned](Napi::Env env) {
    call(env);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      returned = true;
    }
    changed_.notify_all();
  });
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return returned || stopping_; });
  if (!returned) throw std::runtime_error("the JavaScript environment ended");
}

void EngineThread::run() {
  work();
  if (last_job_done_) js_.post([this](Napi::Env env) { finish_closing(env); });
}

void EngineThread::work() {
  while (!last_job_done_) {
    Queued next;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty() || host_.has_turns(); });
      if (stopping_) return;
      bool runs_now = !queue_.empty() &&
                      (queue_.front().order == Order::between_tokens || !host_.has_turns());
      if (runs_now) {
        next = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    if (next.job) {
      next.job(host_);
    } else {
      host_.advance();
    }
  }
}

void EngineThread::stop_now() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void EngineThread::finish_closing(Napi::Env env) {
  std::shared_ptr<EngineThread> self = std::move(self_);  // destroyed at the end of this function
  thread_.join();
  napi_remove_env_cleanup_hook(env, on_environment_end, this);
  js_.release(env);
  js_.close();
  closed_(env);
}

void EngineThread::on_environment_end(void* thread) {
  auto* engine = static_cast<EngineThread*>(thread);
  if (engine->thread_.joinable()) engine->stop_now();
  std::shared_ptr<EngineThread> self = std::move(engine->self_);
}

}  // namespace masksearch::addon
