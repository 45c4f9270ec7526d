// How far float32 may be from the float64 reference, and comparisons that say where it is farther.
import { expect } from 'vitest';
import type { DecoderConfig } from '../decoder-config.ts';
import type { NamedTensor } from '../language-model.ts';
import type { ReferenceTensors } from '../reference/index.ts';

/** Distance of 1 to the next float32. */
const EPSILON = 2 ** -23;

/** Most that a random walk of roundings was seen to need: 0.19, on shape `odd`. */
const FORWARD_CONSTANT = 0.5;
/** The same for gradients, whose path is three times as long: 1.2. */
const BACKWARD_CONSTANT = 3;

/** Roundings on the longest path from a token to a log-probability: one for each term of each sum. */
function longestPath(config: DecoderConfig, T: number): number {
  const { width: C, layers: L, heads: H, headWidth: D, feedForwardWidth: F } = config;
  return L * (2 * C + D + T + H * D + C + F) + 2 * C + config.vocabularySize;
}

/** Sum of n roundings, c · ε · √n · scale, for log-probabilities and entropies (scale in nats). */
export function forwardBound(config: DecoderConfig, T: number, scale: number): number {
  return FORWARD_CONSTANT * EPSILON * Math.sqrt(longestPath(config, T)) * Math.max(1, scale);
}

/**
 * As `forwardBound`, relative to the Euclidean norm of a gradient. Gradients of key biases are
 * small differences of large terms, as softmax ignores a common shift: the norm of all gradients
 * together stands for those terms.
 */
export function gradientBound(
  config: DecoderConfig,
  T: number,
  norm: number,
  globalNorm: number,
): number {
  const scale = norm + 0.05 * globalNorm;
  return BACKWARD_CONSTANT * EPSILON * Math.sqrt(longestPath(config, T)) * scale;
}

/** Largest |value|. */
export function largest(values: ArrayLike<number>): number {
  let result = 0;
  for (let i = 0; i < values.length; i++) result = Math.max(result, Math.abs(values[i] ?? NaN));
  return result;
}

/** Every element within `bound` of the reference; the message has the worst one and where it is. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number | ((index: number) => number),
  what: string,
): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  const boundAt = typeof bound === 'number' ? () => bound : bound;
  const errorAt = (i: number) => Math.abs((actual[i] ?? NaN) - (expected[i] ?? NaN));
  let worst = -Infinity; // error less bound; NaN once there is one
  let where = 0;
  for (let i = 0; i < actual.length && !Number.isNaN(worst); i++) {
    const excess = errorAt(i) - boundAt(i);
    if (!(excess <= worst)) [worst, where] = [excess, i];
  }
  const message = `${what}: at ${where} expected ${expected[where]}, received ${actual[where]}, error ${errorAt(where)} above the bound ${boundAt(where)}`;
  expect(worst <= 0, message).toBe(true);
}

/** Every gradient within `gradientBound`, in Euclidean norm. */
export function expectGradients(
  actual: readonly NamedTensor[],
  expected: ReferenceTensors,
  config: DecoderConfig,
  T: number,
): void {
  const norms = new Map([...expected].map(([name, data]) => [name, euclideanNorm(data)]));
  const globalNorm = euclideanNorm([...norms.values()]);
  expect(actual.map(({ name }) => name)).toEqual([...expected.keys()]);
  for (const { name, data } of actual) {
    const reference = expected.get(name) as Float64Array;
    const error = euclideanNorm(data.map((value, i) => value - (reference[i] as number)));
    const bound = gradientBound(config, T, norms.get(name) as number, globalNorm);
    const message = `gradient of ${name}: norm ${norms.get(name)}, error ${error} above the bound ${bound}`;
    expect(error <= bound, message).toBe(true);
  }
}

export function euclideanNorm(values: Iterable<number>): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

/** Equal bit for bit, with names. */
export function expectSameTensors(
  actual: readonly NamedTensor[],
  expected: readonly NamedTensor[],
): void {
  expect(actual.map(({ name }) => name)).toEqual(expected.map(({ name }) => name));
  actual.forEach(({ name, data }, i) => {
    expect(data, name).toEqual(expected[i]?.data);
  });
}
