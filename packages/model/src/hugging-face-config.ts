// Reads and writes Hugging Face's config.json of the families that the decoder covers: Qwen2, Qwen3, Llama.
import { ConfigError } from '@masksearch/core';
import {
  boolean,
  describe,
  expectOneOf,
  integer,
  isAbsent,
  isOff,
  number,
  type Json,
} from './config-fields.ts';
import { checkDecoderConfig, type DecoderConfig } from './decoder-config.ts';
import { readRope, writeRope } from './rope-config.ts';

/** How a family differs from the others. */
interface Family {
  readonly modelType: string;
  readonly architecture: string;
  /** Biases of q, k and v; those of the output projection, which Hugging Face's switch adds too, are not supported. */
  readonly attentionBias: boolean;
  readonly queryKeyNorm: boolean;
  /** Head width where `head_dim` is absent; the others divide the width by the heads. */
  readonly headWidth?: number;
  /** What transformers expects to be said, beside what all families have. */
  readonly keys: Json;
}

const families: readonly Family[] = [
  {
    modelType: 'qwen2',
    architecture: 'Qwen2ForCausalLM',
    attentionBias: true,
    queryKeyNorm: false,
    keys: { use_sliding_window: false },
  },
  {
    modelType: 'qwen3',
    architecture: 'Qwen3ForCausalLM',
    attentionBias: false,
    queryKeyNorm: true,
    headWidth: 128,
    keys: { attention_bias: false, use_sliding_window: false },
  },
  {
    modelType: 'llama',
    architecture: 'LlamaForCausalLM',
    attentionBias: false,
    queryKeyNorm: false,
    keys: { attention_bias: false, mlp_bias: false },
  },
];

/** Keys that change nothing about what a decoder computes from tokens. */
const harmless = new Set([
  '_name_or_path',
  'auto_map',
  'bos_token_id',
  'dtype',
  'eos_token_id',
  'id2label',
  'initializer_range',
  'label2id',
  'max_window_layers', // read only when a sliding window is in use
  'pad_token_id',
  'pretraining_tp', // how Llama's matrices are sliced; the result is the same
  'sliding_window', // read only with use_sliding_window, which is refused
  'tokenizer_class',
  'torch_dtype',
  'transformers_version',
  'use_cache',
]);

/** Of those, what stays true of a model after training and is worth carrying to its new folder. */
const carried = ['bos_token_id', 'eos_token_id', 'pad_token_id'] as const;

/** Keys of a config.json that say nothing about shapes and belong to the model wherever it goes. */
export function carriedKeys(json: unknown): Record<string, unknown> {
  if (typeof json !== 'object' || json === null) return {};
  const source = json as Json;
  return Object.fromEntries(
    carried.filter((key) => Object.hasOwn(source, key)).map((key) => [key, source[key]]),
  );
}

/** Keys that `parseDecoderConfig` reads. */
const known = new Set([
  'architectures',
  'attention_bias',
  'attention_dropout',
  'head_dim',
  'hidden_act',
  'hidden_size',
  'intermediate_size',
  'layer_types',
  'max_position_embeddings',
  'mlp_bias',
  'model_type',
  'num_attention_heads',
  'num_hidden_layers',
  'num_key_value_heads',
  'rms_norm_eps',
  'rope_parameters',
  'rope_scaling',
  'rope_theta',
  'tie_word_embeddings',
  'use_sliding_window',
  'vocab_size',
]);

/**
 * Reads a config.json, of transformers 4 (`rope_theta`) or 5 (`rope_parameters`).
 * A key that is not known is accepted only when it is off (null, false, 0, empty).
 *
 * @param json  The parsed file.
 * @param where Its name, for messages.
 * @throws {ConfigError} A key is missing or malformed, or asks for something that would change the
 *   result and is not supported here: another architecture or activation, rope scaling other
 *   than `llama3`, a sliding window in use, biases elsewhere, dropout, quantisation, …
 */
export function parseDecoderConfig(json: unknown, where = 'config.json'): DecoderConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConfigError(`${where}: expected a JSON object, received ${describe(json)}.`);
  }
  const source = json as Json;
  const family = readFamily(source, where);
  refuseUnsupported(source, where);
  const width = integer(source, 'hidden_size', where);
  const heads = integer(source, 'num_attention_heads', where);
  const config: DecoderConfig = {
    vocabularySize: integer(source, 'vocab_size', where),
    width,
    layers: integer(source, 'num_hidden_layers', where),
    heads,
    keyValueHeads: integer(source, 'num_key_value_heads', where),
    headWidth: isAbsent(source['head_dim'])
      ? (family.headWidth ?? width / heads)
      : integer(source, 'head_dim', where),
    feedForwardWidth: integer(source, 'intermediate_size', where),
    ...readRope(source, where),
    normEpsilon: number(source, 'rms_norm_eps', where),
    maxPositions: integer(source, 'max_position_embeddings', where),
    attentionBias: family.attentionBias,
    tiedEmbeddings: isAbsent(source['tie_word_embeddings'])
      ? false
      : boolean(source, 'tie_word_embeddings', where),
    ...(family.queryKeyNorm ? { queryKeyNorm: true } : {}),
  };
  checkDecoderConfig(config, where);
  return config;
}

/**
 * The config.json of a decoder, readable by transformers 4 and 5 and by `parseDecoderConfig`.
 * @throws {ConfigError} as `checkDecoderConfig`, or no family is of this form.
 */
export function writeDecoderConfig(
  config: DecoderConfig,
  dtype: 'float32' | 'bfloat16' | 'float16' = 'float32',
): Record<string, unknown> {
  checkDecoderConfig(config, 'writeDecoderConfig');
  const { queryKeyNorm = false } = config;
  const family = families.find(
    (candidate) =>
      candidate.attentionBias === config.attentionBias && candidate.queryKeyNorm === queryKeyNorm,
  );
  if (family === undefined) {
    throw new ConfigError(
      'writeDecoderConfig: expected attentionBias or queryKeyNorm, received both; no family has them together.',
    );
  }
  return {
    ...family.keys,
    architectures: [family.architecture],
    attention_dropout: 0,
    dtype,
    head_dim: config.headWidth,
    hidden_act: 'silu',
    hidden_size: config.width,
    initializer_range: 0.02,
    intermediate_size: config.feedForwardWidth,
    max_position_embeddings: config.maxPositions,
    model_type: family.modelType,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.keyValueHeads,
    rms_norm_eps: config.normEpsilon,
    ...writeRope(config),
    tie_word_embeddings: config.tiedEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    vocab_size: config.vocabularySize,
  };
}

function readFamily(source: Json, where: string): Family {
  const type = source['model_type'];
  const family = families.find(({ modelType }) => modelType === type);
  if (family === undefined) {
    const known = families.map(({ modelType }) => `"${modelType}"`).join(', ');
    throw new ConfigError(
      `${where}: expected model_type to be one of ${known}, received ${describe(type)}.`,
    );
  }
  const architectures = source['architectures'];
  if (!isAbsent(architectures) && JSON.stringify(architectures) !== `["${family.architecture}"]`) {
    throw new ConfigError(
      `${where}: expected architectures ["${family.architecture}"] for model_type "${family.modelType}", received ${describe(architectures)}.`,
    );
  }
  expectOneOf(source, 'attention_bias', [family.attentionBias], where);
  expectOneOf(source, 'mlp_bias', [false], where);
  return family;
}

function refuseUnsupported(source: Json, where: string): void {
  if (source['hidden_act'] !== 'silu') {
    throw new ConfigError(
      `${where}: expected hidden_act "silu", received ${describe(source['hidden_act'])}.`,
    );
  }
  expectOneOf(source, 'use_sliding_window', [false], where);
  expectOneOf(source, 'attention_dropout', [0], where);
  const layerTypes = source['layer_types'];
  if (
    !isAbsent(layerTypes) &&
    !(Array.isArray(layerTypes) && layerTypes.every((type) => type === 'full_attention'))
  ) {
    throw new ConfigError(
      `${where}: expected layer_types to be all "full_attention", received ${describe(layerTypes)}.`,
    );
  }
  for (const [key, value] of Object.entries(source)) {
    if (!known.has(key) && !harmless.has(key) && !isOff(value)) {
      throw new ConfigError(
        `${where}: expected only keys of a plain Qwen2, Qwen3 or Llama decoder, received ${key} = ${describe(value)}; it may change the result and is not supported.`,
      );
    }
  }
}
