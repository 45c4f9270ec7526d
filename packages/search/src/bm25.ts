// The BM25 formula, in the form Lucene has used since version 8.
import { ConfigError } from '@masksearch/core';

/** k1 saturates the term frequency, b weighs the passage length. */
export interface Bm25Parameters {
  /** >= 0. */
  readonly k1: number;
  /** In 0..1. */
  readonly b: number;
}

/** What Anserini and Pyserini use for passages. */
export const DEFAULT_BM25: Bm25Parameters = { k1: 0.9, b: 0.4 };

/** @throws {ConfigError} k1 is negative or b outside 0..1. */
export function checkBm25Parameters({ k1, b }: Bm25Parameters): void {
  if (!(Number.isFinite(k1) && k1 >= 0)) {
    throw new ConfigError(`bm25: expected k1 to be a number >= 0, received ${k1}.`);
  }
  if (!(b >= 0 && b <= 1)) {
    throw new ConfigError(`bm25: expected b to be in 0..1, received ${b}.`);
  }
}

/** ln(1 + (N − df + 0.5) / (df + 0.5)): always positive. */
export function inverseDocumentFrequency(passageCount: number, documentFrequency: number): number {
  return Math.log(1 + (passageCount - documentFrequency + 0.5) / (documentFrequency + 0.5));
}

/**
 * k1 · (1 − b + b · length / average). The length is exact: Lucene stores it in one byte, which rounds lengths of
 * 40 and more down, so its scores of longer passages differ a little.
 */
export function lengthNorm(
  { k1, b }: Bm25Parameters,
  lengthTerms: number,
  averageLength: number,
): number {
  return k1 * (1 - b + (b * lengthTerms) / averageLength);
}

/** What `frequency` occurrences of a term add to a passage's score; `weight` is idf times the count in the query. */
export function termScore(weight: number, frequency: number, norm: number): number {
  return (weight * frequency) / (frequency + norm);
}
