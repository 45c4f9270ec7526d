// Registers the functions that JavaScript sees.
#include <napi.h>

#include <utility>

#include "functions.h"

namespace masksearch::addon {

namespace {

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
      {"planMemory", plan_any_memory},
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
