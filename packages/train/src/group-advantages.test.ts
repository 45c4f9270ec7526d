import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { centredRewards, groupAdvantages, type GroupAdvantages } from './group-advantages.ts';

function advantagesOf(rewards: readonly number[], options = {}): readonly (number | null)[] {
  const result = groupAdvantages(rewards, options);
  if (!result.kept) throw new Error(`dropped: ${result.reason}`);
  return result.advantages;
}

const ragged = fc
  .array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 24 })
  .filter((rewards) => Math.max(...rewards) - Math.min(...rewards) > 0.05);

describe('groupAdvantages', () => {
  // Divided by the deviation of a sample, as verl does.
  test.each([
    [
      [1, 0, 0, 0],
      [1.5, -0.5, -0.5, -0.5],
    ],
    [
      [1, 1, 0, 0],
      [0.8660254, 0.8660254, -0.8660254, -0.8660254],
    ],
  ])('rewards %j give %j', (rewards, expected) => {
    advantagesOf(rewards).forEach((A, i) => expect(A).toBeCloseTo(expected[i] ?? Number.NaN, 7));
  });

  test('a tiny difference becomes full-size: (0.1,0,0,0) like (1,0,0,0)', () => {
    advantagesOf([0.1, 0, 0, 0]).forEach((A, i) =>
      expect(A).toBeCloseTo(advantagesOf([1, 0, 0, 0])[i] as number, 12),
    );
  });

  test('the floor of the deviation keeps noise small', () => {
    const largest = Math.max(...(advantagesOf([1e-5, 0, 0, 0]) as number[]));
    expect(largest).toBeCloseTo(0.75e-5 / 1e-3, 12);
    const lower = advantagesOf([1e-5, 0, 0, 0], { minimumDeviation: 1e-9 }) as number[];
    expect(Math.max(...lower)).toBeCloseTo(1.5, 9);
  });

  test.each<[string, number[], GroupAdvantages]>([
    ['all equal', [0.3, 0.3, 0.3], { kept: false, reason: 'equal-rewards' }],
    ['equal within 1e-6', [0.3, 0.3 + 9e-7], { kept: false, reason: 'equal-rewards' }],
    ['one sample', [1], { kept: false, reason: 'too-few-rewards' }],
    ['none', [], { kept: false, reason: 'too-few-rewards' }],
    ['one finite reward', [1, Number.NaN, Infinity], { kept: false, reason: 'too-few-rewards' }],
  ])('drops a group with %s', (_, rewards, expected) => {
    expect(groupAdvantages(rewards)).toEqual(expected);
  });

  test('a reward that is not finite does not poison its group', () => {
    const clean = advantagesOf([1, 0, 0.5]);
    expect(advantagesOf([1, Number.NaN, 0, -Infinity, 0.5])).toEqual([
      clean[0],
      null,
      clean[1],
      null,
      clean[2],
    ]);
  });

  test('advantages sum to 0', () => {
    fc.assert(
      fc.property(ragged, (rewards) => {
        const sum = (advantagesOf(rewards) as number[]).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum)).toBeLessThan(1e-10);
      }),
      { seed: 11 },
    );
  });

  test('each reward keeps its advantage, bit for bit, in whatever order the samples come', () => {
    fc.assert(
      fc.property(ragged, fc.integer(), (rewards, shift) => {
        const by = Math.abs(shift) % rewards.length;
        const rotate = <T>(items: readonly T[]): T[] => [...items.slice(by), ...items.slice(0, by)];
        expect(advantagesOf(rotate(rewards))).toEqual(rotate(advantagesOf(rewards)));
      }),
      { seed: 12 },
    );
  });

  test('scaling and shifting all rewards leaves the advantages', () => {
    fc.assert(
      fc.property(ragged, fc.constantFrom(0.5, 3, 100), fc.constantFrom(-7, 0, 2), (r, a, b) => {
        const moved = advantagesOf(r.map((reward) => a * reward + b));
        advantagesOf(r).forEach((A, i) => expect(moved[i]).toBeCloseTo(A as number, 8));
      }),
      { seed: 13 },
    );
  });

  test('refuses a floor of 0', () => {
    expect(() => groupAdvantages([1, 0], { minimumDeviation: 0 })).toThrow(/minimumDeviation > 0/);
  });
});

test('centredRewards (Dr. GRPO) keeps the size of the difference', () => {
  expect(centredRewards([1, 0, 0, 0])).toEqual({
    kept: true,
    advantages: [0.75, -0.25, -0.25, -0.25],
  });
});
