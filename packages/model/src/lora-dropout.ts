// Which elements of an adapter's input are dropped: a function of counters alone, so every implementation drops the same.
import { philox4x32 } from '@masksearch/core';

/** What the masks of one `accumulate` depend on. */
export interface DropoutKey {
  /** Of the adapter, 32 bits. */
  readonly seed: number;
  /** Optimizer steps taken. */
  readonly step: number;
  /** Calls of `accumulate` since the last step or restore. */
  readonly call: number;
}

/**
 * Factors of the elements of an adapter's input: 0 with probability `dropout`, else 1 / (1 − dropout).
 * Element (t, c) is word c mod 4 of Philox at counter (t, c / 4, 8 · layer + target, call) under the
 * key (seed, step), t the index of the token in the batch; below dropout · 2^32 it is dropped.
 * @returns (T, width) float32.
 */
export function dropoutFactors(
  { seed, step, call }: DropoutKey,
  dropout: number,
  place: { firstToken: number; T: number; width: number; layer: number; target: number },
): Float32Array {
  const { firstToken, T, width, layer, target } = place;
  const threshold = Math.floor(dropout * 2 ** 32);
  const kept = Math.fround(1 / (1 - dropout));
  const factors = new Float32Array(T * width);
  for (let t = 0; t < T; t++) {
    for (let c = 0; c < width; c += 4) {
      const counter = [firstToken + t, c / 4, 8 * layer + target, call] as const;
      const words = philox4x32(counter, [seed, step]);
      for (let i = 0; i < Math.min(4, width - c); i++) {
        factors[t * width + c + i] = (words[i] as number) < threshold ? 0 : kept;
      }
    }
  }
  return factors;
}
