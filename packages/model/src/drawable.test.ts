import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inverseCdf } from './draw-token.ts';
import { drawable } from './drawable.ts';

const logs = (...probabilities: number[]) => Float32Array.from(probabilities, Math.log);
const left = (row: Float32Array) => [...row.keys()].filter((v) => (row[v] as number) > -Infinity);
const bits = (...tokens: number[]) =>
  tokens.reduce((words, v) => {
    words[v >>> 5] = (words[v >>> 5] as number) | (1 << (v & 31));
    return words;
  }, new Uint32Array(2));

describe('drawable', () => {
  const row = logs(0.1, 0.2, 0.4, 0.2, 0.1);

  test('is the row itself where all tokens may be drawn', () => {
    expect(drawable(row, {})).toBe(row);
    expect(drawable(row, { topP: 1 })).toBe(row);
  });

  test.each([
    [0, [2]],
    [0.39, [2]],
    [0.41, [1, 2]], // of two equal ones the first
    [0.7, [1, 2, 3]],
    [0.85, [0, 1, 2, 3]],
    [0.95, [0, 1, 2, 3, 4]],
  ])('topP %d leaves the tokens %j', (topP, expected) => {
    expect(left(drawable(row, { topP }))).toEqual(expected);
  });

  test('counts the share of the nucleus among the allowed tokens', () => {
    expect(left(drawable(row, { allowed: bits(0, 4) }))).toEqual([0, 4]);
    expect(left(drawable(row, { allowed: bits(0, 1, 4), topP: 0.45 }))).toEqual([1]);
    expect(left(drawable(row, { allowed: bits(0, 1, 4), topP: 0.6 }))).toEqual([0, 1]);
  });

  test('draws an allowed token however improbable it is', () => {
    const steep = Float32Array.of(0, -2000, -2001);
    expect(inverseCdf(drawable(steep, { allowed: bits(1, 2) }), 0.5)).toBe(1);
    expect(inverseCdf(drawable(steep, { allowed: bits(1, 2) }), 0.9)).toBe(2);
  });

  test('the nucleus holds its share, and none of its tokens can be spared', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(weights, fc.double({ min: 0.01, max: 1, noNaN: true }), (counts, topP) => {
        const total = counts.reduce((sum, count) => sum + count, 0);
        fc.pre(total > 0);
        const kept = left(
          drawable(
            Float32Array.from(counts, (count) => Math.log(count / total)),
            { topP },
          ),
        ).map((v) => counts[v] as number);
        const held = kept.reduce((sum, count) => sum + count, 0);
        const tolerance = 1e-4 * total; // of float32 logarithms
        expect(held).toBeGreaterThanOrEqual(topP * total - tolerance);
        if (topP < 1) expect(held - Math.min(...kept)).toBeLessThan(topP * total + tolerance);
      }),
    );
  });
});
