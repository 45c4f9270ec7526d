// A curriculum of SFT phases as a stream of optimizer-step batches that can be saved and resumed.
import { z } from 'zod';
import { ConfigError, RandomStream } from '@masksearch/core';
import { countTokens, type TrainingExample } from '../packing.ts';

/** Makes the examples of one optimizer step. A pure function: the same step gives the same examples. */
export type ExampleGenerator = (stepInPhase: number) => readonly TrainingExample[];

/**
 * One stage of a curriculum. Exactly one of steps, tokens and epochs says when it ends. It trains on
 * `examples`, on what `generate` makes, or on both in turn.
 */
export interface SftPhase {
  readonly name: string;
  /** Shuffled anew in every epoch. */
  readonly examples?: readonly TrainingExample[];
  /** For instance random sequences that repeat themselves, which teach copying. */
  readonly generate?: ExampleGenerator;
  /** With both: every so-manyth step is a generated one. Default 2. */
  readonly generateEvery?: number;
  /** Optimizer steps. */
  readonly steps?: number;
  /** Tokens, prompt included; the phase ends with the step that reaches them. */
  readonly tokens?: number;
  /** Passes over `examples`. */
  readonly epochs?: number;
}

export const phaseCursorSchema = z.strictObject({
  phase: z.int().min(0),
  stepInPhase: z.int().min(0),
  tokensInPhase: z.int().min(0),
  epoch: z.int().min(0),
  /** Examples of this epoch already taken. */
  position: z.int().min(0),
});
export type PhaseCursor = z.infer<typeof phaseCursorSchema>;

export const PHASES_START: PhaseCursor = {
  phase: 0,
  stepInPhase: 0,
  tokensInPhase: 0,
  epoch: 0,
  position: 0,
};

export interface PhaseBatch {
  readonly phase: string;
  readonly epoch: number;
  readonly examples: readonly TrainingExample[];
}

/** Reads phases from a cursor on. The order depends on (seed, phase, epoch) and nothing else. */
export class PhaseReader {
  readonly #phases: readonly SftPhase[];
  readonly #batchTokens: number;
  readonly #seed: number;
  #cursor: PhaseCursor;
  #order: { key: string; indices: readonly number[] } | undefined;

  /** @throws {ConfigError} a phase is contradictory or has nothing to train on. */
  constructor(options: {
    phases: readonly SftPhase[];
    batchTokens: number;
    seed: number;
    cursor: PhaseCursor;
  }) {
    options.phases.forEach(checkPhase);
    this.#phases = options.phases;
    this.#batchTokens = options.batchTokens;
    this.#seed = options.seed;
    this.#cursor = options.cursor;
  }

  get cursor(): PhaseCursor {
    return this.#cursor;
  }

  /** The next optimizer step's examples, or undefined after the last phase. */
  next(): PhaseBatch | undefined {
    for (;;) {
      const phase = this.#phases[this.#cursor.phase];
      if (!phase) return undefined;
      if (!isFinished(phase, this.#cursor)) return this.#take(phase);
      this.#cursor = { ...PHASES_START, phase: this.#cursor.phase + 1 };
    }
  }

  #take(phase: SftPhase): PhaseBatch {
    const { epoch, stepInPhase } = this.#cursor;
    const examples = isGenerated(phase, stepInPhase)
      ? (phase.generate?.(stepInPhase) ?? [])
      : this.#takeExamples(phase, phase.examples ?? []);
    if (examples.length === 0) {
      throw new ConfigError(
        `sft: phase ${phase.name}: expected generate(${stepInPhase}) to return examples, received none.`,
      );
    }
    this.#cursor = {
      ...this.#cursor,
      stepInPhase: stepInPhase + 1,
      tokensInPhase: this.#cursor.tokensInPhase + countTokens(examples),
    };
    return { phase: phase.name, epoch, examples };
  }

  /**
   * Examples up to `batchTokens` tokens, at least one. A batch may span two epochs, but takes no more
   * examples than there are, and none beyond the phase's last epoch.
   */
  #takeExamples(phase: SftPhase, all: readonly TrainingExample[]): TrainingExample[] {
    const taken: TrainingExample[] = [];
    let tokens = 0;
    let { epoch, position } = this.#cursor;
    while (taken.length < all.length && epoch < (phase.epochs ?? Infinity)) {
      const example = all[this.#orderOf(epoch, all.length)[position] ?? 0];
      if (!example || (taken.length > 0 && tokens + example.ids.length > this.#batchTokens)) break;
      taken.push(example);
      tokens += example.ids.length;
      position++;
      if (position === all.length) {
        position = 0;
        epoch++;
      }
    }
    this.#cursor = { ...this.#cursor, epoch, position };
    return taken;
  }

  #orderOf(epoch: number, length: number): readonly number[] {
    const phase = this.#cursor.phase;
    const key = `${phase}/${epoch}`;
    if (this.#order?.key !== key) {
      const random = new RandomStream(this.#seed, 'sft-order', phase, epoch);
      this.#order = { key, indices: random.shuffled(Array.from({ length }, (_, i) => i)) };
    }
    return this.#order.indices;
  }
}

/**
 * Optimizer steps of all phases together. Phases that end by tokens or epochs are read through once.
 *
 * @throws {ConfigError} as PhaseReader.
 */
export function countPhaseSteps(options: {
  phases: readonly SftPhase[];
  batchTokens: number;
  seed: number;
}): number {
  options.phases.forEach(checkPhase);
  return options.phases.reduce((total, { steps }, index) => {
    if (steps !== undefined) return total + steps;
    const reader = new PhaseReader({
      ...options,
      phases: options.phases.slice(0, index + 1),
      cursor: { ...PHASES_START, phase: index },
    });
    let counted = 0;
    while (reader.next()) counted++;
    return total + counted;
  }, 0);
}

function isGenerated(phase: SftPhase, stepInPhase: number): boolean {
  if (!phase.generate) return false;
  return !phase.examples || stepInPhase % (phase.generateEvery ?? 2) === 0;
}

function isFinished(phase: SftPhase, cursor: PhaseCursor): boolean {
  if (phase.steps !== undefined) return cursor.stepInPhase >= phase.steps;
  if (phase.tokens !== undefined) return cursor.tokensInPhase >= phase.tokens;
  return cursor.epoch >= (phase.epochs ?? 0);
}

function checkPhase(phase: SftPhase): void {
  const where = `sft: phase ${phase.name}`;
  const { steps, tokens, epochs, examples, generate, generateEvery } = phase;
  const ends = [steps, tokens, epochs].filter((end) => end !== undefined);
  if (ends.length !== 1 || ends.some((end) => !(Number.isFinite(end) && end >= 0))) {
    throw new ConfigError(
      `${where}: expected one of steps, tokens and epochs, a number >= 0, received ${JSON.stringify({ steps, tokens, epochs })}.`,
    );
  }
  if (!generate && (!examples || examples.length === 0)) {
    throw new ConfigError(`${where}: expected examples or generate, received neither.`);
  }
  if (examples?.length === 0) {
    throw new ConfigError(`${where}: expected at least one example, received none.`);
  }
  if (epochs !== undefined && generate) {
    throw new ConfigError(
      `${where}: expected steps or tokens for a phase with generate, received epochs.`,
    );
  }
  if (generateEvery !== undefined && !(Number.isInteger(generateEvery) && generateEvery >= 2)) {
    throw new ConfigError(
      `${where}: expected generateEvery to be an integer >= 2, received ${generateEvery}.`,
    );
  }
}
