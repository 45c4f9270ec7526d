// A penalty for likelihood that good turns lose (LLDS), added to any loss of the LanguageModel port.
import { evaluateTokenLoss, type CustomTokenLoss, type TokenLoss } from '@masksearch/model';

export interface LikelihoodDisplacement {
  /** λ; 0.2 in the paper. */
  readonly coefficient: number;
  /** 1 / number of labelled tokens of the whole optimizer step. */
  readonly scale: number;
  /** (T) log-probabilities (nats) of the batch's tokens under the policy that ratios are taken against. */
  readonly oldLogProbs: Float32Array;
  /** (T) weight of each token in the average; 0 outside the turns of `displacedTurns`. */
  readonly weights: Float32Array;
}

export interface DisplacementPenalisedLoss {
  readonly loss: CustomTokenLoss;
  /** What a custom loss cannot report; complete when the batch is. `displacement` is Σ_t of what was lost, in nats. */
  readonly totals: () => { clippedLow: number; clippedHigh: number; displacement: number };
}

/**
 * loss + λ · scale · Σ_t w_t · max(0, log π_old − log π): pulls back tokens that have lost likelihood, and no others.
 * @see "Lazy likelihood displacement" (arXiv:2512.04220)
 */
export function withLikelihoodDisplacement(
  base: TokenLoss,
  { coefficient, scale, oldLogProbs, weights }: LikelihoodDisplacement,
): DisplacementPenalisedLoss {
  const sums = { clippedLow: 0, clippedHigh: 0, displacement: 0 };
  const evaluate: CustomTokenLoss['evaluate'] = (chunk) => {
    const result = evaluateTokenLoss(base, chunk);
    const dLogProbs = Float32Array.from(result.dLogProbs);
    let penalty = 0;
    for (const [i, t] of chunk.positions.entries()) {
      const weight = coefficient * scale * (weights[t] as number);
      const lost = (oldLogProbs[t] as number) - (chunk.logProbs[i] as number);
      if (weight === 0 || lost <= 0) continue;
      penalty += weight * lost;
      sums.displacement += lost;
      dLogProbs[i] = (dLogProbs[i] as number) - weight;
    }
    sums.clippedLow += result.clippedLow;
    sums.clippedHigh += result.clippedHigh;
    const dEntropies = Float32Array.from(result.dEntropies);
    return { loss: result.loss + penalty, dLogProbs, dEntropies };
  };
  return { loss: { type: 'custom', evaluate }, totals: () => ({ ...sums }) };
}

/**
 * Which tokens the penalty is for: those of turns whose advantage is not negative and which are, as a whole, less
 * likely than they were. A turn is a run of labelled tokens: tool output stands between two of them.
 *
 * @param tokens (T) each; the advantage is constant within a turn.
 * @returns      (T) 1 or 0.
 */
export function displacedTurns(tokens: {
  readonly lossMask: ArrayLike<number>;
  readonly advantages: ArrayLike<number>;
  readonly oldLogProbs: ArrayLike<number>;
  readonly logProbs: ArrayLike<number>;
}): Float32Array {
  const { lossMask, advantages, oldLogProbs, logProbs } = tokens;
  const T = lossMask.length;
  const displaced = new Float32Array(T);
  for (let start = 0; start < T; start++) {
    if (lossMask[start] !== 1) continue;
    let end = start;
    let lost = 0;
    for (; end < T && lossMask[end] === 1; end++) {
      lost += (oldLogProbs[end] as number) - (logProbs[end] as number);
    }
    if ((advantages[start] as number) >= 0 && lost > 0) displaced.fill(1, start, end);
    start = end;
  }
  return displaced;
}
