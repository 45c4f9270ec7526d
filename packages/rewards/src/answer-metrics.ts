// Exact match and token overlap of one prediction with one gold answer, best over its aliases.
import type { Gold } from '@masksearch/core';
import { answerTokens, normalizeAnswer } from './normalize-answer.ts';

/** A number in [0, 1] for a prediction and a gold answer; 1 is best. */
export type AnswerMetric = (prediction: string, gold: Gold) => number;

interface Overlap {
  /** Tokens in common, counted as often as they occur in both. */
  readonly common: number;
  readonly predicted: number;
  readonly expected: number;
}

function overlap(prediction: readonly string[], expected: readonly string[]): Overlap {
  const left = new Map<string, number>();
  for (const token of expected) left.set(token, (left.get(token) ?? 0) + 1);
  let common = 0;
  for (const token of prediction) {
    const count = left.get(token) ?? 0;
    if (count === 0) continue;
    left.set(token, count - 1);
    common++;
  }
  return { common, predicted: prediction.length, expected: expected.length };
}

const CLOSED_ANSWERS = new Set(['yes', 'no', 'noanswer']);

/** The best of `score` over the gold text and its aliases. */
function bestOverlap(prediction: string, gold: Gold, score: (overlap: Overlap) => number): number {
  const predicted = answerTokens(prediction);
  const scores = [gold.text, ...gold.aliases].map((text) => {
    const expected = answerTokens(text);
    if (isContradiction(predicted, expected)) return 0;
    return score(overlap(predicted, expected));
  });
  return Math.max(...scores);
}

/** HotpotQA's rule: yes, no and noanswer earn nothing by overlap with anything else. */
function isContradiction(predicted: readonly string[], expected: readonly string[]): boolean {
  const [a, b] = [predicted.join(' '), expected.join(' ')];
  return a !== b && (CLOSED_ANSWERS.has(a) || CLOSED_ANSWERS.has(b));
}

/** 1 if the normalised prediction equals the gold text or an alias, else 0. */
export function exactMatch(prediction: string, gold: Gold): number {
  const predicted = normalizeAnswer(prediction);
  return [gold.text, ...gold.aliases].some((text) => normalizeAnswer(text) === predicted) ? 1 : 0;
}

/** Share of the gold tokens that the prediction has; rewards long predictions, see `brevity`. */
export function tokenRecall(prediction: string, gold: Gold): number {
  return bestOverlap(prediction, gold, ({ common, expected }) => ratio(common, expected));
}

/** Share of the prediction's tokens that the gold has. */
export function tokenPrecision(prediction: string, gold: Gold): number {
  return bestOverlap(prediction, gold, ({ common, predicted }) => ratio(common, predicted));
}

/** Harmonic mean of token precision and recall. */
export function tokenF1(prediction: string, gold: Gold): number {
  return bestOverlap(prediction, gold, ({ common, predicted, expected }) =>
    ratio(2 * common, predicted + expected),
  );
}

/**
 * Factor against answers that are longer than the gold: min(1, c · |gold| / |prediction|).
 *
 * @param lengths   Tokens of the prediction and of the gold; an empty prediction has factor 1.
 * @param allowance c: how many times the gold's length is free of charge.
 */
export function brevity(
  lengths: { readonly predicted: number; readonly expected: number },
  allowance = 1,
): number {
  if (lengths.predicted === 0) return 1;
  return Math.min(1, (allowance * lengths.expected) / lengths.predicted);
}

/** Token recall × brevity: the default answer reward. Stuffing candidates earns no more than guessing one. */
export function briefRecall(allowance = 1): AnswerMetric {
  return (prediction, gold) =>
    bestOverlap(
      prediction,
      gold,
      (counts) => ratio(counts.common, counts.expected) * brevity(counts, allowance),
    );
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
