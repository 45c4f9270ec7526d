// Entropy bonus: what is taken off a policy loss to keep the policy from growing certain too soon.
import { mul, tidy, type Scalar, type Tensor } from '@tensorflow/tfjs-core';
import { checkSameShapes, masked, sumAll, tokenCount } from './token-tensors.ts';

export interface EntropyBonusInputs {
  /** Any shape, float32, nats. Entropy of the distribution that each token was drawn from. */
  readonly entropies: Tensor;
  /** Same shape, bool. */
  readonly lossMask: Tensor;
  readonly coefficient: number;
  /** Labelled tokens of the whole optimizer step; those of `lossMask` when absent. */
  readonly denominator?: number;
}

/**
 * −coefficient · mean entropy of the masked-in tokens; add it to a policy loss.
 *
 * @returns Scalar float32.
 * @throws {ShapeError} the tensors differ in shape.
 * @throws {EmptyBatchError} no token is masked in and no denominator is given.
 */
export function entropyBonus(inputs: EntropyBonusInputs): Scalar {
  const { entropies, lossMask, coefficient, denominator } = inputs;
  checkSameShapes('entropyBonus', { entropies, lossMask });
  return tidy(() => {
    const tokens = tokenCount('entropyBonus', lossMask, denominator);
    return mul<Scalar>(sumAll(masked(entropies, lossMask)), -coefficient / tokens);
  });
}
