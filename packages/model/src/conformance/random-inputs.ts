// Seeded weights, batches and losses for tests.
import { RandomStream } from '@masksearch/core';
import type { DecoderConfig } from '../decoder-config.ts';
import type {
  CrossEntropyLoss,
  DapoTokenLoss,
  NamedTensor,
  PackedBatch,
} from '../language-model.ts';
import { elementCount, parameterSpecs } from '../parameters.ts';

/** Larger than starting weights, so that every feature of the decoder changes the result. */
export function randomWeights(config: DecoderConfig, seed: number): NamedTensor[] {
  return parameterSpecs(config).map(({ name, shape }) => {
    const random = new RandomStream('conformance-weights', seed, name);
    const isNorm = name.endsWith('norm.weight');
    const deviation = shape.length === 1 ? 0.2 : Math.min(0.5, 1 / Math.sqrt(shape[1] ?? 1));
    const data = new Float32Array(elementCount(shape));
    for (let i = 0; i < data.length; i++) data[i] = (isNorm ? 1 : 0) + deviation * random.normal();
    return { name, shape, data };
  });
}

/** Random tokens; about two labels in three, and every third sequence of several has none. */
export function randomBatch(
  config: DecoderConfig,
  lengths: readonly number[],
  seed: number,
): PackedBatch {
  const random = new RandomStream('conformance-batch', seed);
  const offsets = Int32Array.of(0, ...lengths);
  for (let b = 0; b < lengths.length; b++) offsets[b + 1] = (offsets[b] ?? 0) + (lengths[b] ?? 0);
  const T = offsets[lengths.length] ?? 0;
  const tokens = Int32Array.from({ length: T }, () => random.below(config.vocabularySize));
  const lossMask = Uint8Array.from({ length: T }, () => (random.below(3) > 0 ? 1 : 0));
  lengths.forEach((length, b) => {
    const start = offsets[b] ?? 0;
    lossMask[start] = 0;
    if (b % 3 === 2) lossMask.fill(0, start, start + length);
  });
  return { tokens, offsets, lossMask };
}

/** Number of labelled tokens. */
export function labelCount({ lossMask }: PackedBatch): number {
  return lossMask.reduce((sum, flag) => sum + flag, 0);
}

/** Weighted cross-entropy, averaged over the labelled tokens of the batch. */
export function randomCrossEntropy(batch: PackedBatch, seed: number): CrossEntropyLoss {
  const random = new RandomStream('conformance-weights-of-tokens', seed);
  return {
    type: 'cross-entropy',
    scale: 1 / Math.max(1, labelCount(batch)),
    weights: Float32Array.from(batch.tokens, () => 2 * random.uniform()),
  };
}

/**
 * DAPO with every option in use, around given log-probabilities: ratios on both sides of both
 * bounds and of the dual clip, and none within rounding of a bound.
 */
export function randomDapo(
  batch: PackedBatch,
  logProbs: ArrayLike<number>,
  seed: number,
): DapoTokenLoss {
  const random = new RandomStream('conformance-dapo', seed);
  const clip = { low: 0.2, high: 0.28 };
  const ratios = [0.5, 0.75, 0.9, 1.1, 1.35, 4];
  return {
    type: 'dapo',
    scale: 1 / Math.max(1, labelCount(batch)),
    oldLogProbs: Float32Array.from(
      batch.tokens,
      (_, t) => (logProbs[t] ?? 0) - Math.log(random.pick(ratios)),
    ),
    advantages: Float32Array.from(batch.tokens, () => random.normal()),
    importanceWeights: Float32Array.from(batch.tokens, () => 2 * random.uniform()),
    clip,
    dualClip: 3,
    entropyCoefficient: 0.01,
  };
}
