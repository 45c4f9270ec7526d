// The merges of a BPE model as an open-addressing hash table: (left id, right id) → rank and merged id.

/** No such pair. */
export const NO_MERGE = -1;

/** A merge rule: left id, right id, the id that they make. */
export type Merge = readonly [number, number, number];

/** Lookup of merge rules by pair of token ids; the lower the rank, the earlier it applies. */
export class MergeTable {
  readonly #lefts: Int32Array;
  readonly #rights: Int32Array;
  readonly #ranks: Int32Array;
  readonly #bits: number;
  /** (number of merges) the id that each merge makes. */
  readonly merged: Int32Array;

  /** @param merges triples (left, right, merged) in rank order. @throws {RangeError} a pair occurs twice. */
  constructor(merges: readonly Merge[]) {
    this.#bits = Math.max(4, Math.ceil(Math.log2(merges.length * 2 + 1)));
    const size = 2 ** this.#bits;
    this.#lefts = new Int32Array(size).fill(-1);
    this.#rights = new Int32Array(size);
    this.#ranks = new Int32Array(size);
    this.merged = new Int32Array(merges.length);
    for (const [rank, [left, right, merged]] of merges.entries()) {
      const slot = this.#find(left, right);
      if (this.#lefts[slot] !== -1) throw new RangeError(String(rank));
      this.#lefts[slot] = left;
      this.#rights[slot] = right;
      this.#ranks[slot] = rank;
      this.merged[rank] = merged;
    }
  }

  /** Rank of the pair, or NO_MERGE. */
  rank(left: number, right: number): number {
    const slot = this.#find(left, right);
    return this.#lefts[slot] === -1 ? NO_MERGE : (this.#ranks[slot] as number);
  }

  #find(left: number, right: number): number {
    const mask = 2 ** this.#bits - 1;
    // Multiplicative hashing: odd constants from the golden ratio and from xxHash.
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca77);
    let slot = hash >>> (32 - this.#bits);
    while (
      this.#lefts[slot] !== -1 &&
      (this.#lefts[slot] !== left || this.#rights[slot] !== right)
    ) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
