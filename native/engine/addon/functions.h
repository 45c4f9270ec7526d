// The functions that JavaScript sees, by file; their types are in ../src/binding.ts.
#pragma once

#include <napi.h>

namespace masksearch::addon {

// model_functions.cpp
Napi::Value create_model(const Napi::CallbackInfo& info);
Napi::Value read_floats_of_arena(const Napi::CallbackInfo& info);
Napi::Value write_floats_of_arena(const Napi::CallbackInfo& info);
Napi::Value set_version(const Napi::CallbackInfo& info);
Napi::Value dispose(const Napi::CallbackInfo& info);
Napi::Value memory(const Napi::CallbackInfo& info);
Napi::Value probe_gpu(const Napi::CallbackInfo& info);
Napi::Value plan_any_memory(const Napi::CallbackInfo& info);
Napi::Value hardware(const Napi::CallbackInfo& info);

// training_functions.cpp
Napi::Value accumulate(const Napi::CallbackInfo& info);
Napi::Value score(const Napi::CallbackInfo& info);
Napi::Value step(const Napi::CallbackInfo& info);

// sampling_functions.cpp
Napi::Value open_sampler(const Napi::CallbackInfo& info);
Napi::Value close_sampler(const Napi::CallbackInfo& info);
Napi::Value open_sequence(const Napi::CallbackInfo& info);
Napi::Value append(const Napi::CallbackInfo& info);
Napi::Value generate(const Napi::CallbackInfo& info);
Napi::Value cancel(const Napi::CallbackInfo& info);
Napi::Value close_sequence(const Napi::CallbackInfo& info);

}  // namespace masksearch::addon
