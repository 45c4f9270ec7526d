// The whole decoder in float64 plain loops: what every other implementation is compared with.
import type { DecoderConfig } from '../decoder-config.ts';
import { sequencesOf, type PackedSequence } from '../labels.ts';
import type { NamedTensor, PackedBatch, TokenLoss } from '../language-model.ts';
import { EMBEDDINGS, FINAL_NORM, HEAD, layerPrefix } from '../parameters.ts';
import { rotaryFrequencies } from '../rotary-frequencies.ts';
import { evaluateTokenLoss } from '../token-loss.ts';
import { causalAttention, labelScores, linear, rmsNorm, rotary, swiGlu } from './operations.ts';

/** Tensors by Hugging Face name, row-major float64. */
export type ReferenceTensors = Map<string, Float64Array>;

export interface ReferenceScores {
  /** (T) nats; 0 where not labelled. */
  readonly logProbs: Float64Array;
  /** (T) nats; 0 where not labelled. */
  readonly entropies: Float64Array;
}

export interface ReferenceResult extends ReferenceScores {
  readonly loss: number;
  readonly clippedLow: number;
  readonly clippedHigh: number;
  readonly gradients: ReferenceTensors;
}

/** Tensors of a model, widened. */
export function toReference(tensors: readonly NamedTensor[]): ReferenceTensors {
  return new Map(tensors.map(({ name, data }) => [name, Float64Array.from(data)]));
}

/** Log-probability and entropy of every labelled token of a packed batch. */
export function referenceScore(
  config: DecoderConfig,
  weights: ReferenceTensors,
  batch: PackedBatch,
): ReferenceScores {
  const scores = emptyScores(batch);
  for (const sequence of sequencesOf(batch)) {
    write(scores, sequence, forward(config, weights, sequence));
  }
  return scores;
}

/** Loss of a packed batch and its gradient by every parameter. */
export function referenceAccumulate(
  config: DecoderConfig,
  weights: ReferenceTensors,
  batch: PackedBatch,
  loss: TokenLoss,
): ReferenceResult {
  const result = { ...emptyScores(batch), loss: 0, clippedLow: 0, clippedHigh: 0 };
  const gradients: ReferenceTensors = new Map();
  for (const [name, data] of weights) gradients.set(name, new Float64Array(data.length));
  for (const sequence of sequencesOf(batch)) {
    const pass = forward(config, weights, sequence);
    write(result, sequence, pass);
    const part = evaluateTokenLoss(loss, {
      positions: sequence.labels.map((t) => sequence.start + t),
      logProbs: pass.logProbs,
      entropies: pass.entropies,
    });
    pass.backward(part.dLogProbs, part.dEntropies, gradients);
    result.loss += part.loss;
    result.clippedLow += part.clippedLow;
    result.clippedHigh += part.clippedHigh;
  }
  return { ...result, gradients };
}

interface ForwardPass {
  /** (n) one per label. */
  readonly logProbs: Float64Array;
  readonly entropies: Float64Array;
  /** Adds to `gradients`. */
  readonly backward: (
    dLogProbs: Float64Array,
    dEntropies: Float64Array,
    gradients: ReferenceTensors,
  ) => void;
}

function forward(
  config: DecoderConfig,
  weights: ReferenceTensors,
  { tokens, labels }: PackedSequence,
): ForwardPass {
  const { width: C, normEpsilon } = config;
  const embeddings = weights.get(EMBEDDINGS)!;
  let hidden: Float64Array = new Float64Array(tokens.length * C);
  tokens.forEach((token, t) => hidden.set(embeddings.subarray(token * C, (token + 1) * C), t * C));
  const layers: LayerPass[] = [];
  for (let l = 0; l < config.layers; l++) {
    const layer = layerForward(config, weights, layerPrefix(l), hidden);
    layers.push(layer);
    hidden = layer.y;
  }
  const final = rmsNorm(hidden, weights.get(FINAL_NORM)!, normEpsilon);
  const headName = config.tiedEmbeddings ? EMBEDDINGS : HEAD;
  const selected = new Float64Array(labels.length * C);
  labels.forEach((t, i) => selected.set(final.y.subarray((t - 1) * C, t * C), i * C));
  const targets = labels.map((t) => tokens[t]!);
  const scores = labelScores(selected, weights.get(headName)!, targets, C);

  const backward: ForwardPass['backward'] = (dLogProbs, dEntropies, gradients) => {
    const head = scores.backward(dLogProbs, dEntropies);
    add(gradients, headName, head.dWeight);
    const dFinal = new Float64Array(final.y.length);
    labels.forEach((t, i) => dFinal.set(head.dHidden.subarray(i * C, (i + 1) * C), (t - 1) * C));
    const normed = final.backward(dFinal);
    add(gradients, FINAL_NORM, normed.dWeight);
    let dHidden = normed.dX;
    for (const layer of layers.toReversed()) dHidden = layer.backward(dHidden, gradients);
    const dEmbeddings = gradients.get(EMBEDDINGS)!;
    tokens.forEach((token, t) => {
      for (let c = 0; c < C; c++) dEmbeddings[token * C + c]! += dHidden[t * C + c]!;
    });
  };
  return { logProbs: scores.logProbs, entropies: scores.entropies, backward };
}

interface LayerPass {
  readonly y: Float64Array;
  /** Returns the gradient of the layer's input and adds those of its parameters. */
  readonly backward: (dY: Float64Array, gradients: ReferenceTensors) => Float64Array;
}

function layerForward(
  config: DecoderConfig,
  weights: ReferenceTensors,
  prefix: string,
  x: Float64Array,
): LayerPass {
  const attention = attentionForward(config, weights, prefix, x);
  const middle = sum(x, attention.y);
  const feedForward = feedForwardForward(config, weights, prefix, middle);
  return {
    y: sum(middle, feedForward.y),
    backward: (dY, gradients) => {
      const dMiddle = sum(dY, feedForward.backward(dY, gradients));
      return sum(dMiddle, attention.backward(dMiddle, gradients));
    },
  };
}

function attentionForward(
  config: DecoderConfig,
  weights: ReferenceTensors,
  prefix: string,
  x: Float64Array,
): LayerPass {
  const { width: C, heads: H, keyValueHeads: K, headWidth: D } = config;
  const frequencies = rotaryFrequencies(config);
  const positions = Int32Array.from({ length: x.length / C }, (_, t) => t);
  const normName = `${prefix}input_layernorm.weight`;
  const norm = rmsNorm(x, weights.get(normName)!, config.normEpsilon);
  const project = (name: string) => {
    const matrix = `${prefix}self_attn.${name}.weight`;
    const bias = `${prefix}self_attn.${name}.bias`;
    const pass = linear(norm.y, weights.get(matrix)!, weights.get(bias), C);
    const backward = (dY: Float64Array, gradients: ReferenceTensors): Float64Array => {
      const { dX, dWeight, dBias } = pass.backward(dY);
      add(gradients, matrix, dWeight);
      if (config.attentionBias) add(gradients, bias, dBias);
      return dX;
    };
    return { y: pass.y, backward };
  };
  const [q, k, v] = [project('q_proj'), project('k_proj'), project('v_proj')];
  const normedQ = queryKeyNorm(config, weights, `${prefix}self_attn.q_norm.weight`, q);
  const normedK = queryKeyNorm(config, weights, `${prefix}self_attn.k_norm.weight`, k);
  const turnedQ = rotary(normedQ.y, positions, { heads: H, frequencies });
  const turnedK = rotary(normedK.y, positions, { heads: K, frequencies });
  const mixed = causalAttention(turnedQ.y, turnedK.y, v.y, { H, K, D });
  const outName = `${prefix}self_attn.o_proj.weight`;
  const out = linear(mixed.y, weights.get(outName)!, undefined, H * D);
  return {
    y: out.y,
    backward: (dY, gradients) => {
      const { dX: dMixed, dWeight } = out.backward(dY);
      add(gradients, outName, dWeight);
      const { dQ, dK, dV } = mixed.backward(dMixed);
      const byQ = normedQ.backward(turnedQ.backward(dQ).dX, gradients);
      const byK = normedK.backward(turnedK.backward(dK).dX, gradients);
      const normed = norm.backward(sum(sum(byQ, byK), v.backward(dV, gradients)));
      add(gradients, normName, normed.dWeight);
      return normed.dX;
    },
  };
}

/** A projection, and the norm of each of its heads where the config asks for one. */
function queryKeyNorm(
  config: DecoderConfig,
  weights: ReferenceTensors,
  name: string,
  projection: LayerPass,
): LayerPass {
  if (config.queryKeyNorm !== true) return projection;
  const norm = rmsNorm(projection.y, weights.get(name)!, config.normEpsilon);
  return {
    y: norm.y,
    backward: (dY, gradients) => {
      const { dX, dWeight } = norm.backward(dY);
      add(gradients, name, dWeight);
      return projection.backward(dX, gradients);
    },
  };
}

function feedForwardForward(
  { width: C, feedForwardWidth: F, normEpsilon }: DecoderConfig,
  weights: ReferenceTensors,
  prefix: string,
  x: Float64Array,
): LayerPass {
  const normName = `${prefix}post_attention_layernorm.weight`;
  const matrix = (name: string): string => `${prefix}mlp.${name}.weight`;
  const norm = rmsNorm(x, weights.get(normName)!, normEpsilon);
  const gate = linear(norm.y, weights.get(matrix('gate_proj'))!, undefined, C);
  const up = linear(norm.y, weights.get(matrix('up_proj'))!, undefined, C);
  const active = swiGlu(gate.y, up.y);
  const down = linear(active.y, weights.get(matrix('down_proj'))!, undefined, F);
  return {
    y: down.y,
    backward: (dY, gradients) => {
      const byDown = down.backward(dY);
      const { dGate, dUp } = active.backward(byDown.dX);
      const byGate = gate.backward(dGate);
      const byUp = up.backward(dUp);
      const normed = norm.backward(sum(byGate.dX, byUp.dX));
      add(gradients, matrix('down_proj'), byDown.dWeight);
      add(gradients, matrix('gate_proj'), byGate.dWeight);
      add(gradients, matrix('up_proj'), byUp.dWeight);
      add(gradients, normName, normed.dWeight);
      return normed.dX;
    },
  };
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return Float64Array.from(a, (value, i) => value + b[i]!);
}

function add(gradients: ReferenceTensors, name: string, values: Float64Array): void {
  const gradient = gradients.get(name)!;
  for (let i = 0; i < values.length; i++) gradient[i]! += values[i]!;
}

function emptyScores({ tokens }: PackedBatch): ReferenceScores {
  return {
    logProbs: new Float64Array(tokens.length),
    entropies: new Float64Array(tokens.length),
  };
}

function write(scores: ReferenceScores, sequence: PackedSequence, pass: ForwardPass): void {
  sequence.labels.forEach((t, i) => {
    scores.logProbs[sequence.start + t] = pass.logProbs[i]!;
    scores.entropies[sequence.start + t] = pass.entropies[i]!;
  });
}
