// Which parameters a decoder has: names and shapes as Hugging Face writes them, in one fixed order.
import { InputError } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import type { NamedTensor } from './language-model.ts';

/** One parameter of a decoder. A matrix is (outputs, inputs), as in y = x Wᵀ + b. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Weight decay applies: true for the matrices of the layers only. */
  readonly decayed: boolean;
}

export const EMBEDDINGS = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const HEAD = 'lm_head.weight';

/** Prefix of the parameters of layer `l`. */
export const layerPrefix = (l: number): string => `model.layers.${l}.`;

/** All parameters of a decoder, in the order of the checkpoint's modules. */
export function parameterSpecs(config: DecoderConfig): ParameterSpec[] {
  const { vocabularySize: V, width: C } = config;
  const specs = [vectorOrEmbedding(EMBEDDINGS, [V, C])];
  for (let l = 0; l < config.layers; l++) specs.push(...layerSpecs(config, layerPrefix(l)));
  specs.push(vectorOrEmbedding(FINAL_NORM, [C]));
  if (!config.tiedEmbeddings) specs.push(vectorOrEmbedding(HEAD, [V, C]));
  return specs;
}

function layerSpecs(config: DecoderConfig, prefix: string): ParameterSpec[] {
  const { width: C, headWidth: D, feedForwardWidth: F } = config;
  const queryWidth = config.heads * D;
  const keyWidth = config.keyValueHeads * D;
  const specs: ParameterSpec[] = [];
  const matrix = (name: string, shape: readonly number[]): void => {
    specs.push({ name: `${prefix}${name}.weight`, shape, decayed: true });
  };
  const vector = (name: string, length: number): void => {
    specs.push(vectorOrEmbedding(`${prefix}${name}`, [length]));
  };
  for (const [projection, width] of [
    ['q_proj', queryWidth],
    ['k_proj', keyWidth],
    ['v_proj', keyWidth],
  ] as const) {
    matrix(`self_attn.${projection}`, [width, C]);
    if (config.attentionBias) vector(`self_attn.${projection}.bias`, width);
  }
  matrix('self_attn.o_proj', [C, queryWidth]);
  if (config.queryKeyNorm === true) {
    vector('self_attn.q_norm.weight', D);
    vector('self_attn.k_norm.weight', D);
  }
  matrix('mlp.gate_proj', [F, C]);
  matrix('mlp.up_proj', [F, C]);
  matrix('mlp.down_proj', [C, F]);
  vector('input_layernorm.weight', C);
  vector('post_attention_layernorm.weight', C);
  return specs;
}

function vectorOrEmbedding(name: string, shape: readonly number[]): ParameterSpec {
  return { name, shape, decayed: false };
}

/** Number of elements of a tensor of this shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Number of weights of a decoder. */
export function parameterCount(config: DecoderConfig): number {
  return parameterSpecs(config).reduce((sum, spec) => sum + elementCount(spec.shape), 0);
}

/**
 * Puts tensors in the order of `parameterSpecs`, each exactly once.
 * @throws {InputError} A tensor is missing, unknown, given twice or of another shape.
 */
export function orderTensors(
  config: DecoderConfig,
  tensors: readonly NamedTensor[],
  where: string,
): NamedTensor[] {
  return orderBySpecs(parameterSpecs(config), tensors, where);
}

/** As `orderTensors`, for any parameters. */
export function orderBySpecs(
  specs: readonly ParameterSpec[],
  tensors: readonly NamedTensor[],
  where: string,
): NamedTensor[] {
  const byName = new Map<string, NamedTensor>();
  for (const tensor of tensors) {
    if (byName.has(tensor.name)) {
      throw new InputError(`${where}: expected ${tensor.name} once, received it twice.`);
    }
    byName.set(tensor.name, tensor);
  }
  const ordered = specs.map((spec) => {
    const tensor = byName.get(spec.name);
    if (tensor === undefined) {
      throw new InputError(
        `${where}: expected tensor ${spec.name} (${spec.shape.join(', ')}), received none.`,
      );
    }
    const shapesDiffer = tensor.shape.join() !== spec.shape.join();
    if (shapesDiffer || tensor.data.length !== elementCount(spec.shape)) {
      throw new InputError(
        `${where}: expected ${spec.name} to be (${spec.shape.join(', ')}), received (${tensor.shape.join(', ')}) with ${tensor.data.length} elements.`,
      );
    }
    byName.delete(spec.name);
    return tensor;
  });
  const [unknown] = byName.keys();
  if (unknown !== undefined) {
    throw new InputError(
      `${where}: expected only the parameters of this config, received ${unknown} too.`,
    );
  }
  return ordered;
}
