// What training a model takes on the CPU or a GPU, in full and with an adapter, by sequence length, and what makes it fit.
import { planMemory, type MemoryPlan } from '@masksearch/engine';
import { loraTargets, type DecoderConfig } from '@masksearch/model';

export const MODES = ['full', 'lora'] as const;
export type Mode = (typeof MODES)[number];

export interface NeedsQuestion {
  readonly config: DecoderConfig;
  /** Tokens of the longest episode, one answer for each. */
  readonly sequenceTokens: readonly number[];
  /** Tokens of a forward and backward pass, as `sft.microBatchTokens`; at least the sequence. */
  readonly microBatchTokens: number;
  /** Episodes sampled at once, as `rl.concurrency`. */
  readonly concurrency: number;
  /** Rank of the adapter on all projections. */
  readonly rank: number;
  readonly threads: number;
  /** Of packed matrices and activations, as `model.dtype`. */
  readonly dtype: 'float32' | 'bfloat16';
  /** A GPU plays for device memory alone. Default: `cpu`. */
  readonly device?: 'cpu' | 'cuda';
  /** Memory that may be used. */
  readonly memoryBytes: number;
}

/** Settings that bound memory and change no result. */
export interface MemorySettings {
  readonly microBatchTokens: number;
  readonly concurrency: number;
}

export interface MemoryNeed {
  readonly mode: Mode;
  readonly sequenceTokens: number;
  /** Bytes by what holds them, at the settings asked about. */
  readonly plan: MemoryPlan;
  /** Those and, on the CPU, the process itself. */
  readonly totalBytes: number;
  readonly fits: boolean;
  /** The largest settings that fit, null if none do. */
  readonly fitting: MemorySettings | null;
}

// Node, the code, a vocabulary of 150,000 tokens and the search index's cache, measured with nothing else in memory.
const PROCESS_BYTES = 300 * 2 ** 20;

/** Answers in the order of sequence lengths, `full` before `lora`. @throws as `planMemory`. */
export function memoryNeeds(question: NeedsQuestion): MemoryNeed[] {
  return question.sequenceTokens.flatMap((sequenceTokens) =>
    MODES.map((mode) => needOf(question, mode, sequenceTokens)),
  );
}

function needOf(question: NeedsQuestion, mode: Mode, sequenceTokens: number): MemoryNeed {
  const { memoryBytes } = question;
  const totalOf = (settings: MemorySettings): number =>
    planOf(question, mode, sequenceTokens, settings).total +
    (question.device === 'cuda' ? 0 : PROCESS_BYTES);
  const asked = {
    microBatchTokens: Math.max(question.microBatchTokens, sequenceTokens),
    concurrency: question.concurrency,
  };
  return {
    mode,
    sequenceTokens,
    plan: planOf(question, mode, sequenceTokens, asked),
    totalBytes: totalOf(asked),
    fits: totalOf(asked) <= memoryBytes,
    fitting: settingsBelow(asked, sequenceTokens).find((s) => totalOf(s) <= memoryBytes) ?? null,
  };
}

function planOf(
  { config, threads, dtype, rank, device = 'cpu', memoryBytes }: NeedsQuestion,
  mode: Mode,
  sequenceTokens: number,
  { microBatchTokens, concurrency }: MemorySettings,
): MemoryPlan {
  return planMemory(config, {
    threads,
    dtype,
    device,
    ...(device === 'cuda' ? { memoryBytes } : {}),
    batchTokens: microBatchTokens,
    longestSequence: sequenceTokens,
    sequences: concurrency,
    contextTokens: sequenceTokens,
    ...(mode === 'lora'
      ? { lora: { rank, alpha: 2 * rank, dropout: 0, targets: [...loraTargets] } }
      : {}),
  });
}

/** What was asked about, then ever smaller: first fewer episodes at once, then smaller passes too. */
function settingsBelow(asked: MemorySettings, sequenceTokens: number): MemorySettings[] {
  const halvings = (start: number, least: number): number[] =>
    start <= least ? [least] : [start, ...halvings(Math.max(least, start >> 1), least)];
  return halvings(asked.microBatchTokens, sequenceTokens).flatMap((microBatchTokens) =>
    halvings(asked.concurrency, 1).map((concurrency) => ({ microBatchTokens, concurrency })),
  );
}
