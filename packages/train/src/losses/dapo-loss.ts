// DAPO's policy loss on per-token tensors: clip-higher, averaged over tokens, no KL term.
import { div, tidy, type Scalar } from '@tensorflow/tfjs-core';
import {
  clippedSurrogate,
  type SurrogateInputs,
  type SurrogateOptions,
} from './clipped-surrogate.ts';
import { checkSameShapes, sumAll, tokenCount } from './token-tensors.ts';

export interface DapoLossInputs extends SurrogateInputs, SurrogateOptions {
  /** Labelled tokens of the whole optimizer step; those of `lossMask` when absent. */
  readonly denominator?: number;
}

/**
 * DAPO policy loss: clipped surrogate with separate bounds, averaged over tokens.
 *
 * @param inputs.logProbs    (B, T) float32, nats. Log-probability of each sampled token now.
 * @param inputs.oldLogProbs (B, T) float32, nats. The same under the policy that sampled it.
 * @param inputs.advantages  (B, T) float32. Constant along T; see groupAdvantages.
 * @param inputs.lossMask    (B, T) bool. True where the model wrote the token; prompt, tool output,
 *                           padding are false.
 * @param inputs.clip        Bounds of the ratio, `{ low: 0.2, high: 0.28 }` in the paper (§4.1).
 * @param inputs.dualClip    Bound on the loss of negative advantages; absent in the paper.
 * @param inputs.importanceWeights (B, T) float32. Truncated importance weights, constants.
 * @param inputs.denominator Tokens of the whole optimizer step, when this is one micro-batch of it.
 * @returns Scalar float32: sum over masked-in tokens / their number. Any other rank than 2 does too.
 * @throws {ShapeError} the tensors differ in shape.
 * @throws {EmptyBatchError} no token is masked in (every group was filtered).
 * @see DAPO, arXiv:2503.14476, Eq. 8 (objective), Eq. 10 (bounds), Eq. 12 (token mean)
 *
 * @example
 *   const { value, grads } = variableGrads(() =>
 *     dapoLoss({ logProbs: f(), oldLogProbs, advantages, lossMask, clip: { low: 0.2, high: 0.28 } }),
 *   );
 */
export function dapoLoss(inputs: DapoLossInputs): Scalar {
  const { logProbs, oldLogProbs, advantages, lossMask, importanceWeights, denominator } = inputs;
  checkSameShapes('dapoLoss', { logProbs, oldLogProbs, advantages, lossMask, importanceWeights });
  return tidy(() => {
    const tokens = tokenCount('dapoLoss', lossMask, denominator);
    return div<Scalar>(sumAll(clippedSurrogate(inputs, inputs)), tokens);
  });
}
