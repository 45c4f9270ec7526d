// The best passages of a query: exactly what adding up every posting would give, without adding up every posting.
import { termScore } from './bm25.ts';
import { type Hit, TopHeap } from './top-heap.ts';

/** One distinct term of a query. */
export interface QueryTerm {
  /** idf times the term's count in the query. */
  readonly weight: number;
  /** No passage gets more than this from the term. */
  readonly bound: number;
  /** Passages of the corpus that hold the term: more than `passages` has where the index is a part of it. */
  readonly documentFrequency: number;
  /** Passages that hold the term, ascending. */
  readonly passages: Uint32Array;
  readonly frequencies: Uint8Array | Uint32Array;
}

/** Bounds are taken this much larger and thresholds this much smaller: far more than sums of doubles can round. */
const SLACK = 1e-9;

/** How many scanned postings cost as much as one step of a binary search. */
const SEARCH_STEP_COST = 2;

/** The order in which scores are summed: rare terms first. Fixed, because floating-point sums depend on it. */
export function inScoringOrder<T extends { readonly documentFrequency: number }>(
  terms: readonly T[],
): T[] {
  return [...terms].sort((a, b) => a.documentFrequency - b.documentFrequency);
}

/**
 * Term-at-a-time MaxScore. Rare terms are added for all their passages; once the terms left cannot lift a new passage
 * into the top, only passages already met are followed, and those that cannot reach the top any more are dropped.
 * @see Turtle and Flood, "Query evaluation: strategies and optimizations", IPM 31(6), 1995
 */
export class QueryScorer {
  /** Per passage: k1 · (1 − b + b · length / average). */
  readonly #norms: Float64Array;
  /** Per passage: sum of its scores so far; 0 for passages not met. */
  readonly #sums: Float64Array;
  readonly #met: Uint32Array;
  #metCount = 0;

  constructor(norms: Float64Array) {
    this.#norms = norms;
    this.#sums = new Float64Array(norms.length);
    this.#met = new Uint32Array(norms.length);
  }

  /** The best `count` passages that hold a term, best first, ties in corpus order. */
  top(queryTerms: readonly QueryTerm[], count: number): Hit[] {
    const capacity = Math.min(count, this.#norms.length);
    const terms = inScoringOrder(queryTerms);
    const remaining = boundsOfRest(terms);
    let i = 0;
    for (; i < terms.length; i++) {
      if (this.#best(capacity).threshold * (1 - SLACK) > (remaining[i] as number)) break;
      this.#addAll(terms[i] as QueryTerm);
    }
    for (; i < terms.length; i++) {
      const needed = this.#best(capacity).threshold - (remaining[i] as number);
      this.#dropBelow(needed * (1 - SLACK));
      this.#addToMet(terms[i] as QueryTerm);
    }
    const hits = this.#best(capacity).sorted();
    this.#reset();
    return hits;
  }

  #best(capacity: number): TopHeap {
    const heap = new TopHeap(capacity);
    let threshold = heap.threshold;
    for (let m = 0; m < this.#metCount; m++) {
      const passage = this.#met[m] as number;
      const score = this.#sums[passage] as number;
      if (score < threshold) continue;
      heap.offer(passage, score);
      threshold = heap.threshold;
    }
    return heap;
  }

  #addAll({ passages, frequencies, weight }: QueryTerm): void {
    for (let i = 0; i < passages.length; i++) {
      const passage = passages[i] as number;
      const sum = this.#sums[passage] as number;
      if (sum === 0) this.#met[this.#metCount++] = passage;
      this.#sums[passage] =
        sum + termScore(weight, frequencies[i] as number, this.#norms[passage] as number);
    }
  }

  #addToMet(term: QueryTerm): void {
    const { passages } = term;
    const searchCost = this.#metCount * Math.log2(passages.length + 1) * SEARCH_STEP_COST;
    if (searchCost < passages.length) {
      for (let m = 0; m < this.#metCount; m++) {
        const passage = this.#met[m] as number;
        const i = lowerBound(passages, passage);
        if (passages[i] === passage) this.#add(term, i, passage);
      }
    } else {
      for (let i = 0; i < passages.length; i++) {
        const passage = passages[i] as number;
        if (this.#sums[passage] !== 0) this.#add(term, i, passage);
      }
    }
  }

  #add({ frequencies, weight }: QueryTerm, i: number, passage: number): void {
    const norm = this.#norms[passage] as number;
    this.#sums[passage] =
      (this.#sums[passage] as number) + termScore(weight, frequencies[i] as number, norm);
  }

  #dropBelow(score: number): void {
    let kept = 0;
    for (let m = 0; m < this.#metCount; m++) {
      const passage = this.#met[m] as number;
      if ((this.#sums[passage] as number) < score) this.#sums[passage] = 0;
      else this.#met[kept++] = passage;
    }
    this.#metCount = kept;
  }

  #reset(): void {
    for (let m = 0; m < this.#metCount; m++) this.#sums[this.#met[m] as number] = 0;
    this.#metCount = 0;
  }
}

/** Entry i: the most that terms i, i + 1, … can add together. */
function boundsOfRest(terms: readonly QueryTerm[]): Float64Array {
  const rest = new Float64Array(terms.length + 1);
  for (let i = terms.length - 1; i >= 0; i--) {
    rest[i] = (rest[i + 1] as number) + (terms[i] as QueryTerm).bound * (1 + SLACK);
  }
  return rest;
}

/** First index whose value is at least `value`. */
function lowerBound(values: Uint32Array, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
