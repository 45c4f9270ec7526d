// Accumulating, scoring and steps.
#include <algorithm>
#include <stdexcept>

#include "arguments.h"
#include "functions.h"
#include "handles.h"

namespace masksearch::addon {

namespace {

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

}  // namespace

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

}  // namespace masksearch::addon
