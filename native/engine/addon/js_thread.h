// A way for other threads to run something on the JavaScript thread.
#pragma once

#include <napi.h>

#include <functional>

namespace masksearch::addon {

class JsThread {
 public:
  using Call = std::function<void(Napi::Env)>;

  explicit JsThread(Napi::Env env);

  // From any thread: `call` runs on the JavaScript thread, in order. It is dropped when the
  // environment closes first.
  void post(Call call);

  // JavaScript thread only: the event loop stays alive while more holds than releases were made.
  void hold(Napi::Env env);
  void release(Napi::Env env);

  // JavaScript thread only, once: no post may follow.
  void close();

 private:
  static void run(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call);
  using Queue = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, run>;

  Queue queue_;
  int holds_ = 0;
};

}  // namespace masksearch::addon
