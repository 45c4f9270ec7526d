// The alarm for a sampler and a trainer that disagree: before a step's first update, tokens that the
// current weights sampled must have the probability they were sampled with.
import { IntegrityError, type Sample } from '@masksearch/core';
import { MAXIMUM_LOG_RATIO } from '../losses/clipped-surrogate.ts';
import type { MicroBatch, TrainingExample } from '../packing.ts';

/** Compares the trainer's log-probabilities with those stored by the sampler. */
export class OnPolicyCheck {
  readonly #version: number;
  #tokens = 0;
  #divergence = 0;
  #largestDeviation = 0;

  /** @param version Samples of other versions are off-policy and are left out. */
  constructor(version: number) {
    this.#version = version;
  }

  /** @param logProbs (T) nats, of the micro-batch's tokens under the model now. */
  observe(
    { members }: MicroBatch<TrainingExample & { readonly sample: Sample }>,
    logProbs: Float32Array,
  ): void {
    for (const { example, start } of members) {
      if (example.sample.policyVersion !== this.#version) continue;
      for (let t = 0; t < example.mask.length; t++) {
        if (example.mask[t] !== 1) continue;
        // Stored values are float32 as well; rounding keeps equal bits equal after JSON.
        const sampled = Math.fround(example.sample.logProbs[t] as number);
        const logRatio = Math.min((logProbs[start + t] as number) - sampled, MAXIMUM_LOG_RATIO);
        const excess = Math.expm1(logRatio);
        this.#tokens++;
        this.#divergence += excess - logRatio;
        this.#largestDeviation = Math.max(this.#largestDeviation, Math.abs(excess));
      }
    }
  }

  /** @throws {IntegrityError} some |ratio − 1| exceeds `tolerance`. */
  check(tolerance: number): void {
    if (this.#largestDeviation <= tolerance) return;
    throw new IntegrityError(
      `dapo: expected ratios within ${tolerance} of 1 before the first update, received ${1 + this.#largestDeviation} or its mirror; sampler and trainer disagree (temperature, kernels or stale weights).`,
      { data: { largestDeviation: this.#largestDeviation } },
    );
  }

  /** KL(μ‖π) by the non-negative estimator ρ − 1 − log ρ, and the largest |ρ − 1|. */
  metrics(): Record<string, number> {
    if (this.#tokens === 0) return {};
    return {
      'rollout/kl_train_infer': this.#divergence / this.#tokens,
      'rollout/max_ratio_deviation': this.#largestDeviation,
    };
  }
}
