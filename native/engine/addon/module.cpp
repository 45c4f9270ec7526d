// The functions that JavaScript sees; their types are in ../src/binding.ts.
#include <napi.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <thread>

#include "any_model.h"
#include "arguments.h"
#include "engine_thread.h"

namespace masksearch::addon {

namespace {

constexpr napi_type_tag kModelTag = {0x6d61736b73656172, 0x63682d6d6f64656c};

// What a model handle holds. Turns in progress are found by their sequence, to cancel them.
struct ModelHandle {
  std::shared_ptr<EngineThread> engine;
  std::unordered_map<SequenceId, std::shared_ptr<Turn>> turns;
  uint32_t next_id = 1;
};

// The parameters of a new model, read on the engine thread.
struct Description {
  std::vector<Parameter> parameters;
  std::vector<Parameter> trained_parameters;
  std::string device;
};

struct Scores {
  AccumulateResult result;
  std::vector<float> log_probs, entropies;
};

// -- Errors and results ---------------------------------------------------------------------------

// What went wrong on the engine thread. `code` tells ../src/native-errors.ts which class to make of
// it; empty when nothing went wrong.
struct Failure {
  std::string code;
  std::string message;
};

Failure describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::invalid_argument& problem) {
    return {"input", problem.what()};
  } catch (const Unavailable& problem) {
    return {"unavailable", problem.what()};
  } catch (const std::bad_alloc&) {
    return {"native", "out of memory"};
  } catch (const std::exception& problem) {
    return {"native", problem.what()};
  } catch (...) {
    return {"native", "unknown C++ exception"};
  }
}

Napi::Value to_error(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, failure.code));
  return error.Value();
}

Napi::Float32Array to_array(Napi::Env env, const std::vector<float>& values) {
  auto array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value to_undefined(Napi::Env env, int) { return env.Undefined(); }

Napi::Object to_scores(Napi::Env env, const Scores& scores) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("logProbs", to_array(env, scores.log_probs));
  object.Set("entropies", to_array(env, scores.entropies));
  return object;
}

Napi::Object to_accumulated(Napi::Env env, const Scores& scores) {
  Napi::Object object = to_scores(env, scores);
  object.Set("loss", scores.result.loss);
  object.Set("clippedLow", double(scores.result.clipped_low));
  object.Set("clippedHigh", double(scores.result.clipped_high));
  return object;
}

Napi::Object to_generated(Napi::Env env, const Generated& generated) {
  static constexpr const char* reasons[] = {"stop", "length", "context-full", "cancelled"};
  auto tokens = Napi::Int32Array::New(env, generated.tokens.size());
  std::copy(generated.tokens.begin(), generated.tokens.end(), tokens.Data());
  Napi::Object object = Napi::Object::New(env);
  object.Set("tokens", tokens);
  object.Set("logProbs", to_array(env, generated.log_probs));
  object.Set("reason", reasons[int(generated.end)]);
  return object;
}

Napi::Array to_parameters(Napi::Env env, const std::vector<Parameter>& parameters) {
  auto array = Napi::Array::New(env, parameters.size());
  for (uint32_t i = 0; i < parameters.size(); i++) {
    const Parameter& parameter = parameters[i];
    auto shape = Napi::Array::New(env, parameter.shape.size());
    for (uint32_t d = 0; d < parameter.shape.size(); d++) shape.Set(d, parameter.shape[d]);
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", parameter.name);
    object.Set("shape", shape);
    object.Set("offset", double(parameter.offset));
    object.Set("count", double(parameter.count));
    object.Set("decayed", parameter.decayed);
    array.Set(i, object);
  }
  return array;
}

// -- Handles and jobs -----------------------------------------------------------------------------

void finalize_model(Napi::Env env, ModelHandle* handle) {
  handle->engine->close(env, [](Napi::Env) {});
  delete handle;
}

Napi::Object to_handle(Napi::Env env, std::shared_ptr<EngineThread> engine) {
  Napi::Object object = Napi::Object::New(env);
  object.TypeTag(&kModelTag);
  auto* handle = new ModelHandle{std::move(engine), {}, 1};
  napi_status status = napi_wrap(
      env, object, handle,
      [](napi_env raw, void* data, void*) {
        finalize_model(Napi::Env(raw), static_cast<ModelHandle*>(data));
      },
      nullptr, nullptr);
  NAPI_THROW_IF_FAILED(env, status, object);
  return object;
}

ModelHandle& handle_of(const Napi::Value& value) {
  Napi::Object object = read_object(value, "model");
  if (!object.CheckTypeTag(&kModelTag)) {
    throw Napi::TypeError::New(value.Env(), "native engine: expected a model handle.");
  }
  void* data = nullptr;
  napi_status status = napi_unwrap(value.Env(), object, &data);  // fails in a worker that is ending
  if (status != napi_ok) throw Napi::Error::New(value.Env(), "native engine: no model handle.");
  auto& handle = *static_cast<ModelHandle*>(data);
  if (handle.engine->closing()) {
    throw Napi::Error::New(value.Env(), "native engine: expected a live model, it is disposed.");
  }
  return handle;
}

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

Arena read_arena(const Napi::Value& value) {
  std::string name = value.ToString().Utf8Value();
  if (name == "weights") return Arena::weights;
  if (name == "trainedWeights") return Arena::trained_weights;
  if (name == "gradients") return Arena::gradients;
  if (name == "firstMoments") return Arena::first_moments;
  if (name == "secondMoments") return Arena::second_moments;
  throw Napi::TypeError::New(value.Env(), "native engine: expected the name of an arena.");
}

void check_range(const AnyModel& model, Arena arena, int64_t offset, size_t count) {
  size_t total = model.count(arena);
  if (offset < 0 || size_t(offset) > total || count > total - size_t(offset)) {
    throw std::invalid_argument("expected a range within the arena of " + std::to_string(total) +
                                " floats");
  }
}

// -- Functions ------------------------------------------------------------------------------------

Napi::Value create_model(const Napi::CallbackInfo& info) {
  DecoderConfig config = read_config(info[0]);
  int threads = int(read_integer(info[1], "threads"));
  LoraConfig lora = read_lora(info[2]);
  std::optional<CudaOptions> cuda;
  if (!info[3].IsUndefined()) cuda = read_cuda(info[3]);
  DataType type = read_data_type(info[4]);  // of a model on the CPU
  std::shared_ptr<EngineThread> engine = EngineThread::start(info.Env());
  EngineThread* thread = engine.get();
  // Keeps the handle until the promise settles; deleted on the JavaScript thread.
  auto* kept = new Napi::ObjectReference(Napi::Persistent(to_handle(info.Env(), engine)));
  auto work = [config, threads, lora, cuda, type](ModelHost& host) {
    host.model =
        cuda ? make_cuda_model(config, lora, *cuda) : make_cpu_model(config, threads, lora, type);
    return Description{host.model->parameters(), host.model->trained_parameters(),
                       host.model->device()};
  };
  auto convert = [kept](Napi::Env env, const Description& description) {
    Napi::Object result = Napi::Object::New(env);
    result.Set("model", kept->Value());
    result.Set("device", description.device);
    result.Set("parameters", to_parameters(env, description.parameters));
    result.Set("trainedParameters", to_parameters(env, description.trained_parameters));
    return result;
  };
  Napi::Promise promise = submit(info.Env(), thread, Order::between_tokens, work, convert);
  thread->submit(Order::between_tokens, [thread, kept](ModelHost&) {
    thread->js().post([kept](Napi::Env) { delete kept; });
  });
  return promise;
}

Napi::Value read_floats_of_arena(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  Arena arena = read_arena(info[1]);
  int64_t offset = read_integer(info[2], "offset");
  int64_t count = read_integer(info[3], "count");
  if (count < 0) throw Napi::TypeError::New(info.Env(), "native engine: expected count >= 0.");
  auto work = [arena, offset, count](ModelHost& host) {
    check_range(*host.model, arena, offset, size_t(count));
    std::vector<float> values(static_cast<size_t>(count));
    host.model->read(arena, size_t(offset), values.size(), values.data());
    return values;
  };
  return submit(info.Env(), handle.engine.get(), Order::between_tokens, work, to_array);
}

Napi::Value write_floats_of_arena(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  Arena arena = read_arena(info[1]);
  int64_t offset = read_integer(info[2], "offset");
  auto values = std::make_shared<std::vector<float>>(read_floats(info[3], "values"));
  auto work = [arena, offset, values](ModelHost& host) {
    check_range(*host.model, arena, offset, values->size());
    host.model->write(arena, size_t(offset), values->size(), values->data());
    return 0;
  };
  return submit(info.Env(), handle.engine.get(), Order::after_turns, work, to_undefined);
}

// Also tells the engine that the weights have changed.
Napi::Value set_version(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  int64_t version = read_integer(info[1], "version");
  auto work = [version](ModelHost& host) {
    host.model->set_version(version);
    return 0;
  };
  return submit(info.Env(), handle.engine.get(), Order::after_turns, work, to_undefined);
}

// The callback of a custom loss; made and deleted on the JavaScript thread.
struct CustomLoss {
  Napi::FunctionReference evaluate;
};

// Runs on the engine thread, and waits there for JavaScript's answer.
ChunkLoss chunk_loss(EngineThread* engine, CustomLoss* custom) {
  return [engine, custom](int n, const int32_t* positions, const float* log_probs,
                          const float* entropies, float* d_log_probs, float* d_entropies) {
    double loss = 0;
    bool answered = false;
    engine->call_and_wait([&](Napi::Env env) {
      try {
        auto js_positions = Napi::Int32Array::New(env, size_t(n));
        auto js_log_probs = Napi::Float32Array::New(env, size_t(n));
        auto js_entropies = Napi::Float32Array::New(env, size_t(n));
        std::copy(positions, positions + n, js_positions.Data());
        std::copy(log_probs, log_probs + n, js_log_probs.Data());
        std::copy(entropies, entropies + n, js_entropies.Data());
        Napi::Value answer = custom->evaluate.Call({js_positions, js_log_probs, js_entropies});
        Napi::Object object = read_object(answer, "the answer of a custom loss");
        std::vector<float> by_log_prob = read_floats(object.Get("dLogProbs"), "dLogProbs");
        std::vector<float> by_entropy = read_floats(object.Get("dEntropies"), "dEntropies");
        loss = read_number(object.Get("loss"), "loss");
        if (by_log_prob.size() != size_t(n) || by_entropy.size() != size_t(n)) return;
        std::copy(by_log_prob.begin(), by_log_prob.end(), d_log_probs);
        std::copy(by_entropy.begin(), by_entropy.end(), d_entropies);
        answered = true;
      } catch (const Napi::Error&) {
        // Reported below, on the engine thread; the caller in JavaScript keeps what was thrown.
      }
    });
    if (!answered) throw std::runtime_error("the custom loss failed");
    return loss;
  };
}

Napi::Value accumulate(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  EngineThread* engine = handle.engine.get();
  auto batch = std::make_shared<BatchArguments>(read_batch(info[1]));
  auto loss = std::make_shared<LossArguments>(read_loss(info[2]));
  CustomLoss* custom = nullptr;
  if (loss->loss.kind == LossKind::custom) {
    Napi::Value evaluate = info[2].As<Napi::Object>().Get("evaluate");
    if (!evaluate.IsFunction()) {
      throw Napi::TypeError::New(info.Env(), "native engine: expected evaluate to be a function.");
    }
    custom = new CustomLoss{Napi::Persistent(evaluate.As<Napi::Function>())};
    loss->loss.custom = chunk_loss(engine, custom);
  }
  auto work = [batch, loss](ModelHost& host) {
    Scores scores;
    scores.log_probs.resize(batch->tokens.size());
    scores.entropies.resize(batch->tokens.size());
    scores.result = host.model->accumulate(batch->view(), loss->view(), scores.log_probs.data(),
                                           scores.entropies.data());
    return scores;
  };
  Napi::Promise promise =
      submit(info.Env(), engine, Order::between_tokens, work, to_accumulated);
  if (custom != nullptr) {
    // After the job above in both queues: nothing uses the callback any more.
    engine->submit(Order::between_tokens, [engine, custom](ModelHost&) {
      engine->js().post([custom](Napi::Env) { delete custom; });
    });
  }
  return promise;
}

Napi::Value score(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto batch = std::make_shared<BatchArguments>(read_batch(info[1]));
  AdapterUse adapter = read_adapter_use(info[2]);
  auto work = [batch, adapter](ModelHost& host) {
    Scores scores;
    scores.log_probs.resize(batch->tokens.size());
    scores.entropies.resize(batch->tokens.size());
    host.model->score(batch->view(), scores.log_probs.data(), scores.entropies.data(), adapter);
    return scores;
  };
  return submit(info.Env(), handle.engine.get(), Order::between_tokens, work, to_scores);
}

Napi::Value step(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  AdamW options = read_adamw(info[1]);
  auto work = [options](ModelHost& host) { return host.model->step(options); };
  auto convert = [](Napi::Env env, double norm) { return Napi::Number::New(env, norm); };
  return submit(info.Env(), handle.engine.get(), Order::after_turns, work, convert);
}

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

Napi::Value dispose(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  for (auto& [id, turn] : handle.turns) turn->cancelled = true;
  auto deferred = Napi::Promise::Deferred::New(info.Env());
  handle.engine->close(info.Env(),
                       [deferred](Napi::Env env) { deferred.Resolve(env.Undefined()); });
  return deferred.Promise();
}

// Memory of the model as a table, for people; empty where the device has no plan.
Napi::Value memory(const Napi::CallbackInfo& info) {
  ModelHandle& handle = handle_of(info[0]);
  auto work = [](ModelHost& host) { return host.model->memory(); };
  auto convert = [](Napi::Env env, const std::string& text) {
    return Napi::String::New(env, text);
  };
  return submit(info.Env(), handle.engine.get(), Order::between_tokens, work, convert);
}

// Takes a while on a cold driver, and runs on the calling thread: for the doctor.
Napi::Value probe_gpu(const Napi::CallbackInfo& info) {
  try {
    return Napi::String::New(info.Env(), probe_cuda(info[0].ToString().Utf8Value()));
  } catch (const std::exception&) {
    Napi::Error error(info.Env(), to_error(info.Env(), describe(std::current_exception())));
    throw error;
  }
}

// Arithmetic only, on the calling thread.
Napi::Value plan_cpu_memory(const Napi::CallbackInfo& info) {
  MemoryPlan plan;
  try {
    plan = plan_memory(read_config(info[0]), read_memory_use(info[1], read_lora(info[2])));
  } catch (const std::invalid_argument& problem) {
    throw Napi::Error(info.Env(), to_error(info.Env(), {"input", problem.what()}));
  }
  const std::pair<const char*, size_t> parts[] = {
      {"weights", plan.weights},         {"gradients", plan.gradients},
      {"moments", plan.moments},         {"packed", plan.packed},
      {"activations", plan.activations}, {"lossHead", plan.loss_head},
      {"keyValues", plan.key_values},    {"scratch", plan.scratch},
      {"total", plan.total()},
  };
  Napi::Object object = Napi::Object::New(info.Env());
  for (auto& [name, bytes] : parts) object.Set(name, double(bytes));
  return object;
}

Napi::Value hardware(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("cores", double(std::thread::hardware_concurrency()));
  return object;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const std::pair<const char*, Napi::Value (*)(const Napi::CallbackInfo&)> functions[] = {
      {"createModel", create_model},
      {"readArena", read_floats_of_arena},
      {"writeArena", write_floats_of_arena},
      {"setVersion", set_version},
      {"accumulate", accumulate},
      {"score", score},
      {"step", step},
      {"openSampler", open_sampler},
      {"closeSampler", close_sampler},
      {"openSequence", open_sequence},
      {"append", append},
      {"generate", generate},
      {"cancel", cancel},
      {"closeSequence", close_sequence},
      {"dispose", dispose},
      {"hardware", hardware},
      {"planMemory", plan_cpu_memory},
      {"memory", memory},
      {"probeCuda", probe_gpu},
  };
  for (auto& [name, function] : functions) {
    exports.Set(name, Napi::Function::New(env, function, name));
  }
  return exports;
}

}  // namespace

}  // namespace masksearch::addon

Napi::Object init_module(Napi::Env env, Napi::Object exports) {
  return masksearch::addon::init(env, exports);
}

NODE_API_MODULE(engine, init_module)
