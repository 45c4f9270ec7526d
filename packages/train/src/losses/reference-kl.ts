// A penalty for leaving a reference policy, added to any loss of the LanguageModel port.
import { evaluateTokenLoss, type CustomTokenLoss, type TokenLoss } from '@masksearch/model';
import { MAXIMUM_LOG_RATIO } from './clipped-surrogate.ts';

export interface ReferenceKl {
  /** β. */
  readonly coefficient: number;
  /** 1 / number of labelled tokens of the whole optimizer step. */
  readonly scale: number;
  /** (T) log-probabilities (nats) of the batch's tokens under the reference policy. */
  readonly referenceLogProbs: Float32Array;
  /** (T) weight of each token in the average. */
  readonly weights: Float32Array;
}

export interface PenalisedLoss {
  readonly loss: CustomTokenLoss;
  /** What a custom loss cannot report; complete when the batch is. */
  readonly totals: () => { clippedLow: number; clippedHigh: number; kl: number };
}

/**
 * loss + β · scale · Σ_t w_t · (e^Δ_t − Δ_t − 1), Δ_t = log π_ref − log π: the estimator k3 of
 * KL(π ‖ π_ref), which is never negative and unbiased on tokens that π sampled.
 * @see GRPO (arXiv:2402.03300) Eq. 4; Schulman, "Approximating KL divergence" (2020)
 */
export function withReferenceKl(base: TokenLoss, kl: ReferenceKl): PenalisedLoss {
  const sums = { clippedLow: 0, clippedHigh: 0, kl: 0 };
  const evaluate: CustomTokenLoss['evaluate'] = (chunk) => {
    const result = evaluateTokenLoss(base, chunk);
    const dLogProbs = Float32Array.from(result.dLogProbs);
    let penalty = 0;
    for (const [i, t] of chunk.positions.entries()) {
      const delta = (kl.referenceLogProbs[t] as number) - (chunk.logProbs[i] as number);
      const bounded = Math.min(Math.max(delta, -MAXIMUM_LOG_RATIO), MAXIMUM_LOG_RATIO);
      const ratio = Math.exp(bounded);
      const weight = kl.coefficient * kl.scale * (kl.weights[t] as number);
      const estimate = ratio - bounded - 1;
      penalty += weight * estimate;
      sums.kl += estimate;
      if (bounded === delta) dLogProbs[i] = (dLogProbs[i] as number) + weight * (1 - ratio);
    }
    sums.clippedLow += result.clippedLow;
    sums.clippedHigh += result.clippedHigh;
    const dEntropies = Float32Array.from(result.dEntropies);
    return { loss: result.loss + penalty, dLogProbs, dEntropies };
  };
  return { loss: { type: 'custom', evaluate }, totals: () => ({ ...sums }) };
}
