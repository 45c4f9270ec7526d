// Starting weights with an induction circuit in them, so that copying need not be discovered first.
import { InputError, RandomStream } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import { initializeWeights } from './initialize-weights.ts';
import type { NamedTensor } from './language-model.ts';
import { rotaryFrequencies } from './rotary-frequencies.ts';

/** Matrices are this much wider than Hugging Face's 0.02, which is meant for far wider models. */
const MATRIX_SCALE = 3;
/** What writes into the residual stream starts small, so that it does not drown the circuit. */
const RESIDUAL_SCALE = 0.5;
/** Strength of the previous-token head's biases: its attention has to be sharp from the start. */
const POSITION_STRENGTH = 6.5;
/** What the previous-token head writes, relative to a normalised token. */
const WRITE_STRENGTH = 0.025;
/** Sharpness of the match between a token and the predecessors of earlier tokens. */
const MATCH_STRENGTH = 0.7;
/** What the matching head writes. */
const COPY_STRENGTH = 0.2;

/**
 * Random weights of a small decoder in which, for each key/value head, layer 0 has a head that hands
 * every token the features of the one before it, and layer 1 a head that looks for the places where
 * the current token came before and adds what followed it there: an induction circuit
 * (arXiv:2209.11895). All else is random, and everything is trained from there on.
 *
 * @throws {InputError} the config has fewer than two layers or no attention biases.
 */
export function initializeInduction(config: DecoderConfig, seed: number): NamedTensor[] {
  if (config.layers < 2 || !config.attentionBias) {
    throw new InputError(
      `initializeInduction: expected at least 2 layers and attention biases, received ${config.layers} layers and attentionBias ${config.attentionBias}.`,
    );
  }
  const tensors = initializeWeights(config, seed);
  for (const { name, shape, data } of tensors) {
    if (shape.length === 2) {
      const scale = /(o_proj|down_proj)/.test(name) ? RESIDUAL_SCALE : MATRIX_SCALE;
      for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) * scale;
    }
  }
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
  for (let g = 0; g < config.keyValueHeads; g++) writeCircuit(byName, config, g, seed);
  return tensors;
}

/** Uses the first query head of group `g` in layers 0 and 1. */
function writeCircuit(
  tensors: ReadonlyMap<string, Float32Array>,
  config: DecoderConfig,
  g: number,
  seed: number,
): void {
  const { width: C, heads, keyValueHeads, headWidth: D } = config;
  const h = g * (heads / keyValueHeads);
  const features = (part: string): Float32Array =>
    randomMatrix(D * C, 1 / Math.sqrt(D), new RandomStream('induction', seed, g, part));
  const token = slowDimensionsOnly(features('token'), config);
  const slot = slowDimensionsOnly(features('slot'), config);
  const content = features('content');
  const weight = (layer: number, part: string): Float32Array => {
    const data = tensors.get(`model.layers.${layer}.self_attn.${part}`);
    if (!data) throw new InputError(`initializeInduction: expected tensor ${part}, found none.`);
    return data;
  };
  // Layer 0: attend to the token before, write its features where `slot` reads.
  for (const [i, theta] of rotaryFrequencies(config).entries()) {
    weight(0, 'k_proj.bias')[g * D + i] = POSITION_STRENGTH;
    weight(0, 'q_proj.bias')[h * D + i] = POSITION_STRENGTH * Math.cos(theta);
    weight(0, 'q_proj.bias')[h * D + D / 2 + i] = -POSITION_STRENGTH * Math.sin(theta);
  }
  setRows(weight(0, 'v_proj.weight'), g * D, C, token, 1);
  setColumns(weight(0, 'o_proj.weight'), h * D, config, slot, WRITE_STRENGTH);
  // Layer 1: match the current token with predecessors, write the token found.
  setRows(weight(1, 'q_proj.weight'), h * D, C, token, MATCH_STRENGTH);
  setRows(weight(1, 'k_proj.weight'), g * D, C, slot, MATCH_STRENGTH);
  setRows(weight(1, 'v_proj.weight'), g * D, C, content, 1);
  setColumns(weight(1, 'o_proj.weight'), h * D, config, content, COPY_STRENGTH);
}

function randomMatrix(count: number, deviation: number, random: RandomStream): Float32Array {
  return Float32Array.from({ length: count }, () => deviation * random.normal());
}

/** Zeroes the dimensions that the rotary embedding turns fast: a match must not depend on distance. */
function slowDimensionsOnly(
  matrix: Float32Array,
  { width: C, headWidth: D }: DecoderConfig,
): Float32Array {
  for (let i = 0; i < D; i++) {
    const isFast = i % (D / 2) < D / 4;
    if (isFast) matrix.fill(0, i * C, (i + 1) * C);
  }
  return matrix;
}

/** target[(start + i), c] = scale · rows[i, c] */
function setRows(
  target: Float32Array,
  start: number,
  C: number,
  rows: Float32Array,
  scale: number,
): void {
  rows.forEach((value, i) => {
    target[start * C + i] = scale * value;
  });
}

/** target[c, start + i] = scale · rows[i, c]; target is (C, H·D). */
function setColumns(
  target: Float32Array,
  start: number,
  { width: C, heads, headWidth: D }: DecoderConfig,
  rows: Float32Array,
  scale: number,
): void {
  for (let i = 0; i < D; i++) {
    for (let c = 0; c < C; c++)
      target[c * heads * D + start + i] = scale * (rows[i * C + c] as number);
  }
}
