// DAPO: sample groups, filter them, update the policy; with checkpoints and metrics. Knows nothing of
// agents, search or rewards: a function hands it samples.
import { z } from 'zod';
import { ConfigError, MaskSearchError, sampleSchema } from '@masksearch/core';
import type { AdamWOptions, LanguageModel } from '@masksearch/model';
import { flattenSettings, hashRecords, hashValues, type Fingerprint } from '../run/fingerprint.ts';
import type { MetricsRow } from '../run/metrics-log.ts';
import { parseConfig } from '../run/parse-config.ts';
import { RunJournal, type CheckpointOptions } from '../run/run-journal.ts';
import type { Schedule } from '../schedule.ts';
import { acceptRateSchema, expectedAcceptRate, NO_GROUPS_SEEN } from './accept-rate.ts';
import { dapoConfigSchema, type DapoConfig, type ResolvedDapoConfig } from './dapo-config.ts';
import { collectGroups, type Collect, type CollectedBatch } from './collect-groups.ts';
import { dapoRecipe, type Recipe } from './recipe.ts';
import {
  clockMetrics,
  ledgerMetrics,
  rolloutMetrics,
  samplingMetrics,
  versionLag,
} from './rollout-metrics.ts';
import {
  checkCurriculum,
  TASK_STREAM_START,
  TaskStream,
  taskStreamStateSchema,
  type CurriculumPhase,
  type StreamTask,
} from './task-stream.ts';
import { updatePolicy, type UpdateResult } from './update-policy.ts';

export interface DapoOptions<T extends StreamTask> {
  readonly model: LanguageModel;
  readonly tasks: readonly T[];
  readonly collect: Collect<T>;
  readonly config: DapoConfig;
  /** Default: dapoRecipe(). */
  readonly recipe?: Recipe;
  /** Task groups by step; absent = all tasks in one shuffled pool. */
  readonly curriculum?: readonly CurriculumPhase[];
  readonly schedule: Schedule;
  readonly adamW?: Omit<AdamWOptions, 'learningRate'>;
  /** Where to save and resume from; absent = neither. */
  readonly checkpoints?: CheckpointOptions;
  /** Path of the metrics file (JSONL); absent = none. */
  readonly metrics?: string;
  /** When it fires the step in progress is finished, or given up if `collect` does so, and saved. */
  readonly signal?: AbortSignal;
  /** Called after each step with its metrics; awaited. */
  readonly onStep?: (row: MetricsRow) => void | Promise<void>;
}

export interface DapoResult {
  /** Rollout steps done in all, those of earlier processes included. */
  readonly steps: number;
  /** Steps in which nothing could be trained on: neither optimizer nor schedule moved. */
  readonly skippedSteps: number;
  /** Steps trained on fewer groups than wanted. */
  readonly shortSteps: number;
  readonly generatedGroups: number;
  /** Policy tokens sampled, and those of them that were never trained on. */
  readonly generatedTokens: number;
  readonly wastedTokens: number;
  /** True when the signal ended the run before its last step. */
  readonly stopped: boolean;
}

const count = z.int().min(0);
const stateSchema = z.strictObject({
  step: count,
  scheduleStep: count,
  stream: taskStreamStateSchema,
  surplus: z
    .array(
      z.strictObject({ serial: count, step: count, samples: z.array(sampleSchema).readonly() }),
    )
    .readonly(),
  acceptRate: acceptRateSchema,
  shortSteps: count,
  generatedGroups: count,
  generatedTokens: count,
  wastedTokens: count,
});
type DapoState = z.infer<typeof stateSchema>;

const START: DapoState = {
  step: 0,
  scheduleStep: 0,
  stream: TASK_STREAM_START,
  surplus: [],
  acceptRate: NO_GROUPS_SEEN,
  shortSteps: 0,
  generatedGroups: 0,
  generatedTokens: 0,
  wastedTokens: 0,
};

/**
 * Trains a policy on groups of its own samples. The same options give the same weights, whatever the
 * order in which samples are finished, and also across a kill and resume.
 *
 * @throws {ConfigError} settings out of range, or other than those of the checkpoint to resume from.
 * @throws {InputError} samples break their contract, or the gradient is not finite.
 * @throws {IntegrityError} a checkpoint is damaged, or sampler and trainer disagree.
 * @throws {MaskSearchError} code 'empty-batch': the batch could not be filled and requireFullBatch is on.
 * @see DAPO, arXiv:2503.14476 Algorithm 1
 */
export async function dapo<T extends StreamTask>(options: DapoOptions<T>): Promise<DapoResult> {
  const { model, signal } = options;
  const config = parseConfig(dapoConfigSchema, options.config, 'dapo');
  const recipe = options.recipe ?? dapoRecipe();
  checkCurriculum(options);
  checkAdapter(model, config);
  const fingerprint = fingerprintOf(options, config, recipe);
  const journal = await RunJournal.open<DapoState>({
    where: 'dapo',
    model,
    checkpoints: options.checkpoints,
    metrics: options.metrics,
    // Only the part of the schedule that was used: a run may be given more steps if that leaves its
    // past alone.
    fingerprint: ({ scheduleStep }) => ({
      ...fingerprint,
      schedule: hashValues((step) => options.schedule(step, config.steps), scheduleStep),
    }),
    stateSchema,
    initial: START,
  });
  let state = journal.state;
  const stream = new TaskStream({ ...options, seed: config.seed, state: state.stream });
  try {
    while (state.step < config.steps && !signal?.aborted) {
      const started = performance.now();
      const collected = await collectUnlessStopped(options, config, recipe, stream, state);
      if (!collected) break;
      const collectedAt = performance.now();
      const learningRate = options.schedule(state.scheduleStep, config.steps);
      const version = model.version;
      const update = await updatePolicy({
        ...config,
        model,
        recipe,
        groups: collected.batch,
        adamW: { ...options.adamW, learningRate },
        truncatedImportance: config.truncatedImportance,
        step: state.step,
      });
      const row: MetricsRow = {
        step: state.step + 1,
        'curriculum/phase': stream.phaseName(state.step),
        ...rolloutMetrics(collected.generated),
        ...samplingMetrics(collected, config.samplesPerTask),
        'dapo/accept_rate': expectedAcceptRate(collected.acceptRate),
        'rollout/weight_version_lag': versionLag(collected, version),
        ...update.metrics,
        'actor/lr': learningRate,
        'actor/updates': update.updates,
        'actor/skipped_updates': update.skipped,
        ...ledgerMetrics(stream.state.ledger),
        ...clockMetrics({ started, collectedAt, ended: performance.now() }, collected),
      };
      state = advance(state, stream, collected, update, row, config);
      journal.record(row);
      await options.onStep?.(row);
      await journal.save(state.step, state, { force: false });
    }
    await journal.save(state.step, state, { force: true });
  } finally {
    journal.close();
  }
  return {
    steps: state.step,
    skippedSteps: state.step - state.scheduleStep,
    shortSteps: state.shortSteps,
    generatedGroups: state.generatedGroups,
    generatedTokens: state.generatedTokens,
    wastedTokens: state.wastedTokens,
    stopped: state.step < config.steps,
  };
}

/** @throws {ConfigError} the settings ask for an adapter that is not there or not fit for sampling. */
function checkAdapter({ adapter }: LanguageModel, config: ResolvedDapoConfig): void {
  if (config.klCoefficient > 0 && adapter === undefined) {
    throw new ConfigError(
      `dapo: expected a model with an adapter for klCoefficient ${config.klCoefficient}, received one without; its reference policy is the model with the adapter off.`,
    );
  }
  const dropout = adapter?.config.dropout ?? 0;
  if (dropout > 0) {
    throw new ConfigError(
      `dapo: expected an adapter without dropout, received ${dropout}; the policy that is trained has to be the one that sampled.`,
    );
  }
}

/** The step's batch, or undefined when `collect` gave up because the signal fired. */
async function collectUnlessStopped<T extends StreamTask>(
  { collect, model, signal }: DapoOptions<T>,
  config: ResolvedDapoConfig,
  recipe: Recipe,
  stream: TaskStream<T>,
  state: DapoState,
): Promise<CollectedBatch | undefined> {
  const { step, surplus, acceptRate } = state;
  try {
    const collected = await collectGroups({
      ...config,
      recipe,
      collect,
      stream,
      step,
      version: model.version,
      surplus,
      acceptRate,
      signal,
    });
    checkFull(collected, config, step);
    return collected;
  } catch (error) {
    const isStop = MaskSearchError.isInstance(error) && error.code === 'cancelled';
    if (isStop && signal?.aborted) return undefined;
    throw error;
  }
}

function checkFull(collected: CollectedBatch, config: ResolvedDapoConfig, step: number): void {
  if (!config.requireFullBatch || collected.batch.length === config.groupsPerStep) return;
  throw new MaskSearchError(
    'empty-batch',
    `dapo: expected ${config.groupsPerStep} accepted groups in step ${step}, received ${collected.batch.length} after ${collected.rounds} rounds; raise maximumRounds, choose tasks nearer the policy's ability, or turn requireFullBatch off.`,
  );
}

function advance<T extends StreamTask>(
  state: DapoState,
  stream: TaskStream<T>,
  collected: CollectedBatch,
  update: UpdateResult,
  row: MetricsRow,
  config: ResolvedDapoConfig,
): DapoState {
  const { batch, generated, acceptRate } = collected;
  return {
    step: state.step + 1,
    scheduleStep: state.scheduleStep + (update.updates > 0 ? 1 : 0),
    stream: stream.state,
    surplus: [...collected.surplus],
    acceptRate,
    shortSteps: state.shortSteps + (batch.length < config.groupsPerStep ? 1 : 0),
    generatedGroups: state.generatedGroups + generated.length,
    generatedTokens: state.generatedTokens + Number(row['dapo/generated_tokens']),
    wastedTokens: state.wastedTokens + Number(row['dapo/wasted_tokens']),
  };
}

function fingerprintOf<T extends StreamTask>(
  options: DapoOptions<T>,
  { steps: _, ...config }: ResolvedDapoConfig,
  recipe: Recipe,
): Fingerprint {
  return {
    ...flattenSettings({
      ...config,
      recipe: { name: recipe.name, ...recipe.settings },
      curriculum: options.curriculum ?? [],
      adamW: options.adamW ?? {},
      model: options.model.config,
      adapter: options.model.adapter?.config ?? {},
    }),
    tasks: hashRecords(options.tasks),
  };
}
