// Making and disposing of models, their arenas, and what is asked without a model.
#include <optional>
#include <stdexcept>
#include <thread>

#include "../cuda/src/device_needs.h"
#include "any_model.h"
#include "arguments.h"
#include "functions.h"
#include "handles.h"

namespace masksearch::addon {

namespace {

// The parameters of a new model, read on the engine thread.
struct Description {
  std::vector<Parameter> parameters;
  std::vector<Parameter> trained_parameters;
  std::string device;
};

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

}  // namespace

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
Napi::Value plan_any_memory(const Napi::CallbackInfo& info) {
  MemoryPlan plan;
  try {
    const DecoderConfig config = read_config(info[0]);
    const MemoryUse use = read_memory_use(info[1], read_lora(info[2]));
    const double cuda_bytes = read_cuda_bytes(info[1]);
    plan = cuda_bytes > 0 ? cuda::device_needs(config, use, size_t(cuda_bytes))
                          : plan_memory(config, use);
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

}  // namespace masksearch::addon
