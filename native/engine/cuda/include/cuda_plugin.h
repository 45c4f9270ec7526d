/* The plug-in's C interface: what the addon finds in libmasksearch_cuda.so under the name
   masksearch_cuda_api. Plain structures only; a model and its samplers belong to one thread.
   Formulas and units are those of engine.h. */
#ifndef MASKSEARCH_CUDA_PLUGIN_H
#define MASKSEARCH_CUDA_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a structure or a function here changes. */
#define MASKSEARCH_CUDA_ABI 4

typedef struct {
  double factor, low_frequency_factor, high_frequency_factor, original_max_positions;
} ms_rope_scaling;

typedef struct {
  int32_t vocabulary_size, width, layers, heads, key_value_heads, head_width, feed_forward_width;
  int32_t max_positions;
  double rope_theta, norm_epsilon;
  ms_rope_scaling rope_scaling;
  int32_t attention_bias, tied_embeddings, query_key_norm; /* 0 or 1 */
} ms_config;

enum { MS_LORA_TARGETS = 7 }; /* in the order of LoraTarget */

typedef struct {
  int32_t rank; /* 0: no adapter, everything is trained */
  uint32_t seed;
  double alpha, dropout;
  int32_t targets[MS_LORA_TARGETS]; /* 0 or 1 */
} ms_lora;

typedef struct {
  uint64_t memory_bytes;  /* of the slab; 0 = 85 % of what is free */
  int32_t pass_tokens;    /* rows that go through the layers together; 0 = 16384 */
  int32_t tune;           /* 1: try cuBLASLt's algorithms and keep the fastest */
  int32_t graphs;         /* 1: record work that comes again and replay it */
  const char* cache_file; /* remembers the choices; null or empty = nowhere */
} ms_device_options;

typedef struct {
  const int32_t* tokens;
  const int32_t* offsets;
  const uint8_t* loss_mask;
  int32_t token_count, sequence_count;
} ms_batch;

/* Returns the loss of a chunk and sets both gradients. `failed` becomes 1 where it could not. */
typedef double (*ms_chunk_loss)(void* context, int32_t n, const int32_t* positions,
                                const float* log_probs, const float* entropies,
                                float* d_log_probs, float* d_entropies, int32_t* failed);

typedef enum { MS_CROSS_ENTROPY = 0, MS_DAPO = 1, MS_CUSTOM = 2 } ms_loss_kind;

typedef struct {
  int32_t kind;
  double scale;
  const float *weights, *old_log_probs, *advantages, *importance_weights;
  double clip_low, clip_high, dual_clip, entropy_coefficient;
  ms_chunk_loss custom;
  void* context;
} ms_loss;

typedef struct {
  double loss;
  int64_t clipped_low, clipped_high;
} ms_result;

typedef struct {
  double learning_rate, beta1, beta2, epsilon, weight_decay, max_gradient_norm;
} ms_adamw;

typedef struct {
  int32_t max_tokens;
  float temperature;
  uint32_t turn;
  int32_t stop_count;
  const int32_t* stop_lengths; /* (stop_count) */
  const int32_t* stop_tokens;  /* one after the other */
  double top_p;                /* 1 = all tokens */
  int32_t allowed_words;       /* 0: all tokens may be sampled */
  const uint32_t* allowed;     /* (allowed_words) a bit per token */
} ms_request;

/* Valid until the next call on the sampler. end: the order of GenerateEnd. */
typedef struct {
  int32_t sequence, count, end;
  const int32_t* tokens;
  const float* log_probs;
} ms_generated;

/* In the order of Arena. All but the first hold what is trained. */
typedef enum {
  MS_WEIGHTS,
  MS_TRAINED_WEIGHTS,
  MS_GRADIENTS,
  MS_FIRST_MOMENTS,
  MS_SECOND_MOMENTS
} ms_arena;

/* kind 0: no error; 1: what was passed is wrong; 2: anything else; 3: the machine lacks a GPU, a
   driver or cuBLASLt. */
typedef struct {
  int32_t kind;
  char message[4000];
} ms_error;

typedef struct ms_model ms_model;
typedef struct ms_sampler ms_sampler;

/* Every function sets `error`; on an error results are 0 or null. */
typedef struct {
  int32_t abi; /* MASKSEARCH_CUDA_ABI */
  /* The GPU's name, e.g. for a doctor's report; an error where a model could not be made. */
  void (*probe)(char* name, size_t name_bytes, ms_error* error);
  ms_model* (*model_create)(const ms_config*, const ms_lora*, const ms_device_options*,
                            ms_error* error);
  void (*model_destroy)(ms_model*);
  void (*device_name)(const ms_model*, char* name, size_t name_bytes);
  void (*memory_report)(const ms_model*, char* text, size_t text_bytes);
  void (*read)(ms_model*, int32_t arena, uint64_t offset, uint64_t count, float* out,
               ms_error* error);
  void (*write)(ms_model*, int32_t arena, uint64_t offset, uint64_t count, const float* values,
                ms_error* error);
  void (*set_version)(ms_model*, int64_t version, ms_error* error);
  ms_result (*accumulate)(ms_model*, const ms_batch*, const ms_loss*, float* log_probs,
                          float* entropies, ms_error* error);
  /* adapter 0: without it, as the frozen model. */
  void (*score)(ms_model*, const ms_batch*, int32_t adapter, float* log_probs, float* entropies,
                ms_error* error);
  double (*step)(ms_model*, const ms_adamw*, ms_error* error);
  ms_sampler* (*sampler_create)(ms_model*, int32_t max_sequences, int32_t max_context_tokens,
                                ms_error* error);
  void (*sampler_destroy)(ms_sampler*);
  int32_t (*open)(ms_sampler*, const int32_t* tokens, int32_t count, uint32_t key0, uint32_t key1,
                  ms_error* error);
  void (*append)(ms_sampler*, int32_t sequence, const int32_t* tokens, int32_t count,
                 ms_error* error);
  void (*generate)(ms_sampler*, int32_t sequence, const ms_request*, ms_error* error);
  void (*cancel)(ms_sampler*, int32_t sequence, ms_error* error);
  void (*close)(ms_sampler*, int32_t sequence, ms_error* error);
  /* 1 where there was something to do. */
  int32_t (*sampler_step)(ms_sampler*, ms_error* error);
  /* The next turn that has ended; 0 when there is none. */
  int32_t (*take_finished)(ms_sampler*, ms_generated* out);
} ms_cuda_api;

/* The only exported name. */
const ms_cuda_api* masksearch_cuda_api(void);

#ifdef __cplusplus
}
#endif

#endif
