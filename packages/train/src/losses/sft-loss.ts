// Supervised fine-tuning: mean negative log-likelihood of the tokens that the teacher wrote.
import { div, mul, neg, tidy, type Scalar, type Tensor } from '@tensorflow/tfjs-core';
import { checkSameShapes, masked, sumAll, tokenCount } from './token-tensors.ts';

export interface SftLossInputs {
  /** Any shape, float32, nats. Log-probability of each token. */
  readonly logProbs: Tensor;
  /** Same shape, bool. True where the token carries loss. */
  readonly lossMask: Tensor;
  /** Same shape, float32. Weight of each token; 1 when absent. */
  readonly weights?: Tensor;
  /** Labelled tokens of the whole optimizer step; those of `lossMask` when absent. */
  readonly denominator?: number;
}

/**
 * Cross-entropy averaged over tokens: −Σ w·logProb / number of masked-in tokens.
 *
 * @returns Scalar float32.
 * @throws {ShapeError} the tensors differ in shape.
 * @throws {EmptyBatchError} no token is masked in and no denominator is given.
 */
export function sftLoss({ logProbs, lossMask, weights, denominator }: SftLossInputs): Scalar {
  checkSameShapes('sftLoss', { logProbs, lossMask, weights });
  return tidy(() => {
    const tokens = tokenCount('sftLoss', lossMask, denominator);
    const perToken = neg(masked(logProbs, lossMask));
    const weighted = weights ? mul(perToken, masked(weights, lossMask)) : perToken;
    return div<Scalar>(sumAll(weighted), tokens);
  });
}
