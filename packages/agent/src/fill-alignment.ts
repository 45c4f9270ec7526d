// Finds what a filled paragraph puts in each gap: words aligned with the masked paragraph by least edits.
import { MASK_MARKER } from '@masksearch/core';

interface Word {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

// A gap takes words for free but prefers taking one to none.
const CHANGED = 1;
const LOST = 1;
const ADDED = 1;
const EMPTY_GAP = 0.5;

/**
 * The text in each `[mask]` of `masked`, taken from `filled`; '' where nothing is there. `filled` need not repeat the
 * rest of the paragraph exactly. O(words²).
 */
export function alignFilled(masked: string, filled: string): string[] {
  const pattern = wordsOf(masked);
  const words = wordsOf(filled);
  const costs = alignmentCosts(pattern, words);
  return readGaps(pattern, words, costs, filled);
}

function wordsOf(text: string): Word[] {
  const words: Word[] = [];
  for (const match of text.matchAll(/\[mask\]|[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu)) {
    words.push({ text: match[0], start: match.index, end: match.index + match[0].length });
  }
  return words;
}

/** costs[i][j]: least cost of aligning the pattern from i with the words from j. */
function alignmentCosts(pattern: readonly Word[], words: readonly Word[]): Float64Array[] {
  const [n, m] = [pattern.length, words.length];
  const costs = Array.from({ length: n + 1 }, () => new Float64Array(m + 1));
  const at = (i: number, j: number): number => (costs[i] as Float64Array)[j] as number;
  for (let i = n; i >= 0; i--) {
    const row = costs[i] as Float64Array;
    // If i is a gap: least cost once it has taken a word.
    let taken = Infinity;
    for (let j = m; j >= 0; j--) {
      if (i === n) {
        row[j] = (m - j) * ADDED;
      } else if (pattern[i]?.text === MASK_MARKER) {
        row[j] = Math.min(at(i + 1, j) + EMPTY_GAP, taken);
        taken = Math.min(taken, at(i + 1, j));
      } else {
        row[j] = at(i + 1, j) + LOST;
        if (j < m) {
          const paired = at(i + 1, j + 1) + changeCost(pattern[i], words[j]);
          row[j] = Math.min(at(i, j), paired, at(i, j + 1) + ADDED);
        }
      }
    }
  }
  return costs;
}

function changeCost(expected: Word | undefined, found: Word | undefined): number {
  return expected?.text === found?.text ? 0 : CHANGED;
}

function readGaps(
  pattern: readonly Word[],
  words: readonly Word[],
  costs: readonly Float64Array[],
  filled: string,
): string[] {
  const gaps: string[] = [];
  const at = (i: number, j: number): number => costs[i]?.[j] ?? Infinity;
  let j = 0;
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i]?.text === MASK_MARKER) {
      const end = gapEnd(at(i, j), (to) => at(i + 1, to), j, words.length);
      const [first, last] = [words[j], words[end - 1]];
      gaps.push(end > j && first && last ? filled.slice(first.start, last.end) : '');
      j = end;
      continue;
    }
    const paired = (): boolean => at(i, j) === at(i + 1, j + 1) + changeCost(pattern[i], words[j]);
    while (!paired() && at(i, j) === at(i, j + 1) + ADDED) j++;
    if (paired()) j++;
  }
  return gaps;
}

/** Where the gap ends: the shortest filling of least cost. */
function gapEnd(cost: number, costAfter: (to: number) => number, from: number, m: number): number {
  for (let to = from + 1; to <= m; to++) if (costAfter(to) === cost) return to;
  return from;
}
