// What makes DAPO DAPO and GRPO GRPO, as functions that the training loop calls.
import { ConfigError, type Sample } from '@masksearch/core';
import type { PackedBatch, TokenLoss } from '@masksearch/model';
import { groupAdvantages, type GroupAdvantages } from '../group-advantages.ts';
import { checkBounds, type ClipBounds } from '../losses/clipped-surrogate.ts';
import { judgeByAnswer, judgeByOutcome, judgeByReward, type GroupVerdict } from './judge-group.ts';

/** One micro-batch with everything a policy loss may look at; arrays are (T) by packed position. */
export interface PolicyTokens {
  readonly batch: PackedBatch;
  /** Log-probabilities (nats) under the policy that the ratio is taken against. */
  readonly oldLogProbs: Float32Array;
  readonly advantages: Float32Array;
  /** Averaging weight times truncated importance weight; constants. */
  readonly weights: Float32Array;
  /** 1 / number of labelled tokens of the whole optimizer step. */
  readonly scale: number;
}

export interface RoundProgress {
  /** Accepted groups still missing. */
  readonly need: number;
  /** Rounds of this step so far. */
  readonly round: number;
  /** Expected share of groups that will be accepted. */
  readonly acceptRate: number;
}

/** A policy-gradient method. A variant is another set of functions. */
export interface Recipe {
  readonly name: string;
  /** Its numbers, for the checkpoint's fingerprint. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether a group is trained on. */
  readonly judge: (samples: readonly Sample[]) => GroupVerdict;
  /** Groups to sample next; 0 ends the step's sampling. */
  readonly planRound: (progress: RoundProgress) => number;
  readonly advantages: (rewards: readonly number[]) => GroupAdvantages;
  /** Weight of each token of each sample, given the samples' labelled lengths; mean over tokens 1. */
  readonly tokenWeights: (lengths: readonly number[]) => readonly number[];
  readonly tokenLoss: (tokens: PolicyTokens) => TokenLoss;
}

export interface RecipeOptions {
  /** Bound c on the loss of negative advantages. Default: off. */
  readonly dualClip?: number;
  /** Default 0. */
  readonly entropyCoefficient?: number;
  /** Floor of the deviation that advantages are divided by. Default 1e-3. */
  readonly minimumDeviation?: number;
}

export interface DapoRecipeOptions extends RecipeOptions {
  /** Default { low: 0.2, high: 0.28 }. */
  readonly clip?: ClipBounds;
  /** What must differ within a group for it to be trained on. Default 'outcome'. */
  readonly filter?: 'outcome' | 'answer';
  /** Rounds of sampling per step at most. Default 10. */
  readonly maximumRounds?: number;
  /** A round asks for at most so many groups per missing one. Default 4. */
  readonly maximumOversampling?: number;
}

/**
 * DAPO: clip-higher, token mean, groups filtered by outcome (or by the answer's score), rounds sized by
 * the expected accept rate.
 *
 * @throws {ConfigError} an option is out of range.
 * @see arXiv:2503.14476 §3
 */
export function dapoRecipe(options: DapoRecipeOptions = {}): Recipe {
  const { clip = { low: 0.2, high: 0.28 }, filter = 'outcome' } = options;
  const { maximumRounds = 10, maximumOversampling = 4 } = options;
  checkAtLeastOne('maximumRounds', maximumRounds);
  checkAtLeastOne('maximumOversampling', maximumOversampling);
  return {
    name: 'dapo',
    settings: { ...options, clip, filter, maximumRounds, maximumOversampling },
    judge: filter === 'answer' ? judgeByAnswer : judgeByOutcome,
    planRound: ({ need, round, acceptRate }) =>
      round >= maximumRounds ? 0 : Math.ceil(need / Math.max(acceptRate, 1 / maximumOversampling)),
    tokenWeights: (lengths) => lengths.map(() => 1),
    ...policyGradient(clip, options),
  };
}

export interface GrpoRecipeOptions extends RecipeOptions {
  /** The ratio is clipped to 1 ± clip. Default 0.2. */
  readonly clip?: number;
}

/**
 * Plain GRPO without KL term, for comparison: symmetric clip, mean within each sample first, one round
 * of exactly the wanted groups.
 *
 * @throws {ConfigError} an option is out of range.
 * @see arXiv:2402.03300 §4.1
 */
export function grpoRecipe(options: GrpoRecipeOptions = {}): Recipe {
  const { clip = 0.2 } = options;
  return {
    name: 'grpo',
    settings: { ...options, clip },
    judge: judgeByReward,
    planRound: ({ need, round }) => (round === 0 ? need : 0),
    tokenWeights: sampleMeanWeights,
    ...policyGradient({ low: clip, high: clip }, options),
  };
}

/** Weights that turn a mean over tokens into the mean over samples of each one's mean. */
export function sampleMeanWeights(lengths: readonly number[]): readonly number[] {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const samples = lengths.filter((length) => length > 0).length;
  return lengths.map((length) => (length > 0 ? tokens / (samples * length) : 0));
}

function policyGradient(
  clip: ClipBounds,
  { dualClip, entropyCoefficient, minimumDeviation }: RecipeOptions,
): Pick<Recipe, 'advantages' | 'tokenLoss'> {
  checkBounds(clip, dualClip);
  return {
    advantages: (rewards) =>
      groupAdvantages(rewards, minimumDeviation === undefined ? {} : { minimumDeviation }),
    tokenLoss: ({ oldLogProbs, advantages, weights, scale }) => ({
      type: 'dapo',
      scale,
      oldLogProbs,
      advantages,
      clip,
      importanceWeights: weights,
      ...(dualClip === undefined ? {} : { dualClip }),
      ...(entropyCoefficient === undefined ? {} : { entropyCoefficient }),
    }),
  };
}

function checkAtLeastOne(name: string, value: number): void {
  if (Number.isFinite(value) && value >= 1) return;
  throw new ConfigError(`dapoRecipe: expected ${name} >= 1, received ${value}.`);
}
