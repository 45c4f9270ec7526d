// Supervised fine-tuning: phases of examples through a LanguageModel, with checkpoints and metrics.
import { z } from 'zod';
import { InputError } from '@masksearch/core';
import type { AdamWOptions, LanguageModel } from '@masksearch/model';
import { sumOf } from '../numbers.ts';
import { countLabels, countTokens, packMicroBatches, type TrainingExample } from '../packing.ts';
import { flattenSettings, hashExamples, hashValues, type Fingerprint } from '../run/fingerprint.ts';
import type { MetricsRow } from '../run/metrics-log.ts';
import { parseConfig } from '../run/parse-config.ts';
import { RunJournal, type CheckpointOptions } from '../run/run-journal.ts';
import type { Schedule } from '../schedule.ts';
import {
  countPhaseSteps,
  phaseCursorSchema,
  PhaseReader,
  PHASES_START,
  type PhaseCursor,
  type SftPhase,
} from './phases.ts';

export const sftConfigSchema = z.strictObject({
  /** Tokens of one optimizer step, prompts included; a step takes whole examples up to this. */
  batchTokens: z.int().min(1),
  /** Tokens of one forward and backward pass; bounds memory, does not change the result. */
  microBatchTokens: z.int().min(1),
  /** Of the shuffles. */
  seed: z.int(),
});
export type SftConfig = z.infer<typeof sftConfigSchema>;

export interface SftOptions extends SftConfig {
  readonly model: LanguageModel;
  /** The curriculum, in order. */
  readonly phases: readonly SftPhase[];
  readonly schedule: Schedule;
  /** Everything of AdamW but the learning rate. */
  readonly adamW?: Omit<AdamWOptions, 'learningRate'>;
  /** Where to save and resume from; absent = neither. */
  readonly checkpoints?: CheckpointOptions;
  /** Path of the metrics file (JSONL); absent = none. */
  readonly metrics?: string;
  /** Examples whose loss is measured every so many steps, without training on them. */
  readonly validation?: {
    readonly examples: readonly TrainingExample[];
    readonly everySteps: number;
  };
  /** When it fires the step in progress is finished and saved, and sft returns. */
  readonly signal?: AbortSignal;
  /** Called after each step with its metrics; awaited. */
  readonly onStep?: (row: MetricsRow) => void | Promise<void>;
}

export interface SftResult {
  /** Optimizer steps done in all, those of earlier processes included. */
  readonly steps: number;
  readonly totalSteps: number;
  /** Tokens read in all. */
  readonly tokens: number;
  /** Steps without a labelled token: neither optimizer nor schedule moved. */
  readonly skippedSteps: number;
  /** True when the signal ended the run before its last step. */
  readonly stopped: boolean;
}

const stateSchema = z.strictObject({
  step: z.int().min(0),
  scheduleStep: z.int().min(0),
  tokens: z.int().min(0),
  cursor: phaseCursorSchema,
});
type SftState = z.infer<typeof stateSchema>;

/**
 * Trains on phases of examples. Loss is the mean over all labelled tokens of an optimizer step,
 * whatever the micro-batches. The same options give the same weights, also across a kill and resume.
 *
 * @throws {ConfigError} settings out of range, or other than those of the checkpoint to resume from.
 * @throws {InputError} an example is malformed, or the gradient is not finite.
 * @throws {IntegrityError} a checkpoint is damaged.
 */
export async function sft(options: SftOptions): Promise<SftResult> {
  const { model, phases, schedule, signal } = options;
  const { batchTokens, microBatchTokens, seed } = options;
  parseConfig(sftConfigSchema, { batchTokens, microBatchTokens, seed }, 'sft');
  const totalSteps = countPhaseSteps({ phases, batchTokens, seed });
  const fingerprint = fingerprintOf(options, totalSteps);
  const journal = await RunJournal.open<SftState>({
    where: 'sft',
    model,
    checkpoints: options.checkpoints,
    metrics: options.metrics,
    fingerprint: () => fingerprint,
    stateSchema,
    initial: { step: 0, scheduleStep: 0, tokens: 0, cursor: PHASES_START },
  });
  let state = journal.state;
  const reader = new PhaseReader({ phases, batchTokens, seed, cursor: state.cursor });
  try {
    while (!signal?.aborted) {
      const startedMs = performance.now();
      const batch = reader.next();
      if (!batch) break;
      const learningRate = schedule(state.scheduleStep, totalSteps);
      const update = await trainStep(options, batch.examples, learningRate);
      state = advance(state, reader.cursor, update);
      const seconds = (performance.now() - startedMs) / 1000;
      const row: MetricsRow = {
        step: state.step,
        'train/phase': batch.phase,
        'train/epoch': batch.epoch,
        'train/lr': learningRate,
        ...update.metrics,
        'train/total_tokens': state.tokens,
        ...(await validate(options, state.step)),
        'timing_s/step': seconds,
        'perf/throughput': update.tokens / seconds,
      };
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
    totalSteps,
    tokens: state.tokens,
    skippedSteps: state.step - state.scheduleStep,
    stopped: state.step < totalSteps,
  };
}

interface SftUpdate {
  readonly tokens: number;
  readonly skipped: boolean;
  readonly metrics: MetricsRow;
}

/** One optimizer step. Without a labelled token nothing moves. */
async function trainStep(
  { model, microBatchTokens, adamW }: SftOptions,
  examples: readonly TrainingExample[],
  learningRate: number,
): Promise<SftUpdate> {
  const tokens = countTokens(examples);
  const labels = countLabels(examples); // T, fixed before the first backward
  const microBatches = packMicroBatches(examples, microBatchTokens);
  if (labels === 0) {
    return { tokens, skipped: true, metrics: { 'train/skipped': 1, 'train/tokens': tokens } };
  }
  let loss = 0;
  let entropy = 0;
  for (const { batch } of microBatches) {
    const result = await model.accumulate(batch, { type: 'cross-entropy', scale: 1 / labels });
    loss += result.loss;
    entropy += sumOf(result.entropies);
  }
  const { gradientNorm } = await model.step({ ...adamW, learningRate });
  if (!Number.isFinite(gradientNorm) || !Number.isFinite(loss)) {
    throw new InputError(
      `sft: expected a finite loss and gradient, received loss ${loss}, gradient norm ${gradientNorm}; lower the learning rate or resume from a checkpoint.`,
    );
  }
  const metrics = {
    'train/loss': loss,
    'train/entropy': entropy / labels,
    'train/grad_norm': gradientNorm,
    'train/tokens': tokens,
    'train/label_tokens': labels,
    'train/examples': examples.length,
    'train/micro_batches': microBatches.length,
    'train/skipped': 0,
  };
  return { tokens, skipped: false, metrics };
}

async function validate(
  { model, validation, microBatchTokens }: SftOptions,
  step: number,
): Promise<MetricsRow> {
  if (!validation || step % validation.everySteps !== 0) return {};
  let logProb = 0;
  for (const { batch } of packMicroBatches(validation.examples, microBatchTokens)) {
    logProb += sumOf((await model.score(batch)).logProbs);
  }
  return { 'val/loss': -logProb / Math.max(countLabels(validation.examples), 1) };
}

function advance(state: SftState, cursor: PhaseCursor, update: SftUpdate): SftState {
  return {
    step: state.step + 1,
    scheduleStep: state.scheduleStep + (update.skipped ? 0 : 1),
    tokens: state.tokens + update.tokens,
    cursor,
  };
}

function fingerprintOf(options: SftOptions, totalSteps: number): Fingerprint {
  const phases = options.phases.map(({ examples, generate, ...settings }) => ({
    ...settings,
    ...(examples ? { examples: hashExamples(examples) } : {}),
    ...(generate ? { generated: hashExamples(generate(0)) } : {}),
  }));
  return {
    ...flattenSettings({
      batchTokens: options.batchTokens,
      microBatchTokens: options.microBatchTokens,
      seed: options.seed,
      adamW: options.adamW ?? {},
      model: options.model.config,
      adapter: options.model.adapter?.config ?? {},
      phases,
    }),
    schedule: hashValues((step) => options.schedule(step, totalSteps), totalSteps),
  };
}
