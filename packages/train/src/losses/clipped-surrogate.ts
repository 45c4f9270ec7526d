// PPO's clipped surrogate per token, the part that DAPO and GRPO share; averages nothing.
import {
  clipByValue,
  exp,
  less,
  maximum,
  minimum,
  mul,
  neg,
  sub,
  where,
  type Tensor,
} from '@tensorflow/tfjs-core';
import { ConfigError } from '@masksearch/core';
import { constant, masked } from './token-tensors.ts';

/** Bounds of the ratio: it is clipped to [1 − low, 1 + high]. */
export interface ClipBounds {
  readonly low: number;
  readonly high: number;
}

/** Log-ratios beyond this are cut before exp, so that a ratio never overflows float32. */
export const MAXIMUM_LOG_RATIO = 20;

export interface SurrogateInputs {
  /** Any shape, float32, nats. Log-probability of each sampled token now. */
  readonly logProbs: Tensor;
  /** Same shape, float32, nats. The same under the policy that sampled it. */
  readonly oldLogProbs: Tensor;
  /** Same shape, float32. Normalised within the group, constant within a sample. */
  readonly advantages: Tensor;
  /** Same shape, bool. True where the policy wrote the token. */
  readonly lossMask: Tensor;
}

export interface SurrogateOptions {
  readonly clip: ClipBounds;
  /** Bound c > 1 on the loss of negative advantages, −A·c; absent = off (as in the DAPO paper). */
  readonly dualClip?: number;
  /** Same shape, float32. Truncated importance weights, constants; 1 when absent. */
  readonly importanceWeights?: Tensor;
}

/**
 * max(−A·ρ, −A·clip(ρ)) of every masked-in token, 0 elsewhere; ρ = exp(logProb − oldLogProb).
 *
 * @throws {ConfigError} bounds out of range.
 * @see PPO, arXiv:1707.06347 Eq. 7; dual clip, arXiv:1912.09729 Eq. 5
 */
export function clippedSurrogate(
  { logProbs, oldLogProbs, advantages, lossMask }: SurrogateInputs,
  { clip, dualClip, importanceWeights }: SurrogateOptions,
): Tensor {
  checkBounds(clip, dualClip);
  const A = masked(constant(advantages), lossMask);
  const old = masked(constant(oldLogProbs), lossMask);
  const logRatio = sub(masked(logProbs, lossMask), old);
  const ratio = exp(clipByValue(logRatio, -MAXIMUM_LOG_RATIO, MAXIMUM_LOG_RATIO));
  const unclipped = neg(mul(A, ratio));
  const clipped = neg(mul(A, clipByValue(ratio, 1 - clip.low, 1 + clip.high)));
  let perToken = maximum(unclipped, clipped);
  if (dualClip !== undefined) {
    perToken = where(less(A, 0), minimum(perToken, mul(A, -dualClip)), perToken);
  }
  if (importanceWeights) {
    perToken = mul(perToken, masked(constant(importanceWeights), lossMask));
  }
  return masked(perToken, lossMask);
}

/** @throws {ConfigError} a bound of the ratio is out of range. */
export function checkBounds(clip: ClipBounds, dualClip: number | undefined): void {
  if (!(clip.low >= 0 && clip.low < 1 && clip.high >= 0)) {
    throw new ConfigError(
      `clip: expected low in [0, 1) and high >= 0, received low ${clip.low}, high ${clip.high}.`,
    );
  }
  if (dualClip !== undefined && !(dualClip > 1 + clip.high)) {
    throw new ConfigError(
      `dualClip: expected more than 1 + clip.high = ${1 + clip.high}, received ${dualClip}.`,
    );
  }
}
