// Model handles.
#include "handles.h"

#include "arguments.h"

namespace masksearch::addon {

namespace {

constexpr napi_type_tag kModelTag = {0x6d61736b73656172, 0x63682d6d6f64656c};

void finalize_model(Napi::Env env, ModelHandle* handle) {
  handle->engine->close(env, [](Napi::Env) {});
  delete handle;
}

}  // namespace

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

}  // namespace masksearch::addon
