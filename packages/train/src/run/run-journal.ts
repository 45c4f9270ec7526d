// What sft() and dapo() leave on disk: metrics rows and checkpoints, and how a killed run takes up again.
import { z, type ZodType } from 'zod';
import { ConfigError } from '@masksearch/core';
import type { LanguageModel } from '@masksearch/model';
import {
  latestCheckpoint,
  openCheckpoint,
  pruneCheckpoints,
  removeUnfinishedCheckpoints,
  saveCheckpoint,
} from './checkpoint.ts';
import { checkFingerprint, type Fingerprint } from './fingerprint.ts';
import { MetricsLog, type MetricsRow } from './metrics-log.ts';

const DEFAULT_KEEP = 2;

export interface CheckpointOptions {
  /** Holds the `step-NNNNNN` folders of this run and nothing of other runs. */
  readonly folder: string;
  /** A checkpoint every so many steps; one is also written at the end and when stopped. */
  readonly everySteps: number;
  /** How many to keep. Default 2. */
  readonly keep?: number;
  /** Text files put into every checkpoint by name, e.g. config.json and tokenizer.json. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface JournalOptions<State> {
  /** Name for messages: `sft` or `dapo`. */
  readonly where: string;
  readonly model: LanguageModel;
  readonly checkpoints: CheckpointOptions | undefined;
  /** Path of the metrics file; absent = none is written. */
  readonly metrics: string | undefined;
  /** Must be equal when the run resumes. May depend on the state resumed from. */
  readonly fingerprint: (state: State) => Fingerprint;
  readonly stateSchema: ZodType<State>;
  /** State of a run that starts anew. */
  readonly initial: State;
}

/** One run's files. Without `checkpoints` nothing is saved or resumed. */
export class RunJournal<State> {
  /** State to go on from: that of the latest checkpoint, or the initial one. */
  readonly state: State;
  /** True when a checkpoint was found and the model restored from it. */
  readonly resumed: boolean;
  readonly #options: JournalOptions<State>;
  readonly #metrics: MetricsLog | undefined;
  #savedStep: number | undefined;

  private constructor(
    options: JournalOptions<State>,
    resumed: { state: State; metricsBytes: number; step: number } | undefined,
  ) {
    this.#options = options;
    this.state = resumed?.state ?? options.initial;
    this.resumed = resumed !== undefined;
    this.#savedStep = resumed?.step;
    if (options.metrics !== undefined) {
      this.#metrics = new MetricsLog(options.metrics, resumed?.metricsBytes ?? 0);
    }
  }

  /**
   * Finds the latest checkpoint, restores the model from it and cuts the metrics file back to it.
   *
   * @throws {ConfigError} the run was started with other settings or data; names what differs.
   * @throws {IntegrityError} the checkpoint or the metrics file is damaged.
   */
  static async open<State>(options: JournalOptions<State>): Promise<RunJournal<State>> {
    const { where, checkpoints, model } = options;
    if (!checkpoints) return new RunJournal(options, undefined);
    checkOptions(where, checkpoints);
    removeUnfinishedCheckpoints(checkpoints.folder);
    pruneCheckpoints(checkpoints.folder, checkpoints.keep ?? DEFAULT_KEEP);
    const path = latestCheckpoint(checkpoints.folder);
    if (path === undefined) return new RunJournal(options, undefined);
    const checkpoint = await openCheckpoint(path, savedSchema(options.stateSchema));
    try {
      const { state: saved } = checkpoint;
      checkFingerprint(`${where}: ${path}`, saved.fingerprint, options.fingerprint(saved.state));
      await model.restore(checkpoint.model);
      return new RunJournal(options, saved);
    } finally {
      checkpoint.close();
    }
  }

  record(row: MetricsRow): void {
    this.#metrics?.write(row);
  }

  /** Saves when a checkpoint is due at `step`, or always with `force`; never the same step twice. */
  async save(step: number, state: State, { force }: { force: boolean }): Promise<void> {
    const { checkpoints, model, fingerprint } = this.#options;
    if (!checkpoints || this.#savedStep === step) return;
    if (!force && step % checkpoints.everySteps !== 0) return;
    const metricsBytes = this.#metrics?.sync() ?? 0;
    const saved = { step, metricsBytes, fingerprint: fingerprint(state), state };
    await saveCheckpoint(checkpoints.folder, step, { model, state: saved }, checkpoints.files);
    this.#savedStep = step;
    pruneCheckpoints(checkpoints.folder, checkpoints.keep ?? DEFAULT_KEEP);
  }

  close(): void {
    this.#metrics?.close();
  }
}

function savedSchema<State>(stateSchema: ZodType<State>) {
  return z.strictObject({
    step: z.int().min(0),
    metricsBytes: z.int().min(0),
    fingerprint: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    state: stateSchema,
  });
}

function checkOptions(where: string, { everySteps, keep = DEFAULT_KEEP }: CheckpointOptions): void {
  for (const [name, value] of Object.entries({ everySteps, keep })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new ConfigError(
        `${where}: expected checkpoints.${name} to be an integer >= 1, received ${value}.`,
      );
    }
  }
}
