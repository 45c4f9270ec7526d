// One rollout batch → optimizer updates: advantages, mini-batches, importance weights, the loss.
import { InputError, RandomStream, type Sample } from '@masksearch/core';
import type { AccumulateResult, AdamWOptions, LanguageModel, TokenLoss } from '@masksearch/model';
import { MAXIMUM_LOG_RATIO } from '../losses/clipped-surrogate.ts';
import { displacedTurns, withLikelihoodDisplacement } from '../losses/likelihood-displacement.ts';
import { withReferenceKl } from '../losses/reference-kl.ts';
import { meanOf, summarize, sumOf } from '../numbers.ts';
import {
  countLabels,
  packMicroBatches,
  spreadOverTokens,
  type MicroBatch,
  type TrainingExample,
} from '../packing.ts';
import type { AcceptedGroup } from './collect-groups.ts';
import { OnPolicyCheck } from './on-policy-check.ts';
import type { Recipe } from './recipe.ts';
import { isTruncated } from './truncation.ts';

export interface UpdateOptions {
  readonly model: LanguageModel;
  readonly recipe: Recipe;
  readonly groups: readonly AcceptedGroup[];
  /** Optimizer steps to split the groups over. */
  readonly miniBatches: number;
  readonly microBatchTokens: number;
  readonly adamW: AdamWOptions;
  /** Take truncated samples out of the loss; they still count in their group's mean. */
  readonly overlongFiltering: boolean;
  /** Cap C of min(π_old / μ, C); absent = the ratio is taken against the sampling policy itself. */
  readonly truncatedImportance: number | undefined;
  /** β of the penalty for leaving the reference policy, the model with its adapter off; 0 = none. */
  readonly klCoefficient: number;
  /** λ of the penalty for likelihood that good turns lose; 0 = none. */
  readonly displacementCoefficient: number;
  readonly mismatchTolerance: number;
  /** Keys the order of the groups. */
  readonly seed: number;
  readonly step: number;
}

export interface UpdateResult {
  /** Optimizer steps taken, and left out for want of a labelled token. */
  readonly updates: number;
  readonly skipped: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A sample on its way into the loss. */
interface PolicyExample extends TrainingExample {
  readonly sample: Sample;
  readonly advantage: number;
}

/** A micro-batch with the policy that its ratios are taken against. */
interface PreparedBatch {
  readonly microBatch: MicroBatch<PolicyExample>;
  readonly oldLogProbs: Float32Array;
  /** (T) truncated importance weights, or 1. */
  readonly importance: Float32Array;
  /** (T) under the reference policy, where the loss asks for it. */
  readonly referenceLogProbs: Float32Array | undefined;
}

/**
 * Trains on the groups in `miniBatches` optimizer steps, each with the token count T of all its
 * micro-batches fixed before its first backward. A mini-batch with T = 0 leaves the optimizer alone.
 *
 * @throws {InputError} the gradient is not finite.
 * @throws {IntegrityError} the model disagrees with the sampler about tokens that it has just sampled.
 */
export async function updatePolicy(options: UpdateOptions): Promise<UpdateResult> {
  const { model, recipe, microBatchTokens } = options;
  const miniBatches = splitGroups(options).map((groups) =>
    groups.flatMap((group) => policyExamples(group, options)),
  );
  const prepared: PreparedBatch[][] = [];
  for (const examples of miniBatches) {
    const microBatches = packMicroBatches(examples, microBatchTokens);
    prepared.push(await Promise.all(microBatches.map((batch) => prepare(batch, options))));
  }
  const onPolicy = new OnPolicyCheck(model.version);
  const totals = new UpdateTotals();
  let skipped = 0;
  for (const [index, examples] of miniBatches.entries()) {
    const labels = countLabels(examples); // T
    if (labels === 0) {
      skipped++;
      continue;
    }
    const weightOf = sampleWeights(examples, recipe);
    for (const batch of prepared[index] ?? []) {
      const { microBatch, oldLogProbs, importance } = batch;
      const averaging = spreadOverTokens(microBatch, weightOf);
      const weights = averaging.map((w, t) => w * (importance[t] ?? 1));
      const advantages = spreadOverTokens(microBatch, ({ advantage }) => advantage);
      const tokens = { batch: microBatch.batch, oldLogProbs, advantages, weights };
      const scale = 1 / labels;
      const loss = recipe.tokenLoss({ ...tokens, scale });
      const penalties = { advantages, averaging, scale };
      const result = await accumulatePenalised(batch, loss, penalties, options);
      totals.add(microBatch, { oldLogProbs, advantages }, result);
      if (totals.updates === 0) onPolicy.observe(microBatch, result.logProbs);
    }
    if (totals.updates === 0) onPolicy.check(options.mismatchTolerance);
    const { gradientNorm } = await model.step(options.adamW);
    if (!Number.isFinite(gradientNorm)) {
      throw new InputError(
        `dapo: expected a finite gradient norm in step ${options.step}, received ${gradientNorm}; lower the learning rate or resume from a checkpoint.`,
      );
    }
    totals.endUpdate(gradientNorm);
  }
  const advantages = miniBatches.flat().map(({ advantage }) => advantage);
  const importance = prepared.flat().flatMap(labelledImportance);
  return {
    updates: totals.updates,
    skipped,
    metrics: {
      ...totals.metrics(),
      ...(totals.updates > 0 ? onPolicy.metrics() : {}),
      ...summarize('critic/advantages', advantages),
      ...(options.truncatedImportance === undefined
        ? {}
        : summarize('rollout/importance_weight', importance)),
    },
  };
}

/** What the penalties of a micro-batch need beside it. */
interface PenaltyInputs {
  /** (T) */
  readonly advantages: Float32Array;
  /** (T) weight of each token in the average. */
  readonly averaging: Float32Array;
  readonly scale: number;
}

/** As `accumulate`, with the penalties that the options ask for; the loss itself where there are none. */
async function accumulatePenalised(
  { microBatch: { batch }, oldLogProbs, referenceLogProbs }: PreparedBatch,
  base: TokenLoss,
  { advantages, averaging, scale }: PenaltyInputs,
  { model, klCoefficient, displacementCoefficient }: UpdateOptions,
): Promise<AccumulateResult & { readonly kl?: number; readonly displacement?: number }> {
  const kl =
    referenceLogProbs &&
    withReferenceKl(base, {
      coefficient: klCoefficient,
      scale,
      referenceLogProbs,
      weights: averaging,
    });
  if (displacementCoefficient === 0) {
    return { ...(await model.accumulate(batch, kl?.loss ?? base)), ...kl?.totals() };
  }
  // A turn is judged as a whole, and losses see one chunk of tokens at a time: hence a pass before.
  const { logProbs } = await model.score(batch);
  const { lossMask } = batch;
  const displaced = displacedTurns({ lossMask, advantages, oldLogProbs, logProbs });
  const penalised = withLikelihoodDisplacement(kl?.loss ?? base, {
    coefficient: displacementCoefficient,
    scale,
    oldLogProbs,
    weights: displaced.map((bit, t) => bit * (averaging[t] as number)),
  });
  const result = await model.accumulate(batch, penalised.loss);
  return { ...result, ...penalised.totals(), ...kl?.totals() };
}

/** The groups in random order, split into contiguous mini-batches whose sizes differ by at most 1. */
function splitGroups({ groups, miniBatches, seed, step }: UpdateOptions): AcceptedGroup[][] {
  const shuffled = new RandomStream(seed, 'mini-batches', step).shuffled(groups);
  const count = Math.min(miniBatches, shuffled.length);
  return Array.from({ length: count }, (_, index) =>
    shuffled.slice(
      Math.floor((index * shuffled.length) / count),
      Math.floor(((index + 1) * shuffled.length) / count),
    ),
  );
}

function policyExamples(group: AcceptedGroup, options: UpdateOptions): PolicyExample[] {
  const result = options.recipe.advantages(group.samples.map(({ reward }) => reward));
  if (!result.kept) return [];
  return group.samples.flatMap((sample, index) => {
    const advantage = result.advantages[index] ?? null;
    if (advantage === null) return [];
    const isFiltered = options.overlongFiltering && isTruncated(sample);
    const mask = isFiltered ? new Uint8Array(sample.ids.length) : sample.mask;
    return [{ ids: sample.ids, mask, sample, advantage }];
  });
}

/** Token weight of each example under the recipe's way of averaging. */
function sampleWeights(
  examples: readonly PolicyExample[],
  recipe: Recipe,
): (example: PolicyExample) => number {
  const weights = recipe.tokenWeights(examples.map((example) => countLabels([example])));
  const byExample = new Map(examples.map((example, index) => [example, weights[index] ?? 0]));
  return (example) => byExample.get(example) ?? 0;
}

/**
 * Without a cap the ratio is taken against μ, the policy that sampled, by the log-probabilities stored
 * with the samples. With one it is taken against π_old, the model before this step's first update, and
 * min(π_old / μ, C) corrects for the rest.
 *
 * @see "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training" (Yao et al. 2025), TIS
 */
async function prepare(
  microBatch: MicroBatch<PolicyExample>,
  { model, truncatedImportance, klCoefficient }: UpdateOptions,
): Promise<PreparedBatch> {
  const referenceLogProbs =
    klCoefficient === 0
      ? undefined
      : (await model.score(microBatch.batch, { adapter: 'off' })).logProbs;
  const sampled = spreadOverTokens(microBatch, ({ sample }) => sample.logProbs);
  const importance = new Float32Array(sampled.length).fill(1);
  if (truncatedImportance === undefined) {
    return { microBatch, oldLogProbs: sampled, importance, referenceLogProbs };
  }
  const { logProbs } = await model.score(microBatch.batch);
  forEachLabel(microBatch, (t) => {
    const logRatio = (logProbs[t] as number) - (sampled[t] as number);
    importance[t] = Math.min(Math.exp(Math.min(logRatio, MAXIMUM_LOG_RATIO)), truncatedImportance);
  });
  return { microBatch, oldLogProbs: logProbs, importance, referenceLogProbs };
}

function labelledImportance({ microBatch, importance }: PreparedBatch): number[] {
  const values: number[] = [];
  forEachLabel(microBatch, (t) => values.push(importance[t] as number));
  return values;
}

function forEachLabel({ batch }: MicroBatch<PolicyExample>, visit: (t: number) => void): void {
  for (let t = 0; t < batch.lossMask.length; t++) if (batch.lossMask[t] === 1) visit(t);
}

/** Sums over the micro-batches of a step, for the metrics. */
class UpdateTotals {
  readonly #gradientNorms: number[] = [];
  #labels = 0;
  #loss = 0;
  #clippedLow = 0;
  #clippedHigh = 0;
  #entropy = 0;
  #logRatio = 0;
  #referenceKl: number | undefined;
  #displacement: number | undefined;
  #positiveLabels = 0;
  #positiveLogProb = 0;

  get updates(): number {
    return this.#gradientNorms.length;
  }

  add(
    batch: MicroBatch<PolicyExample>,
    { oldLogProbs, advantages }: { oldLogProbs: Float32Array; advantages: Float32Array },
    result: AccumulateResult & { readonly kl?: number; readonly displacement?: number },
  ): void {
    const { kl, displacement } = result;
    if (kl !== undefined) this.#referenceKl = (this.#referenceKl ?? 0) + kl;
    if (displacement !== undefined) this.#displacement = (this.#displacement ?? 0) + displacement;
    this.#loss += result.loss;
    this.#clippedLow += result.clippedLow;
    this.#clippedHigh += result.clippedHigh;
    this.#entropy += sumOf(result.entropies);
    forEachLabel(batch, (t) => {
      this.#labels++;
      const logProb = result.logProbs[t] as number;
      this.#logRatio += (oldLogProbs[t] as number) - logProb;
      if ((advantages[t] as number) <= 0) return;
      this.#positiveLabels++;
      this.#positiveLogProb += logProb;
    });
  }

  endUpdate(gradientNorm: number): void {
    this.#gradientNorms.push(gradientNorm);
  }

  metrics(): Record<string, number> {
    if (this.updates === 0) return {};
    return {
      'actor/pg_loss': this.#loss / this.updates,
      'actor/pg_clipfrac': this.#clippedHigh / this.#labels,
      'actor/pg_clipfrac_lower': this.#clippedLow / this.#labels,
      'actor/ppo_kl': this.#logRatio / this.#labels,
      ...(this.#referenceKl === undefined
        ? {}
        : { 'actor/kl_to_reference': this.#referenceKl / this.#labels }),
      ...(this.#displacement === undefined
        ? {}
        : { 'actor/displacement': this.#displacement / this.#labels }),
      'actor/entropy': this.#entropy / this.#labels,
      // Falls for many steps before search policies collapse (arXiv:2512.04220).
      'actor/positive_log_prob': this.#positiveLogProb / Math.max(this.#positiveLabels, 1),
      'actor/grad_norm': meanOf(this.#gradientNorms),
      'actor/label_tokens': this.#labels,
    };
  }
}
