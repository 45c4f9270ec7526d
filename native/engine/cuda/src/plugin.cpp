// The plug-in's C interface over DeviceModel and DeviceSampler. No exception leaves it.
#include "cuda_plugin.h"

#include <cstdio>
#include <deque>
#include <new>

#include "device_sampler.h"
#include "plugin_values.h"

using namespace masksearch;
using namespace masksearch::cuda;

struct ms_model {
  DeviceModel model;
};
struct ms_sampler {
  DeviceSampler sampler;
  std::deque<Generated> finished;
  Generated taken;
};

namespace {

void copy_text(const std::string& from, char* to, size_t bytes) {
  std::snprintf(to, bytes, "%s", from.c_str());
}

void set_error(ms_error* error, int kind, const std::string& message) {
  error->kind = kind;
  copy_text(message, error->message, sizeof error->message);
}

// Runs `body` and describes what it throws; `otherwise` is the result then.
template <class Result, class Body>
Result guarded(ms_error* error, Result otherwise, const Body& body) {
  error->kind = 0;
  try {
    return body();
  } catch (const std::invalid_argument& problem) {
    set_error(error, 1, problem.what());
  } catch (const UnavailableError& problem) {
    set_error(error, 3, problem.what());
  } catch (const std::bad_alloc&) {
    set_error(error, 2, "out of host memory");
  } catch (const std::exception& problem) {
    set_error(error, 2, problem.what());
  } catch (...) {
    set_error(error, 2, "unknown C++ exception");
  }
  return otherwise;
}

template <class Body>
void guarded_call(ms_error* error, const Body& body) {
  guarded(error, 0, [&] {
    body();
    return 0;
  });
}

DecoderConfig config_of(const ms_config& c) {
  DecoderConfig config{};
  copy_config(c, &config);
  return config;
}

LoraConfig lora_of(const ms_lora& l) {
  LoraConfig lora;
  copy_lora(l, &lora);
  return lora;
}

DeviceOptions options_of(const ms_device_options& o) {
  DeviceOptions options;
  options.memory_bytes = size_t(o.memory_bytes);
  options.pass_tokens = o.pass_tokens == 0 ? kPassTokens : o.pass_tokens;
  options.gemm.tune = o.tune != 0;
  options.graphs = o.graphs != 0;
  if (o.cache_file != nullptr) options.gemm.cache_file = o.cache_file;
  return options;
}

Batch batch_of(const ms_batch& b) {
  Batch batch;
  copy_batch(b, &batch);
  return batch;
}

TokenLoss loss_of(const ms_loss& l) {
  TokenLoss loss{};
  copy_loss(l, &loss);
  if (l.custom != nullptr)
    loss.custom = [l](int n, const int32_t* positions, const float* log_probs,
                      const float* entropies, float* d_log_probs, float* d_entropies) {
      int32_t failed = 0;
      const double value = l.custom(l.context, n, positions, log_probs, entropies, d_log_probs,
                                    d_entropies, &failed);
      if (failed != 0) throw std::runtime_error("the custom loss failed");
      return value;
    };
  return loss;
}

Arena arena_of(int32_t arena) {
  if (arena < MS_WEIGHTS || arena > MS_SECOND_MOMENTS)
    throw std::invalid_argument("expected an arena of the model");
  return static_cast<Arena>(arena);
}

void check_range(const ms_model* m, Arena arena, uint64_t offset, uint64_t count) {
  const uint64_t total = m->model.state.count(arena);
  if (offset > total || count > total - offset)
    throw std::invalid_argument("expected a range within the arena of " + std::to_string(total) +
                                " floats");
}

// -- Functions ------------------------------------------------------------------------------------

void probe(char* name, size_t bytes, ms_error* error) {
  guarded_call(error, [&] {
    copy_text(open_device().name, name, bytes);
    cublas_lt();  // a GPU without it is of no use
  });
}

ms_model* model_create(const ms_config* config, const ms_lora* lora,
                       const ms_device_options* options, ms_error* error) {
  return guarded<ms_model*>(error, nullptr, [&] {
    return new ms_model{{config_of(*config), lora_of(*lora), options_of(*options)}};
  });
}
void model_destroy(ms_model* m) { delete m; }

void device_name(const ms_model* m, char* name, size_t bytes) {
  copy_text(m->model.device(), name, bytes);
}
void memory_report(const ms_model* m, char* text, size_t bytes) {
  copy_text(m->model.memory_report(), text, bytes);
}

void read(ms_model* m, int32_t arena, uint64_t offset, uint64_t count, float* out,
          ms_error* error) {
  guarded_call(error, [&] {
    check_range(m, arena_of(arena), offset, count);
    m->model.read(arena_of(arena), size_t(offset), size_t(count), out);
  });
}
void write(ms_model* m, int32_t arena, uint64_t offset, uint64_t count, const float* values,
           ms_error* error) {
  guarded_call(error, [&] {
    check_range(m, arena_of(arena), offset, count);
    m->model.write(arena_of(arena), size_t(offset), size_t(count), values);
  });
}
void set_version(ms_model* m, int64_t version, ms_error* error) {
  guarded_call(error, [&] { m->model.set_version(version); });
}

ms_result accumulate(ms_model* m, const ms_batch* batch, const ms_loss* loss, float* log_probs,
                     float* entropies, ms_error* error) {
  return guarded<ms_result>(error, {}, [&] {
    const AccumulateResult r =
        m->model.accumulate(batch_of(*batch), loss_of(*loss), log_probs, entropies);
    return ms_result{r.loss, r.clipped_low, r.clipped_high};
  });
}
void score(ms_model* m, const ms_batch* batch, int32_t adapter, float* log_probs,
           float* entropies, ms_error* error) {
  guarded_call(error, [&] {
    m->model.score(batch_of(*batch), log_probs, entropies,
                   adapter != 0 ? AdapterUse::on : AdapterUse::off);
  });
}
double step(ms_model* m, const ms_adamw* o, ms_error* error) {
  return guarded<double>(error, 0, [&] {
    AdamW options{};
    copy_adamw(*o, &options);
    return m->model.step(options);
  });
}

ms_sampler* sampler_create(ms_model* m, int32_t max_sequences, int32_t max_context_tokens,
                           ms_error* error) {
  return guarded<ms_sampler*>(error, nullptr, [&] {
    return new ms_sampler{{m->model, max_sequences, max_context_tokens}, {}, {}};
  });
}
void sampler_destroy(ms_sampler* s) { delete s; }

int32_t open(ms_sampler* s, const int32_t* tokens, int32_t count, uint32_t key0, uint32_t key1,
             ms_error* error) {
  return guarded<int32_t>(error, 0,
                          [&] { return s->sampler.open(tokens, count, key0, key1); });
}
void append(ms_sampler* s, int32_t sequence, const int32_t* tokens, int32_t count,
            ms_error* error) {
  guarded_call(error, [&] { s->sampler.append(sequence, tokens, count); });
}
void generate(ms_sampler* s, int32_t sequence, const ms_request* r, ms_error* error) {
  guarded_call(error, [&] {
    GenerateRequest request{r->max_tokens, {}, r->temperature, r->turn, r->top_p};
    request.allowed.assign(r->allowed, r->allowed + r->allowed_words);
    const int32_t* next = r->stop_tokens;
    for (int32_t i = 0; i < r->stop_count; i++) {
      request.stop.emplace_back(next, next + r->stop_lengths[i]);
      next += r->stop_lengths[i];
    }
    s->sampler.generate(sequence, request);
  });
}
void cancel(ms_sampler* s, int32_t sequence, ms_error* error) {
  guarded_call(error, [&] { s->sampler.cancel(sequence); });
}
void close_sequence(ms_sampler* s, int32_t sequence, ms_error* error) {
  guarded_call(error, [&] { s->sampler.close(sequence); });
}
int32_t sampler_step(ms_sampler* s, ms_error* error) {
  return guarded<int32_t>(error, 0, [&] {
    std::vector<Generated> finished;
    const bool worked = s->sampler.step(&finished);
    for (Generated& turn : finished) s->finished.push_back(std::move(turn));
    return int32_t(worked);
  });
}
int32_t take_finished(ms_sampler* s, ms_generated* out) {
  if (s->finished.empty()) return 0;
  s->taken = std::move(s->finished.front());
  s->finished.pop_front();
  const Generated& g = s->taken;
  *out = {g.sequence, int32_t(g.tokens.size()), int32_t(g.end), g.tokens.data(),
          g.log_probs.data()};
  return 1;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const ms_cuda_api* masksearch_cuda_api(void) {
  static const ms_cuda_api api = {MASKSEARCH_CUDA_ABI,
                                  probe,
                                  model_create,
                                  model_destroy,
                                  device_name,
                                  memory_report,
                                  read,
                                  write,
                                  set_version,
                                  accumulate,
                                  score,
                                  step,
                                  sampler_create,
                                  sampler_destroy,
                                  open,
                                  append,
                                  generate,
                                  cancel,
                                  close_sequence,
                                  sampler_step,
                                  take_finished};
  return &api;
}
