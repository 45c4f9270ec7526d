// The settings of dapo(), their defaults and ranges.
import { z } from 'zod';

export const dapoConfigSchema = z.strictObject({
  /** Rollout steps: each samples a batch and updates on it. */
  steps: z.int().min(0),
  /** G, episodes per task. The paper has 16. */
  samplesPerTask: z.int().min(2).default(8),
  /** N, accepted groups per step. The paper has 512. */
  groupsPerStep: z.int().min(1).default(16),
  /** Optimizer steps per rollout step; with 1 the ratio is 1 and clipping never acts. Paper: 16. */
  miniBatches: z.int().min(1).default(2),
  /** Tokens of one forward and backward pass; bounds memory, does not change the result. */
  microBatchTokens: z.int().min(1).default(8192),
  /** Steps that accepted surplus groups may wait to be trained on; 0 throws them away. */
  maximumLagSteps: z.int().min(0).default(1),
  /** Stop with an error when the rounds end before the batch is full, instead of training on less. */
  requireFullBatch: z.boolean().default(false),
  /** Take truncated samples out of the loss. Not in most of the paper's runs. */
  overlongFiltering: z.boolean().default(false),
  /** Cap C of the truncated importance weights; 2 is usual. Absent = off. */
  truncatedImportance: z.number().min(1).optional(),
  /** β of a penalty for leaving the reference policy, the model with its adapter off. 0 = none, as in DAPO. */
  klCoefficient: z.number().min(0).default(0),
  /** λ of a penalty for likelihood that good turns lose (LLDS); 0.2 in its paper. 0 = none, as in DAPO. */
  displacementCoefficient: z.number().min(0).default(0),
  /** Largest |ratio − 1| accepted before the first update of a step. */
  mismatchTolerance: z.number().min(0).default(0.01),
  /** Of task order and mini-batches. */
  seed: z.int(),
});
/** As given: keys with a default may be absent. */
export type DapoConfig = z.input<typeof dapoConfigSchema>;
export type ResolvedDapoConfig = z.output<typeof dapoConfigSchema>;
