// The decoder in plain tfjs ops: Qwen2, Qwen3 or Llama 3 over one sequence. Runs on every tfjs backend.
import * as tf from '@tensorflow/tfjs-core';
import type { Rank, Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { DecoderConfig } from '../decoder-config.ts';
import { EMBEDDINGS, FINAL_NORM, HEAD, layerPrefix } from '../parameters.ts';
import { rotaryFrequencies } from '../rotary-frequencies.ts';
import { adapt, type AdapterPass } from './adapt.ts';

/** Weights by Hugging Face name, and those of an adapter by PEFT's. */
export type Weights = ReadonlyMap<string, Tensor>;

/** A decoder as it is passed through. */
export interface Network {
  readonly config: DecoderConfig;
  readonly weights: Weights;
  /** Absent or switched off: the weights alone. */
  readonly adapter?: AdapterPass;
}

/** One layer's tensors and its share of the adapter. */
interface Layer {
  readonly weight: (name: string) => Tensor;
  /** The matrix `<module>.weight` and what the adapter adds to it. */
  readonly project: (module: string, x: Tensor2D) => Tensor2D;
}

/**
 * Hidden states after the final norm.
 * @param tokens (T) ids of one sequence; its first token has position 0.
 * @returns (T, C) float32.
 */
export function decode(network: Network, tokens: Int32Array): Tensor2D {
  const { config, weights } = network;
  const T = tokens.length;
  const rotary = rotaryTables(config, T);
  const mask = causalMask(T);
  let hidden = rowsOf(weight<Tensor2D>(weights, EMBEDDINGS), tokens); // (T, C)
  for (let l = 0; l < config.layers; l++) {
    const layer = layerOf(network, l);
    const attended = attention(
      config,
      layer,
      rmsNorm(hidden, layer.weight('input_layernorm.weight'), config.normEpsilon),
      { rotary, mask },
    );
    hidden = tf.add(hidden, attended);
    const fed = feedForward(
      layer,
      rmsNorm(hidden, layer.weight('post_attention_layernorm.weight'), config.normEpsilon),
    );
    hidden = tf.add(hidden, fed);
  }
  return rmsNorm(hidden, weight(weights, FINAL_NORM), config.normEpsilon);
}

/**
 * Log-probabilities of every token of the vocabulary after each hidden state.
 * @param hidden (N, C) float32.
 * @param temperature > 0; divides the logits.
 * @returns (N, V) float32, nats.
 */
export function vocabularyLogProbs(
  { config, weights }: Network,
  hidden: Tensor2D,
  temperature = 1,
): Tensor2D {
  const head = weight<Tensor2D>(weights, config.tiedEmbeddings ? EMBEDDINGS : HEAD);
  const logits = tf.matMul<Tensor2D>(hidden, head, false, true); // (N, V)
  return tf.logSoftmax(temperature === 1 ? logits : tf.div(logits, temperature));
}

/**
 * Log-probability and entropy (nats) of labelled tokens, each predicted from the token before it.
 * @param hidden (T, C) as `decode` returns it.
 * @param labels (n) indices in 1..T-1 of the labelled tokens.
 * @returns two (n) float32 tensors.
 */
export function scoreLabels(
  network: Network,
  hidden: Tensor2D,
  sequence: { readonly tokens: Int32Array; readonly labels: Int32Array },
): { logProbs: Tensor1D; entropies: Tensor1D } {
  const before = sequence.labels.map((t) => t - 1);
  const all = vocabularyLogProbs(network, rowsOf(hidden, before)); // (n, V)
  const targets = sequence.labels.map((t) => sequence.tokens[t] as number);
  const chosen = tf.mul(all, oneHot(targets, network.config.vocabularySize));
  return {
    logProbs: tf.sum<Tensor1D>(chosen, -1),
    entropies: tf.neg(tf.sum<Tensor1D>(tf.mul(tf.exp(all), all), -1)),
  };
}

// Rows by a product with one-hot vectors: exact, and unlike gather it has a gradient on every backend.
function rowsOf(matrix: Tensor2D, indices: Int32Array): Tensor2D {
  return tf.matMul(oneHot(indices, matrix.shape[0]), matrix);
}

function oneHot(indices: Int32Array, depth: number): Tensor2D {
  const data = new Float32Array(indices.length * depth);
  indices.forEach((index, n) => (data[n * depth + index] = 1));
  return tf.tensor2d(data, [indices.length, depth]);
}

/** Over the last dimension, whose size is that of `scale`. */
function rmsNorm<R extends Tensor2D | Tensor3D>(x: R, scale: Tensor, epsilon: number): R {
  const meanSquare = tf.mean(tf.square(x), -1, true); // (…, 1)
  return tf.mul<R>(tf.mul(x, tf.rsqrt(tf.add(meanSquare, epsilon))), scale);
}

interface Positions {
  readonly rotary: { readonly cos: Tensor2D; readonly sin: Tensor2D }; // (T, D/2) each
  readonly mask: Tensor2D; // (T, T)
}

/** Grouped-query attention: query heads H in K groups, each with its own key and value head. */
function attention(
  config: DecoderConfig,
  layer: Layer,
  x: Tensor2D, // (T, C)
  { rotary, mask }: Positions,
): Tensor2D {
  const { heads: H, keyValueHeads: K, headWidth: D, attentionBias, normEpsilon } = config;
  const T = x.shape[0];
  const project = (name: string, heads: number): Tensor3D => {
    const product = layer.project(`self_attn.${name}`, x);
    const y = attentionBias ? tf.add(product, layer.weight(`self_attn.${name}.bias`)) : product;
    return tf.transpose(tf.reshape(y, [T, heads, D]), [1, 0, 2]); // (heads, T, D)
  };
  const normed = (y: Tensor3D, name: string): Tensor3D =>
    config.queryKeyNorm === true
      ? rmsNorm(y, layer.weight(`self_attn.${name}.weight`), normEpsilon)
      : y;
  const q = rotate(normed(project('q_proj', H), 'q_norm'), rotary);
  const k = rotate(normed(project('k_proj', K), 'k_norm'), rotary);
  const v = project('v_proj', K);
  const grouped = tf.reshape(q, [K, (H / K) * T, D]);
  const scores = tf.mul(tf.matMul(grouped, k, false, true), 1 / Math.sqrt(D)); // (K, H/K·T, T)
  const masked = tf.add(tf.reshape(scores, [K, H / K, T, T]), mask);
  const probabilities = tf.reshape(tf.softmax(masked), [K, (H / K) * T, T]);
  const mixed = tf.reshape(tf.matMul(probabilities, v), [H, T, D]);
  const joined = tf.reshape<Rank.R2>(tf.transpose(mixed, [1, 0, 2]), [T, H * D]);
  return layer.project('self_attn.o_proj', joined);
}

/** SwiGLU: down(silu(gate(x)) · up(x)). */
function feedForward(layer: Layer, x: Tensor2D): Tensor2D {
  const gate = layer.project('mlp.gate_proj', x);
  const up = layer.project('mlp.up_proj', x);
  const active = tf.mul<Tensor2D>(tf.mul(gate, tf.sigmoid(gate)), up);
  return layer.project('mlp.down_proj', active);
}

function layerOf({ weights, adapter }: Network, l: number): Layer {
  const get = (name: string): Tensor => weight(weights, layerPrefix(l) + name);
  return {
    weight: get,
    project: (module, x) => {
      const y = linear(x, get(`${module}.weight`));
      return adapter === undefined ? y : adapt(adapter, weights, { l, module }, x, y);
    },
  };
}

/** x Wᵀ. */
export function linear(x: Tensor2D, matrix: Tensor): Tensor2D {
  return tf.matMul(x, matrix, false, true);
}

/** Turns the pairs (i, i + D/2) by angles that grow with the position. */
function rotate(x: Tensor3D, { cos, sin }: Positions['rotary']): Tensor3D {
  const [heads, T, D] = x.shape;
  const first = tf.slice(x, [0, 0, 0], [heads, T, D / 2]);
  const second = tf.slice(x, [0, 0, D / 2], [heads, T, D / 2]);
  return tf.concat<Tensor3D>(
    [
      tf.sub(tf.mul(first, cos), tf.mul(second, sin)),
      tf.add(tf.mul(second, cos), tf.mul(first, sin)),
    ],
    -1,
  );
}

function rotaryTables(config: DecoderConfig, T: number): Positions['rotary'] {
  const frequencies = rotaryFrequencies(config);
  const half = frequencies.length;
  const cos = new Float32Array(T * half);
  const sin = new Float32Array(T * half);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < half; i++) {
      const angle = t * (frequencies[i] as number);
      cos[t * half + i] = Math.cos(angle);
      sin[t * half + i] = Math.sin(angle);
    }
  }
  return { cos: tf.tensor2d(cos, [T, half]), sin: tf.tensor2d(sin, [T, half]) };
}

function causalMask(T: number): Tensor2D {
  const data = new Float32Array(T * T);
  for (let t = 0; t < T; t++) data.fill(-Infinity, t * T + t + 1, (t + 1) * T);
  return tf.tensor2d(data, [T, T]);
}

function weight<R extends Tensor = Tensor>(weights: Weights, name: string): R {
  return weights.get(name) as R;
}
