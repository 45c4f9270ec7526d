import { ConfigError, RandomStream, ShapeError } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { bootstrapMeans, pairedBootstrap } from './bootstrap.ts';

const options = { seed: 1 };

function coin(n: number, p: number, ...key: string[]): number[] {
  const stream = new RandomStream('coin', n, ...key);
  return Array.from({ length: n }, () => (stream.uniform() < p ? 1 : 0));
}

describe('bootstrapMeans', () => {
  test('matches the normal approximation on many values', () => {
    const { outcome } = bootstrapMeans({ outcome: coin(2000, 0.3) }, options);
    const error = Math.sqrt((outcome.mean * (1 - outcome.mean)) / 2000);
    expect(outcome.n).toBe(2000);
    // A percentile of 1,000 resamples varies by about 0.08 standard errors.
    expect(Math.abs(outcome.low - (outcome.mean - 1.96 * error))).toBeLessThan(0.3 * error);
    expect(Math.abs(outcome.high - (outcome.mean + 1.96 * error))).toBeLessThan(0.3 * error);
  });

  test('covers the true mean about 95 times in 100', () => {
    const covered = Array.from({ length: 100 }, (_, trial) => {
      const values = coin(60, 0.4, String(trial));
      const { mean } = bootstrapMeans({ mean: values }, { seed: trial });
      return mean.low <= 0.4 && 0.4 <= mean.high;
    }).filter(Boolean).length;
    // Binomial(100, 0.95) has a standard deviation of 2.2; a percentile interval covers a bit less.
    expect(covered).toBeGreaterThan(86);
    expect(covered).toBeLessThan(100);
  });

  test('gives the same numbers for the same seed, others for another', () => {
    const columns = { a: coin(50, 0.5) };
    expect(bootstrapMeans(columns, options)).toEqual(bootstrapMeans(columns, options));
    const seeds = new Set(
      Array.from({ length: 20 }, (_, seed) => {
        const { a } = bootstrapMeans(columns, { seed });
        return `${a.low} ${a.high}`;
      }),
    );
    expect(seeds.size).toBeGreaterThan(1);
  });

  test('is exact for constants, one value and none', () => {
    const constant = { mean: 0.25, low: 0.25, high: 0.25, n: 8 };
    expect(bootstrapMeans({ a: Array(8).fill(0.25) }, options).a).toEqual(constant);
    expect(bootstrapMeans({ a: [1] }, options).a).toEqual({ mean: 1, low: 1, high: 1, n: 1 });
    expect(bootstrapMeans({ a: [] }, options).a).toEqual({ mean: 0, low: 0, high: 0, n: 0 });
  });

  test('refuses columns of different lengths and few resamples', () => {
    expect(() => bootstrapMeans({ a: [1], b: [1, 2] }, options)).toThrow(ShapeError);
    expect(() => bootstrapMeans({ a: [1] }, { seed: 1, resamples: 999 })).toThrow(ConfigError);
  });
});

describe('pairedBootstrap', () => {
  test('finds a small difference that unpaired intervals would hide', () => {
    const before = coin(300, 0.5);
    const after = before.map((value, t) => (t % 12 === 0 ? 1 : value));
    const difference = pairedBootstrap(before, after, options);
    const gained = after.filter((value, t) => value !== before[t]).length;
    expect(difference.mean).toBeCloseTo(gained / 300, 12);
    expect(difference.low).toBeGreaterThan(0);
    expect(difference.shareNotAbove).toBeLessThan(0.01);
    const apart = bootstrapMeans({ before, after }, options);
    expect(apart.after.low).toBeLessThan(apart.before.high);
  });

  test('reports no difference as none', () => {
    const values = coin(40, 0.5);
    const difference = pairedBootstrap(values, values, options);
    expect(difference).toEqual({ mean: 0, low: 0, high: 0, n: 40, shareNotAbove: 1 });
  });

  test('refuses different lengths', () => {
    expect(() => pairedBootstrap([1], [1, 0], options)).toThrow(ShapeError);
  });
});
