// How a token is drawn: a uniform number of its own key and position, then the inverse distribution function.
import { philox4x32, type StreamKey } from '@masksearch/core';

/** What the random number of a sampled token depends on, and nothing else. */
export interface DrawKey {
  readonly key: StreamKey;
  readonly turn: number;
  /** Index of the token in its sequence. */
  readonly position: number;
}

/** Uniform in [0, 1) with 53 random bits. */
export function uniformAt({ key, turn, position }: DrawKey): number {
  const [first, second] = philox4x32([position, turn, 0, 0], key);
  return ((first >>> 5) * 2 ** 26 + (second >>> 6)) / 2 ** 53;
}

/**
 * The first token, in vocabulary order, at which the cumulated probability exceeds `uniform`.
 * @param logProbs (V) nats.
 */
export function inverseCdf(logProbs: Float32Array, uniform: number): number {
  let total = 0;
  for (const logProb of logProbs) total += Math.exp(logProb);
  const target = uniform * total;
  let cumulated = 0;
  let last = 0;
  for (let v = 0; v < logProbs.length; v++) {
    const probability = Math.exp(logProbs[v] as number);
    if (probability > 0) last = v;
    cumulated += probability;
    if (cumulated > target) return v;
  }
  return last;
}

/** The most probable token; of equal ones the first. */
export function mostProbable(logProbs: Float32Array): number {
  let best = 0;
  for (let v = 1; v < logProbs.length; v++) {
    if ((logProbs[v] as number) > (logProbs[best] as number)) best = v;
  }
  return best;
}

/** True when `tokens` ends with one of the stop sequences. */
export function endsWithStop(
  tokens: readonly number[],
  stop: readonly (readonly number[])[],
): boolean {
  return stop.some(
    (sequence) =>
      sequence.length <= tokens.length &&
      sequence.every((token, i) => tokens[tokens.length - sequence.length + i] === token),
  );
}
