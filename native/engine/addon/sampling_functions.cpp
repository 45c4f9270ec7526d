// Samplers, their sequences and turns.
#include <stdexcept>

#include "arguments.h"
#include "functions.h"
#include "handles.h"

namespace masksearch::addon {

Napi::Value open_sampler(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  int max_sequences = int(read_integer(info[1], "maxSequences"));
  int max_context = int(read_integer(info[2], "maxContextTokens"));
  SamplerId id = handle.next_id++;
  handle.engine->submit(Order::between_tokens, [=](ModelHost& host) {
    try {
      host.open_sampler(id, max_sequences, max_context);
    } catch (const std::exception& problem) {
      host.refuse_sampler(id, problem.what());  // every use of it reports that
    }
  });
  return Napi::Number::New(info.Env(), id);
}

Napi::Value close_sampler(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto id = SamplerId(read_integer(info[1], "sampler"));
  auto work = [id](ModelHost& host) {
    host.close_sampler(id);
    return 0;
  };
  return submit(info.Env(), handle.engine.get(), Order::between_tokens, work, to_undefined);
}

Napi::Value open_sequence(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto sampler = SamplerId(read_integer(info[1], "sampler"));
  std::vector<int32_t> tokens = read_tokens(info[2], "tokens");
  auto key0 = uint32_t(read_integer(info[3], "key"));
  auto key1 = uint32_t(read_integer(info[4], "key"));
  SequenceId id = handle.next_id++;
  handle.engine->submit(Order::between_tokens, [=](ModelHost& host) {
    try {
      host.open_sequence(id, sampler, tokens, key0, key1);
    } catch (const std::exception&) {
      host.close_sequence(id);  // every use of it reports that it is not there
    }
  });
  return Napi::Number::New(info.Env(), id);
}

Napi::Value append(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto id = SequenceId(read_integer(info[1], "sequence"));
  std::vector<int32_t> tokens = read_tokens(info[2], "tokens");
  handle.engine->submit(Order::between_tokens, [id, tokens](ModelHost& host) {
    try {
      host.append(id, tokens);
    } catch (const std::exception&) {
      host.close_sequence(id);  // every use of it reports that it is not there
    }
  });
  return info.Env().Undefined();
}

Napi::Value generate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ModelHandle& handle = handle_of(info[0]);
  EngineThread* engine = handle.engine.get();
  auto id = SequenceId(read_integer(info[1], "sequence"));
  GenerateRequest request = read_request(info[2]);
  auto deferred = Napi::Promise::Deferred::New(env);
  engine->js().hold(env);
  auto turn = std::make_shared<Turn>();
  // The model's object, and with it the handle, must outlive the turn, which settling removes.
  auto* kept = new Napi::ObjectReference(Napi::Persistent(info[0].As<Napi::Object>()));
  ModelHandle* owner = &handle;
  auto settle = [owner, kept, id](std::function<void(Napi::Env)> then) {
    owner->engine->js().post([owner, kept, id, then](Napi::Env env) {
      owner->engine->js().release(env);
      owner->turns.erase(id);
      delete kept;
      then(env);
    });
  };
  turn->finish = [settle, deferred](Generated generated) {
    auto result = std::make_shared<Generated>(std::move(generated));
    settle([deferred, result](Napi::Env env) { deferred.Resolve(to_generated(env, *result)); });
  };
  turn->fail = [settle, deferred](const std::exception_ptr& error) {
    Failure failure = describe(error);
    settle([deferred, failure](Napi::Env env) { deferred.Reject(to_error(env, failure)); });
  };
  handle.turns[id] = turn;
  engine->submit(Order::between_tokens, [id, request, turn](ModelHost& host) {
    try {
      host.start_turn(id, request, turn);
    } catch (...) {
      turn->fail(std::current_exception());
    }
  });
  return deferred.Promise();
}

Napi::Value cancel(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto turn = handle.turns.find(SequenceId(read_integer(info[1], "sequence")));
  if (turn != handle.turns.end()) turn->second->cancelled = true;  // seen before the next token
  return info.Env().Undefined();
}

Napi::Value close_sequence(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto id = SequenceId(read_integer(info[1], "sequence"));
  handle.engine->submit(Order::between_tokens,
                        [id](ModelHost& host) { host.close_sequence(id); });
  return info.Env().Undefined();
}

}  // namespace masksearch::addon
