// Model handles, and jobs on their engine threads as promises.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>
#include <utility>

#include "engine_thread.h"
#include "results.h"

namespace masksearch::addon {

// What a model handle holds. Turns in progress are found by their sequence, to cancel them.
struct ModelHandle {
  std::shared_ptr<EngineThread> engine;
  std::unordered_map<SequenceId, std::shared_ptr<Turn>> turns;
  uint32_t next_id = 1;
};

// A new handle, which frees the model when it is collected.
Napi::Object to_handle(Napi::Env env, std::shared_ptr<EngineThread> engine);
// Throws a TypeError on anything but a handle, and an Error on a model that is disposed of.
ModelHandle& handle_of(const Napi::Value& value);

// Runs `work` on the engine thread and settles the promise with what `convert` makes of its result.
template <typename Work, typename Convert>
Napi::Promise submit(Napi::Env env, EngineThread* engine, Order order, Work work, Convert convert) {
  auto deferred = Napi::Promise::Deferred::New(env);
  engine->js().hold(env);
  engine->submit(order, [engine, deferred, work, convert](ModelHost& host) {
    auto result = std::make_shared<decltype(work(host))>();
    Failure failure;
    try {
      *result = work(host);
    } catch (...) {
      failure = describe(std::current_exception());
    }
    engine->js().post([engine, deferred, result, failure, convert](Napi::Env env) {
      engine->js().release(env);
      if (failure.code.empty()) {
        deferred.Resolve(convert(env, *result));
      } else {
        deferred.Reject(to_error(env, failure));
      }
    });
  });
  return deferred.Promise();
}

}  // namespace masksearch::addon
