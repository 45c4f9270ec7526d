// How hard a task is, in [0, 1]; larger is harder.
import type { Span } from '@masksearch/core';

/** Shares of the three parts. Ours: the paper names no measure. */
const WEIGHTS = { slots: 0.5, evidence: 0.3, hidden: 0.2 };

export interface DifficultyInput {
  readonly text: string;
  readonly slots: readonly Span[];
  /** Largest k of the run. */
  readonly kMax: number;
  /** Per slot: rank of the first search result that holds it, or null; see `evidenceRanks`. */
  readonly ranks: readonly (number | null)[];
  /** How many results were looked through. */
  readonly topK: number;
}

/**
 * 0.5 · (k − 1) / (kMax − 1) + 0.3 · mean over slots of log(rank) / log(topK + 1) + 0.2 · hidden share of
 * the text's characters. A slot without evidence has rank topK + 1; with kMax = 1 the first part is 0.
 */
export function difficulty({ text, slots, kMax, ranks, topK }: DifficultyInput): number {
  const slotPart = kMax > 1 ? (slots.length - 1) / (kMax - 1) : 0;
  const effort = ranks.map((rank) => Math.log(rank ?? topK + 1) / Math.log(topK + 1));
  const hidden = sum(slots.map(({ start, end }) => end - start)) / text.length;
  const value =
    WEIGHTS.slots * slotPart +
    WEIGHTS.evidence * (sum(effort) / slots.length) +
    WEIGHTS.hidden * hidden;
  return Math.min(1, Math.max(0, value));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
