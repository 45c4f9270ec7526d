// Results of the engine and its failures as JavaScript values.
#include "results.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "any_model.h"

namespace masksearch::addon {

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

}  // namespace masksearch::addon
