// Counts of neighbouring symbols in a set of words, kept up to date while pairs are merged.

import { Heap } from './heap.ts';

/** A distinct word as symbol ids (changed by merging) and how often it occurs. */
export interface TrainingWord {
  symbols: number[];
  readonly count: number;
}

export interface Pair {
  readonly left: number;
  readonly right: number;
}

// A pair is keyed as one number; ids stay far below this.
const RADIX = 2 ** 25;

interface Claim {
  readonly count: number;
  readonly key: number;
}

interface PairEntry {
  count: number;
  /** Words that hold or held the pair. */
  readonly words: Set<TrainingWord>;
}

/** The pairs of all words by frequency; ties by left id, then right id. */
export class PairCounts {
  readonly #entries = new Map<number, PairEntry>();
  /** A claim whose count is outdated is corrected when it surfaces. */
  readonly #claims = new Heap<Claim>(precedes);

  constructor(words: readonly TrainingWord[]) {
    for (const word of words) this.#count(word, 1, null);
    for (const [key, entry] of this.#entries) this.#claims.push({ count: entry.count, key });
  }

  /** The most frequent pair, which is then no longer offered; undefined when none occurs `minimum` times. */
  takeMostFrequent(minimum: number): Pair | undefined {
    for (let top = this.#claims.pop(); top !== undefined; top = this.#claims.pop()) {
      const count = this.#entries.get(top.key)?.count ?? 0;
      if (count !== top.count) {
        if (count > 0) this.#claims.push({ count, key: top.key });
        continue;
      }
      if (count < minimum) return undefined;
      return { left: Math.floor(top.key / RADIX), right: top.key % RADIX };
    }
    return undefined;
  }

  /** Replaces the pair by `merged` wherever it occurs. */
  merge(pair: Pair, merged: number): void {
    const entry = this.#entries.get(pair.left * RADIX + pair.right);
    if (entry === undefined) return;
    const touched = new Set<number>();
    for (const word of entry.words) {
      const symbols = mergePair(word.symbols, pair, merged);
      if (symbols.length === word.symbols.length) continue;
      this.#count(word, -1, null);
      word.symbols = symbols;
      this.#count(word, 1, touched);
    }
    this.#entries.delete(pair.left * RADIX + pair.right);
    for (const key of touched) {
      const count = this.#entries.get(key)?.count ?? 0;
      if (count > 0) this.#claims.push({ count, key });
    }
  }

  #count(word: TrainingWord, sign: 1 | -1, touched: Set<number> | null): void {
    const { symbols, count } = word;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const key = (symbols[i] as number) * RADIX + (symbols[i + 1] as number);
      let entry = this.#entries.get(key);
      if (entry === undefined) {
        entry = { count: 0, words: new Set() };
        this.#entries.set(key, entry);
      }
      entry.count += sign * count;
      if (sign > 0) entry.words.add(word);
      touched?.add(key);
    }
  }
}

function precedes(a: Claim, b: Claim): boolean {
  return a.count > b.count || (a.count === b.count && a.key < b.key);
}

function mergePair(symbols: readonly number[], pair: Pair, merged: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < symbols.length; i++) {
    if (symbols[i] === pair.left && symbols[i + 1] === pair.right) {
      result.push(merged);
      i++;
    } else {
      result.push(symbols[i] as number);
    }
  }
  return result;
}
