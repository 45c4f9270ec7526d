// The losses of the port as plain numbers: value and gradient by each token's log-probability and entropy.
import { ShapeError } from '@masksearch/core';
import type { CrossEntropyLoss, DapoTokenLoss, TokenLoss } from './language-model.ts';

/** Labelled tokens of a batch, or a chunk of them. */
export interface LabelledTokens {
  /** (n) indices t into the batch. */
  readonly positions: Int32Array;
  /** (n) nats. */
  readonly logProbs: Float32Array | Float64Array;
  /** (n) nats. */
  readonly entropies: Float32Array | Float64Array;
}

export interface TokenLossResult {
  readonly loss: number;
  /** (n) derivative of the loss by each log-probability. */
  readonly dLogProbs: Float64Array;
  /** (n) derivative of the loss by each entropy. */
  readonly dEntropies: Float64Array;
  readonly clippedLow: number;
  readonly clippedHigh: number;
}

/** Bound of |log p − old log p|: exp(20) is far beyond any clip and far from overflow. */
const LARGEST_LOG_RATIO = 20;

/** Value and gradient of a loss over some labelled tokens, in float64. */
export function evaluateTokenLoss(loss: TokenLoss, tokens: LabelledTokens): TokenLossResult {
  switch (loss.type) {
    case 'cross-entropy':
      return crossEntropy(loss, tokens);
    case 'dapo':
      return dapo(loss, tokens);
    case 'custom':
      return custom(loss.evaluate, tokens);
    default:
      return loss satisfies never;
  }
}

function crossEntropy(
  { scale, weights }: CrossEntropyLoss,
  { positions, logProbs }: LabelledTokens,
): TokenLossResult {
  const n = positions.length;
  const dLogProbs = new Float64Array(n);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const weight =
      scale * (weights === undefined ? 1 : (weights[positions[i] as number] as number));
    loss -= weight * (logProbs[i] as number);
    dLogProbs[i] = -weight;
  }
  return { loss, dLogProbs, dEntropies: new Float64Array(n), clippedLow: 0, clippedHigh: 0 };
}

// DAPO (arXiv:2503.14476) Eq. 8, per token; the caller's scale makes the token mean of Eq. 12.
function dapo(options: DapoTokenLoss, tokens: LabelledTokens): TokenLossResult {
  const { scale, oldLogProbs, advantages, importanceWeights } = options;
  const n = tokens.positions.length;
  const dLogProbs = new Float64Array(n);
  const dEntropies = new Float64Array(n);
  const entropyWeight = scale * (options.entropyCoefficient ?? 0);
  let loss = 0;
  let clippedLow = 0;
  let clippedHigh = 0;
  for (let i = 0; i < n; i++) {
    const t = tokens.positions[i] as number;
    const logRatio = (tokens.logProbs[i] as number) - (oldLogProbs[t] as number);
    const term = surrogate(logRatio, advantages[t] as number, options);
    const weight = scale * (importanceWeights === undefined ? 1 : (importanceWeights[t] as number));
    loss += weight * term.value - entropyWeight * (tokens.entropies[i] as number);
    dLogProbs[i] = weight * term.dLogRatio;
    dEntropies[i] = -entropyWeight;
    clippedLow += term.cut === 'low' ? 1 : 0;
    clippedHigh += term.cut === 'high' ? 1 : 0;
  }
  return { loss, dLogProbs, dEntropies, clippedLow, clippedHigh };
}

interface SurrogateTerm {
  readonly value: number;
  readonly dLogRatio: number;
  /** The bound that replaced the ratio. */
  readonly cut: 'low' | 'high' | 'none';
}

function surrogate(
  logRatio: number,
  advantage: number,
  { clip, dualClip }: Pick<DapoTokenLoss, 'clip' | 'dualClip'>,
): SurrogateTerm {
  const clamped = Math.min(Math.max(logRatio, -LARGEST_LOG_RATIO), LARGEST_LOG_RATIO);
  const ratio = Math.exp(clamped);
  const bounded = Math.min(Math.max(ratio, 1 - clip.low), 1 + clip.high);
  const free = -advantage * ratio;
  const held = -advantage * bounded;
  if (held > free) {
    return { value: held, dLogRatio: 0, cut: ratio < bounded ? 'low' : 'high' };
  }
  if (dualClip !== undefined && advantage < 0 && free > -advantage * dualClip) {
    return { value: -advantage * dualClip, dLogRatio: 0, cut: 'none' };
  }
  return { value: free, dLogRatio: clamped === logRatio ? free : 0, cut: 'none' };
}

function custom(
  evaluate: (chunk: { positions: Int32Array; logProbs: Float32Array; entropies: Float32Array }) => {
    loss: number;
    dLogProbs: Float32Array;
    dEntropies?: Float32Array;
  },
  tokens: LabelledTokens,
): TokenLossResult {
  const n = tokens.positions.length;
  const { loss, dLogProbs, dEntropies } = evaluate({
    positions: tokens.positions,
    logProbs: Float32Array.from(tokens.logProbs),
    entropies: Float32Array.from(tokens.entropies),
  });
  if (dLogProbs.length !== n || (dEntropies !== undefined && dEntropies.length !== n)) {
    throw new ShapeError(
      `custom loss: expected dLogProbs and dEntropies (n=${n}), received (${dLogProbs.length}) and (${dEntropies?.length ?? 'none'}).`,
    );
  }
  return {
    loss,
    dLogProbs: Float64Array.from(dLogProbs),
    dEntropies: dEntropies === undefined ? new Float64Array(n) : Float64Array.from(dEntropies),
    clippedLow: 0,
    clippedHigh: 0,
  };
}
