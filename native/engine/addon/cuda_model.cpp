// A model of the CUDA plug-in behind AnyModel: loads the library and turns its C calls into C++.
#include <dlfcn.h>

#include <stdexcept>

#include "../cuda/include/plugin_values.h"
#include "../src/parameters.h"
#include "any_model.h"

namespace masksearch::addon {

namespace {

constexpr const char* kBuild =
    "build it with `pnpm --filter @masksearch/native-engine run build:cuda` (needs nvcc of CUDA 12 "
    "or 13), or use device 'cpu'";

// Stays loaded: CUDA does not survive being unloaded.
const ms_cuda_api& load_plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Unavailable("cuda: expected the plug-in at " + path + ", received: " + dlerror() +
                      "; " + kBuild);
  const auto find =
      reinterpret_cast<const ms_cuda_api* (*)()>(dlsym(library, "masksearch_cuda_api"));
  if (find == nullptr || find()->abi != MASKSEARCH_CUDA_ABI)
    throw Unavailable("cuda: expected a plug-in of version " +
                             std::to_string(MASKSEARCH_CUDA_ABI) + " at " + path +
                             ", received another; " + kBuild);
  return *find();
}

// Runs body(&error) and throws what it reports.
template <class Body>
auto checked(const Body& body) {
  ms_error error{};
  const auto result = body(&error);
  if (error.kind == 1) throw std::invalid_argument(error.message);
  if (error.kind == 3) throw Unavailable(error.message);
  if (error.kind != 0) throw std::runtime_error(error.message);
  return result;
}
template <class Body>
void checked_call(const Body& body) {
  checked([&](ms_error* error) {
    body(error);
    return 0;
  });
}

ms_batch plain_batch(const Batch& b) {
  ms_batch p{};
  copy_batch(b, &p);
  return p;
}

double call_custom_loss(void* context, int32_t n, const int32_t* positions,
                        const float* log_probs, const float* entropies, float* d_log_probs,
                        float* d_entropies, int32_t* failed) {
  try {
    return (*static_cast<const ChunkLoss*>(context))(n, positions, log_probs, entropies,
                                                     d_log_probs, d_entropies);
  } catch (const std::exception&) {
    *failed = 1;  // the caller in JavaScript keeps what was thrown
    return 0;
  }
}

// Valid while `l` lives.
ms_loss plain_loss(const TokenLoss& l) {
  ms_loss p{};
  copy_loss(l, &p);
  if (l.custom) {
    p.custom = call_custom_loss;
    p.context = const_cast<ChunkLoss*>(&l.custom);
  }
  return p;
}

int32_t plain_arena(Arena arena) {
  switch (arena) {
    case Arena::weights:
      return MS_WEIGHTS;
    case Arena::trained_weights:
      return MS_TRAINED_WEIGHTS;
    case Arena::gradients:
      return MS_GRADIENTS;
    case Arena::first_moments:
      return MS_FIRST_MOMENTS;
    case Arena::second_moments:
      return MS_SECOND_MOMENTS;
  }
  throw std::invalid_argument("expected an arena of the model");
}

class CudaSampler final : public AnySampler {
 public:
  CudaSampler(const ms_cuda_api& api, ms_model* model, int max_sequences, int max_context_tokens)
      : api_(api), sampler_(checked([&](ms_error* error) {
          return api.sampler_create(model, max_sequences, max_context_tokens, error);
        })) {}
  ~CudaSampler() override { api_.sampler_destroy(sampler_); }

  int open(const int32_t* tokens, int count, uint32_t key0, uint32_t key1) override {
    return checked(
        [&](ms_error* e) { return api_.open(sampler_, tokens, count, key0, key1, e); });
  }
  void append(int sequence, const int32_t* tokens, int count) override {
    checked_call([&](ms_error* e) { api_.append(sampler_, sequence, tokens, count, e); });
  }
  void generate(int sequence, const GenerateRequest& r) override {
    std::vector<int32_t> lengths, tokens;
    for (const std::vector<int32_t>& stop : r.stop) {
      lengths.push_back(int32_t(stop.size()));
      tokens.insert(tokens.end(), stop.begin(), stop.end());
    }
    const ms_request request = {r.max_tokens,  r.temperature, r.turn, int32_t(lengths.size()),
                                lengths.data(), tokens.data(), r.top_p,
                                int32_t(r.allowed.size()), r.allowed.data()};
    checked_call([&](ms_error* e) { api_.generate(sampler_, sequence, &request, e); });
  }
  void cancel(int sequence) override {
    checked_call([&](ms_error* e) { api_.cancel(sampler_, sequence, e); });
  }
  void close(int sequence) override {
    checked_call([&](ms_error* e) { api_.close(sampler_, sequence, e); });
  }
  bool step(std::vector<Generated>* finished) override {
    const bool worked =
        checked([&](ms_error* e) { return api_.sampler_step(sampler_, e); }) != 0;
    ms_generated g{};
    while (api_.take_finished(sampler_, &g) != 0)
      finished->push_back({g.sequence,
                           {g.tokens, g.tokens + g.count},
                           {g.log_probs, g.log_probs + g.count},
                           static_cast<GenerateEnd>(g.end)});
    return worked;
  }

 private:
  const ms_cuda_api& api_;
  ms_sampler* sampler_;
};

class CudaModel final : public AnyModel {
 public:
  CudaModel(const DecoderConfig& config, const LoraConfig& lora, const CudaOptions& o)
      : api_(load_plugin(o.plugin)), layout_(config), adapter_(config, lora) {
    ms_config plain{};
    copy_config(config, &plain);
    ms_lora adapter{};
    copy_lora(lora, &adapter);
    const ms_device_options options = {uint64_t(o.memory_bytes), o.pass_tokens, o.tune ? 1 : 0,
                                       o.graphs ? 1 : 0, o.cache_file.c_str()};
    model_ = checked([&](ms_error* e) { return api_.model_create(&plain, &adapter, &options, e); });
  }
  ~CudaModel() override { api_.model_destroy(model_); }

  const std::vector<Parameter>& parameters() const override { return layout_.parameters; }
  const std::vector<Parameter>& trained_parameters() const override {
    return frozen() ? adapter_.parameters : layout_.parameters;
  }
  std::string device() const override {
    char name[256];
    api_.device_name(model_, name, sizeof name);
    return name;
  }
  std::string memory() const override {
    std::vector<char> text(8192);
    api_.memory_report(model_, text.data(), text.size());
    return text.data();
  }
  size_t count(Arena arena) const override {
    return frozen() && arena != Arena::weights ? adapter_.count : layout_.count;
  }
  void read(Arena arena, size_t offset, size_t count, float* out) override {
    checked_call(
        [&](ms_error* e) { api_.read(model_, plain_arena(arena), offset, count, out, e); });
  }
  void write(Arena arena, size_t offset, size_t count, const float* values) override {
    checked_call(
        [&](ms_error* e) { api_.write(model_, plain_arena(arena), offset, count, values, e); });
  }
  void set_version(int64_t version) override {
    checked_call([&](ms_error* e) { api_.set_version(model_, version, e); });
  }
  AccumulateResult accumulate(const Batch& batch, const TokenLoss& loss, float* log_probs,
                              float* entropies) override {
    const ms_batch plain = plain_batch(batch);
    const ms_loss l = plain_loss(loss);
    const ms_result r = checked([&](ms_error* e) {
      return api_.accumulate(model_, &plain, &l, log_probs, entropies, e);
    });
    return {r.loss, r.clipped_low, r.clipped_high};
  }
  void score(const Batch& batch, float* log_probs, float* entropies,
             AdapterUse adapter) override {
    const ms_batch plain = plain_batch(batch);
    const int32_t on = adapter == AdapterUse::on ? 1 : 0;
    checked_call([&](ms_error* e) { api_.score(model_, &plain, on, log_probs, entropies, e); });
  }
  double step(const AdamW& o) override {
    ms_adamw plain{};
    copy_adamw(o, &plain);
    return checked([&](ms_error* e) { return api_.step(model_, &plain, e); });
  }
  std::unique_ptr<AnySampler> open_sampler(int max_sequences, int max_context_tokens) override {
    return std::make_unique<CudaSampler>(api_, model_, max_sequences, max_context_tokens);
  }

 private:
  bool frozen() const { return !adapter_.layers.empty(); }

  const ms_cuda_api& api_;
  const Layout layout_;
  const AdapterLayout adapter_;
  ms_model* model_ = nullptr;
};

}  // namespace

std::unique_ptr<AnyModel> make_cuda_model(const DecoderConfig& config, const LoraConfig& lora,
                                          const CudaOptions& options) {
  return std::make_unique<CudaModel>(config, lora, options);
}

std::string probe_cuda(const std::string& plugin) {
  const ms_cuda_api& api = load_plugin(plugin);
  char name[256] = "";
  checked_call([&](ms_error* error) { api.probe(name, sizeof name, error); });
  return name;
}

}  // namespace masksearch::addon
