// Reads and writes Hugging Face's config.json: Qwen2, and Llama without biases, which is Qwen2 without biases.
import { ConfigError } from '@masksearch/core';
import { checkDecoderConfig, type DecoderConfig } from './decoder-config.ts';

type Json = Readonly<Record<string, unknown>>;

/** Keys that change nothing about what a decoder computes from tokens. */
const harmless = new Set([
  '_name_or_path',
  'architectures',
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

/** Keys that `parseDecoderConfig` reads. */
const known = new Set([
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
 *   result and is not supported here: another model type or activation, rope scaling, a sliding
 *   window in use, dropout, quantisation, …
 */
export function parseDecoderConfig(json: unknown, where = 'config.json'): DecoderConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConfigError(`${where}: expected a JSON object, received ${describe(json)}.`);
  }
  const source = json as Json;
  const attentionBias = readArchitecture(source, where);
  refuseUnsupported(source, where);
  const width = integer(source, 'hidden_size', where);
  const heads = integer(source, 'num_attention_heads', where);
  const config: DecoderConfig = {
    vocabularySize: integer(source, 'vocab_size', where),
    width,
    layers: integer(source, 'num_hidden_layers', where),
    heads,
    keyValueHeads: integer(source, 'num_key_value_heads', where),
    headWidth: isAbsent(source['head_dim']) ? width / heads : integer(source, 'head_dim', where),
    feedForwardWidth: integer(source, 'intermediate_size', where),
    ropeTheta: readRopeTheta(source, where),
    normEpsilon: number(source, 'rms_norm_eps', where),
    maxPositions: integer(source, 'max_position_embeddings', where),
    attentionBias,
    tiedEmbeddings: isAbsent(source['tie_word_embeddings'])
      ? false
      : boolean(source, 'tie_word_embeddings', where),
  };
  checkDecoderConfig(config, where);
  return config;
}

/** The config.json of a decoder, readable by transformers 4 and 5 and by `parseDecoderConfig`. */
export function writeDecoderConfig(
  config: DecoderConfig,
  dtype: 'float32' | 'bfloat16' = 'float32',
): Record<string, unknown> {
  checkDecoderConfig(config, 'writeDecoderConfig');
  const architecture = config.attentionBias
    ? { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', use_sliding_window: false }
    : {
        architectures: ['LlamaForCausalLM'],
        model_type: 'llama',
        attention_bias: false,
        mlp_bias: false,
      };
  return {
    ...architecture,
    attention_dropout: 0,
    dtype,
    head_dim: config.headWidth,
    hidden_act: 'silu',
    hidden_size: config.width,
    initializer_range: 0.02,
    intermediate_size: config.feedForwardWidth,
    max_position_embeddings: config.maxPositions,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.keyValueHeads,
    rms_norm_eps: config.normEpsilon,
    rope_parameters: { rope_theta: config.ropeTheta, rope_type: 'default' },
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tiedEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    vocab_size: config.vocabularySize,
  };
}

/** Returns whether q, k and v have biases. */
function readArchitecture(source: Json, where: string): boolean {
  const type = source['model_type'];
  if (type === 'qwen2') {
    expectOneOf(source, 'attention_bias', [true], where);
    return true;
  }
  if (type === 'llama') {
    expectOneOf(source, 'attention_bias', [false], where);
    expectOneOf(source, 'mlp_bias', [false], where);
    return false;
  }
  throw new ConfigError(
    `${where}: expected model_type "qwen2" (or "llama" without biases), received ${describe(type)}.`,
  );
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
        `${where}: expected only keys of a plain Qwen2 decoder, received ${key} = ${describe(value)}; it may change the result and is not supported.`,
      );
    }
  }
}

function readRopeTheta(source: Json, where: string): number {
  const parameters = ropeObject(source, 'rope_parameters', where);
  ropeObject(source, 'rope_scaling', where);
  const old = isAbsent(source['rope_theta']) ? undefined : number(source, 'rope_theta', where);
  const now =
    parameters === undefined || isAbsent(parameters['rope_theta'])
      ? undefined
      : number(parameters, 'rope_theta', `${where}: rope_parameters`);
  if (old !== undefined && now !== undefined && old !== now) {
    throw new ConfigError(
      `${where}: expected rope_theta and rope_parameters.rope_theta to agree, received ${old} and ${now}.`,
    );
  }
  const theta = now ?? old;
  if (theta === undefined) {
    throw new ConfigError(`${where}: expected rope_theta or rope_parameters, received neither.`);
  }
  return theta;
}

/** An object of rope settings, which may say nothing but the type `default` and theta. */
function ropeObject(source: Json, key: string, where: string): Json | undefined {
  const value = source[key];
  if (isAbsent(value)) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(
      `${where}: expected ${key} to be an object, received ${describe(value)}.`,
    );
  }
  for (const [name, setting] of Object.entries(value as Json)) {
    const isType = name === 'rope_type' || name === 'type';
    if (isType ? setting !== 'default' : name !== 'rope_theta' && !isOff(setting)) {
      throw new ConfigError(
        `${where}: expected no rope scaling, received ${key}.${name} = ${describe(setting)}.`,
      );
    }
  }
  return value as Json;
}

function expectOneOf(source: Json, key: string, allowed: readonly unknown[], where: string): void {
  const value = source[key];
  if (!isAbsent(value) && !allowed.includes(value)) {
    throw new ConfigError(
      `${where}: expected ${key} to be ${describe(allowed[0])}, received ${describe(value)}; other values are not supported.`,
    );
  }
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isOff(value: unknown): boolean {
  if (isAbsent(value) || value === false || value === 0) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function number(source: Json, key: string, where: string): number {
  const value = source[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new ConfigError(`${where}: expected ${key} to be a number, received ${describe(value)}.`);
  }
  return value;
}

function integer(source: Json, key: string, where: string): number {
  const value = number(source, key, where);
  if (!Number.isSafeInteger(value)) {
    throw new ConfigError(`${where}: expected ${key} to be an integer, received ${value}.`);
  }
  return value;
}

function boolean(source: Json, key: string, where: string): boolean {
  const value = source[key];
  if (typeof value !== 'boolean') {
    throw new ConfigError(
      `${where}: expected ${key} to be true or false, received ${describe(value)}.`,
    );
  }
  return value;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
