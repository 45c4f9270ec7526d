// Counter-based random streams: the numbers depend on a key and a position, never on the order of calls.
import { createHash } from 'node:crypto';

/** A part of a stream's name. Parts are length-prefixed, so ('ab','c') and ('a','bc') differ. */
export type KeyPart = string | number;

/** Two 32-bit words that select a stream; equal keys give equal streams on every machine. */
export type StreamKey = readonly [number, number];

/** Key of the stream named by `parts`, e.g. `streamKey(runSeed, 'rollout', taskId, sampleIndex)`. */
export function streamKey(...parts: readonly KeyPart[]): StreamKey {
  const hash = createHash('sha256');
  for (const part of parts) {
    const text = `${typeof part === 'number' ? 'n' : 's'}${String(part)}`;
    hash.update(`${text.length}:${text}`);
  }
  const digest = hash.digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + (carry >>> 16)) >>> 0;
}

/**
 * Philox4x32-10: four random 32-bit words for a 128-bit counter and a 64-bit key.
 * @see Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11)
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: StreamKey,
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let k0 = key[0] >>> 0;
  let k1 = key[1] >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = multiplyHigh(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** Sequential reader of one stream. Two readers of one key give the same numbers. */
export class RandomStream {
  readonly #key: StreamKey;
  #block = 0;
  #words: readonly number[] = [];
  #next = 0;

  constructor(...parts: readonly [KeyPart, ...KeyPart[]]) {
    this.#key = streamKey(...parts);
  }

  /** Uniform 32-bit unsigned integer. */
  uint32(): number {
    if (this.#next >= this.#words.length) {
      const low = this.#block >>> 0;
      const high = Math.floor(this.#block / 2 ** 32) >>> 0;
      this.#words = philox4x32([low, high, 0, 0], this.#key);
      this.#block++;
      this.#next = 0;
    }
    return this.#words[this.#next++] ?? 0;
  }

  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform integer in [0, n), without modulo bias. @throws {RangeError} n is not in 1..2^32. */
  below(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new RangeError(
        `RandomStream.below: expected n to be an integer in 1..2^32, received ${n}.`,
      );
    }
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const word = this.uint32();
      if (word < limit) return word % n;
    }
  }

  /** Standard normal (Box-Muller, one of the pair). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One element, uniformly. @throws {RangeError} `items` is empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** A new array in random order (Fisher-Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }

  /** `count` distinct elements in random order. @throws {RangeError} there are fewer. */
  sample<T>(items: readonly T[], count: number): T[] {
    if (count > items.length) {
      throw new RangeError(
        `RandomStream.sample: expected at least ${count} items, received ${items.length}.`,
      );
    }
    return this.shuffled(items).slice(0, count);
  }
}
