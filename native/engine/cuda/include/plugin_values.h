// Copies between the engine's structures and the plug-in's plain ones, which name their members
// alike, in either direction.
#pragma once

#include "cuda_plugin.h"
#include "engine.h"

namespace masksearch {

template <class From, class To>
void copy_config(const From& from, To* to) {
  to->vocabulary_size = from.vocabulary_size;
  to->width = from.width;
  to->layers = from.layers;
  to->heads = from.heads;
  to->key_value_heads = from.key_value_heads;
  to->head_width = from.head_width;
  to->feed_forward_width = from.feed_forward_width;
  to->max_positions = from.max_positions;
  to->rope_theta = from.rope_theta;
  to->norm_epsilon = from.norm_epsilon;
  to->rope_scaling.factor = from.rope_scaling.factor;
  to->rope_scaling.low_frequency_factor = from.rope_scaling.low_frequency_factor;
  to->rope_scaling.high_frequency_factor = from.rope_scaling.high_frequency_factor;
  to->rope_scaling.original_max_positions = from.rope_scaling.original_max_positions;
  to->attention_bias = from.attention_bias != 0;
  to->tied_embeddings = from.tied_embeddings != 0;
  to->query_key_norm = from.query_key_norm != 0;
}

static_assert(int(kLoraTargets) == int(MS_LORA_TARGETS));

template <class From, class To>
void copy_lora(const From& from, To* to) {
  to->rank = from.rank;
  to->alpha = from.alpha;
  to->dropout = from.dropout;
  to->seed = from.seed;
  for (int target = 0; target < kLoraTargets; target++)
    to->targets[target] = from.targets[target] != 0;
}

template <class From, class To>
void copy_batch(const From& from, To* to) {
  to->tokens = from.tokens;
  to->offsets = from.offsets;
  to->loss_mask = from.loss_mask;
  to->token_count = from.token_count;
  to->sequence_count = from.sequence_count;
}

// All but `custom`, which is called in different ways.
template <class From, class To>
void copy_loss(const From& from, To* to) {
  to->kind = static_cast<decltype(to->kind)>(from.kind);
  to->scale = from.scale;
  to->weights = from.weights;
  to->old_log_probs = from.old_log_probs;
  to->advantages = from.advantages;
  to->importance_weights = from.importance_weights;
  to->clip_low = from.clip_low;
  to->clip_high = from.clip_high;
  to->dual_clip = from.dual_clip;
  to->entropy_coefficient = from.entropy_coefficient;
}

template <class From, class To>
void copy_adamw(const From& from, To* to) {
  to->learning_rate = from.learning_rate;
  to->beta1 = from.beta1;
  to->beta2 = from.beta2;
  to->epsilon = from.epsilon;
  to->weight_decay = from.weight_decay;
  to->max_gradient_norm = from.max_gradient_norm;
}

}  // namespace masksearch
