// A way for other threads to run something on the JavaScript thread.
#include "js_thread.h"

#include <memory>

namespace masksearch::addon {

JsThread::JsThread(Napi::Env env) : queue_(Queue::New(env, "masksearch engine", 0, 1)) {
  queue_.Unref(env);
}

void JsThread::post(Call call) {
  Call* data = new Call(std::move(call));
  if (queue_.NonBlockingCall(data) != napi_ok) delete data;
}

void JsThread::hold(Napi::Env env) {
  if (holds_++ == 0) queue_.Ref(env);
}

void JsThread::release(Napi::Env env) {
  if (--holds_ == 0) queue_.Unref(env);
}

void JsThread::close() { queue_.Release(); }

void JsThread::run(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call) {
  std::unique_ptr<Call> owned(call);
  // The environment is null when it closes with calls still queued.
  if (env != nullptr) (*owned)(env);
}

}  // namespace masksearch::addon
