import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample } from '@masksearch/core';
import { sampleOfTurns } from '@masksearch/core/testing';
import { expectedAcceptRate, NO_GROUPS_SEEN, observeRound } from './accept-rate.ts';
import { judgeByAnswer, judgeByOutcome, judgeByReward } from './judge-group.ts';
import { dapoRecipe, grpoRecipe, sampleMeanWeights } from './recipe.ts';

/** A group with these rewards and outcomes; nothing else of a sample is looked at. */
function groupOf(members: readonly (readonly [reward: number, outcome: 0 | 1])[]): Sample[] {
  return members.map(([reward, outcome], sampleIndex) =>
    sampleOfTurns([], { sampleIndex, reward, outcome }),
  );
}

describe('judgeByOutcome', () => {
  test.each<[string, [number, 0 | 1][], string]>([
    [
      'a mixed group',
      [
        [1, 1],
        [0.1, 0],
        [0, 0],
      ],
      'accepted',
    ],
    [
      'an all-wrong group whose shaped rewards differ',
      [
        [0.1, 0],
        [0, 0],
        [-0.5, 0],
      ],
      'all-wrong',
    ],
    [
      'an all-right group whose length penalties differ',
      [
        [1, 1],
        [0.7, 1],
      ],
      'all-right',
    ],
    [
      'different outcomes at the same reward',
      [
        [0.5, 1],
        [0.5, 0],
      ],
      'equal-rewards',
    ],
    [
      'one usable sample',
      [
        [1, 1],
        [Number.NaN, 0],
      ],
      'failed',
    ],
    ['no samples', [], 'failed'],
    [
      'a mixed group but for a broken reward',
      [
        [1, 1],
        [1, 1],
        [Number.NaN, 0],
      ],
      'all-right',
    ],
  ])('%s', (_, members, verdict) => {
    expect(judgeByOutcome(groupOf(members))).toBe(verdict);
  });
});

describe('judgeByAnswer', () => {
  /** Members as reward, outcome and the answer's score. */
  const judge = (members: readonly (readonly [number, 0 | 1, number])[]) =>
    judgeByAnswer(
      groupOf(members.map(([reward, outcome]) => [reward, outcome])).map((sample, index) => ({
        ...sample,
        rewardTerms: { answer: members[index]?.[2] ?? 0 },
      })),
    );

  test('keeps a group in which some slots of some samples are right, though no sample is', () => {
    expect(judge([[0.55, 0, 0.5], [0.1, 0, 0]])).toBe('accepted'); // prettier-ignore
    expect(judge([[1, 1, 1], [0.55, 0, 0.5]])).toBe('accepted'); // prettier-ignore
  });

  test('drops groups that differ in format or length only', () => {
    expect(judge([[0.1, 0, 0], [0, 0, 0]])).toBe('all-wrong'); // prettier-ignore
    expect(judge([[0.55, 0, 0.5], [0.3, 0, 0.5]])).toBe('all-wrong'); // prettier-ignore
    expect(judge([[1, 1, 1], [0.7, 1, 1]])).toBe('all-right'); // prettier-ignore
  });

  test('drops what has no gradient, and what is no group', () => {
    expect(judge([[0.5, 0, 0.5], [0.5, 0, 0.4]])).toBe('equal-rewards'); // prettier-ignore
    expect(judge([[1, 1, 1], [Number.NaN, 0, 0]])).toBe('failed'); // prettier-ignore
  });

  test('says which reward term it misses', () => {
    expect(() => judgeByAnswer(groupOf([[1, 1], [0, 0]]))).toThrow(/reward term answer, received none/); // prettier-ignore
  });
});

test('judgeByReward keeps whatever has a gradient', () => {
  expect(judgeByReward(groupOf([[0.1, 0], [0, 0]]))).toBe('accepted'); // prettier-ignore
  expect(judgeByReward(groupOf([[1, 1], [1, 1]]))).toBe('equal-rewards'); // prettier-ignore
  expect(judgeByReward(groupOf([[1, 1]]))).toBe('failed');
});

describe('accept rate', () => {
  test('starts at one half and follows what is seen', () => {
    expect(expectedAcceptRate(NO_GROUPS_SEEN)).toBe(0.5);
    const once = observeRound(NO_GROUPS_SEEN, 3, 1);
    expect(expectedAcceptRate(once)).toBeCloseTo(4 / 6, 12);
  });

  test('forgets: after the policy has changed the old rate fades', () => {
    let rate = NO_GROUPS_SEEN;
    for (let i = 0; i < 20; i++) rate = observeRound(rate, 16, 0);
    for (let i = 0; i < 20; i++) rate = observeRound(rate, 4, 12);
    expect(expectedAcceptRate(rate)).toBeGreaterThan(0.22);
    expect(expectedAcceptRate(rate)).toBeLessThan(0.3);
  });
});

describe('dapoRecipe', () => {
  test('sizes a round by what is missing and the expected accept rate, within its limits', () => {
    const { planRound } = dapoRecipe({ maximumRounds: 3, maximumOversampling: 4 });
    expect(planRound({ need: 8, round: 0, acceptRate: 0.5 })).toBe(16);
    expect(planRound({ need: 3, round: 1, acceptRate: 0.9 })).toBe(4);
    expect(planRound({ need: 8, round: 0, acceptRate: 0.01 })).toBe(32);
    expect(planRound({ need: 8, round: 3, acceptRate: 0.5 })).toBe(0);
  });

  test('has the bounds of the paper by default', () => {
    expect(dapoRecipe().settings['clip']).toEqual({ low: 0.2, high: 0.28 });
  });

  test('refuses options out of range', () => {
    expect(() => dapoRecipe({ maximumRounds: 0 })).toThrow(/maximumRounds >= 1/);
    expect(() => dapoRecipe({ clip: { low: 2, high: 0.2 } })).toThrow(/low in \[0, 1\)/);
  });
});

describe('grpoRecipe', () => {
  test('asks once for exactly what is wanted', () => {
    const { planRound } = grpoRecipe();
    expect(planRound({ need: 8, round: 0, acceptRate: 0.1 })).toBe(8);
    expect(planRound({ need: 7, round: 1, acceptRate: 0.1 })).toBe(0);
  });

  test('token weights make a token mean the mean over samples', () => {
    // 10 and 100 tokens: 1/20 and 1/200 each; over T = 110 tokens that is 5.5 and 0.55.
    expect(sampleMeanWeights([10, 100])).toEqual([5.5, 0.55]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1 }), (lengths) => {
        const T = lengths.reduce((a, b) => a + b);
        fc.pre(T > 0);
        const weights = sampleMeanWeights(lengths);
        const total = lengths.reduce((sum, n, i) => sum + n * (weights[i] as number), 0);
        expect(total).toBeCloseTo(T, 8); // weights have mean 1
      }),
      { seed: 31 },
    );
  });
});
