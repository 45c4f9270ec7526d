// A keyed bijection of 0..size-1 that needs no table: unique names for any number of entities.
import { streamKey, type KeyPart } from '@masksearch/core';

const ROUNDS = 4;

/** Murmur3's 32-bit finalizer: every input bit reaches every output bit. */
export function mix32(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Feistel network over the next even power of two, walked until the result is inside. */
export class Permutation {
  readonly size: number;
  readonly #halfBits: number;
  readonly #keys: readonly number[];

  /** @param size Number of elements, 1 to 2^30. */
  constructor(size: number, ...key: readonly KeyPart[]) {
    this.size = size;
    this.#halfBits = Math.max(1, Math.ceil(Math.log2(Math.max(2, size)) / 2));
    const [low, high] = streamKey(...key);
    this.#keys = Array.from({ length: ROUNDS }, (_, round) =>
      mix32(mix32(low + round) ^ mix32(high - round)),
    );
  }

  /** The image of `position`. @throws {RangeError} it is not an integer in 0..size-1. */
  at(position: number): number {
    if (!Number.isInteger(position) || position < 0 || position >= this.size) {
      throw new RangeError(
        `Permutation.at: expected an integer in 0..${this.size - 1}, received ${position}.`,
      );
    }
    let value = this.#scramble(position);
    while (value >= this.size) value = this.#scramble(value);
    return value;
  }

  #scramble(value: number): number {
    const mask = 2 ** this.#halfBits - 1;
    let left = value >>> this.#halfBits;
    let right = value & mask;
    for (const key of this.#keys) {
      [left, right] = [right, left ^ (mix32(right ^ key) & mask)];
    }
    return ((left << this.#halfBits) | right) >>> 0;
  }
}
