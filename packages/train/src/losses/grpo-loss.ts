// Plain GRPO's policy loss: symmetric clip, averaged within each sample first, then over samples.
import { cast, div, maximum, sum, tidy, type Scalar, type Tensor2D } from '@tensorflow/tfjs-core';
import { ShapeError } from '@masksearch/core';
import { clippedSurrogate } from './clipped-surrogate.ts';
import { checkSameShapes, sumAll, tokenCount } from './token-tensors.ts';

export interface GrpoLossInputs {
  /** (B, T) float32, nats. One row per sample. */
  readonly logProbs: Tensor2D;
  /** (B, T) float32, nats. */
  readonly oldLogProbs: Tensor2D;
  /** (B, T) float32. */
  readonly advantages: Tensor2D;
  /** (B, T) bool. */
  readonly lossMask: Tensor2D;
  /** The ratio is clipped to [1 − clip, 1 + clip]; 0.2 in the paper. */
  readonly clip: number;
  /** Samples of the whole optimizer step; B when absent. */
  readonly denominator?: number;
}

/**
 * GRPO policy loss without KL term: a long sample weighs as much as a short one, so that its tokens
 * weigh less (the length bias that DAPO's token mean removes).
 *
 * @returns Scalar float32. A row without a masked-in token adds 0 and still counts in B.
 * @throws {ShapeError} the tensors differ in shape or are not of rank 2.
 * @throws {EmptyBatchError} no token is masked in and no denominator is given.
 * @see GRPO, arXiv:2402.03300 Eq. 3
 */
export function grpoLoss(inputs: GrpoLossInputs): Scalar {
  const { logProbs, oldLogProbs, advantages, lossMask, clip, denominator } = inputs;
  checkSameShapes('grpoLoss', { logProbs, oldLogProbs, advantages, lossMask });
  const rank: number = logProbs.rank; // a caller in JavaScript may pass any
  if (rank !== 2) {
    throw new ShapeError(
      `grpoLoss: expected tensors of rank 2, one row per sample, received rank ${rank}.`,
    );
  }
  return tidy(() => {
    tokenCount('grpoLoss', lossMask, denominator);
    const perToken = clippedSurrogate(inputs, { clip: { low: clip, high: clip } });
    const lengths = maximum(sum(cast(lossMask, 'float32'), 1), 1); // (B)
    const perSample = div(sum(perToken, 1), lengths); // (B)
    return div<Scalar>(sumAll(perSample), denominator ?? logProbs.shape[0]);
  });
}
