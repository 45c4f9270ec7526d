// Results of the engine and its failures as JavaScript values.
#pragma once

#include <napi.h>

#include <exception>
#include <string>
#include <vector>

#include "engine.h"

namespace masksearch::addon {

struct Scores {
  AccumulateResult result;
  std::vector<float> log_probs, entropies;
};

// What went wrong on the engine thread. `code` tells ../src/native-errors.ts which class to make of
// it; empty when nothing went wrong.
struct Failure {
  std::string code;
  std::string message;
};

Failure describe(const std::exception_ptr& error);
Napi::Value to_error(Napi::Env env, const Failure& failure);
Napi::Float32Array to_array(Napi::Env env, const std::vector<float>& values);
Napi::Value to_undefined(Napi::Env env, int);
Napi::Object to_scores(Napi::Env env, const Scores& scores);
Napi::Object to_accumulated(Napi::Env env, const Scores& scores);
Napi::Object to_generated(Napi::Env env, const Generated& generated);
Napi::Array to_parameters(Napi::Env env, const std::vector<Parameter>& parameters);

}  // namespace masksearch::addon
