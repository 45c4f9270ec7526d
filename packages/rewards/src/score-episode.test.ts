import { ConfigError, type FinishReason } from '@masksearch/core';
import { maskTask, questionTask } from '@masksearch/core/testing';
import { describe, expect, test } from 'vitest';
import { exactMatch, tokenF1 } from './answer-metrics.ts';
import {
  combineRewards,
  defaultRewardConfig,
  formatReward,
  scoreEpisode,
} from './score-episode.ts';

const mask = maskTask();
const list = questionTask({
  group: 'list',
  question: 'Which cities lie on the river Belo?',
  golds: [
    { text: 'Tusade', aliases: [] },
    { text: 'Moru', aliases: ['City of Moru'] },
  ],
});

function episode(answer: string[] | null, finishReason: FinishReason = 'answer') {
  return { answer, finishReason, policyTokens: 100 };
}

describe('formatReward', () => {
  test('is 1 for a well-formed answer that says something', () => {
    expect(formatReward(episode(['x', '']))).toBe(1);
    expect(formatReward(episode(['', ' ']))).toBe(0);
    expect(formatReward(episode([]))).toBe(0);
    expect(formatReward(episode(null))).toBe(0);
  });

  test('of masks is 0 unless there is an entry for each', () => {
    expect(formatReward(episode(['x', '']), 2)).toBe(1);
    expect(formatReward(episode(['x']), 2)).toBe(0);
    expect(formatReward(episode(['x', 'y', 'z']), 2)).toBe(0);
  });

  test('truncation outranks what the text contains', () => {
    expect(formatReward(episode(['x'], 'trajectory-length'))).toBe(0);
    expect(formatReward(episode(['x'], 'turn-limit'))).toBe(0);
  });
});

describe('scoreEpisode', () => {
  test('all slots right: 0.1 + 0.9, outcome 1', () => {
    const score = scoreEpisode(mask, episode(['Tusade', '1874']));
    expect(score).toEqual({
      rewardTerms: { format: 1, answer: 1, overlong: 0 },
      reward: 1,
      outcome: 1,
    });
  });

  test('one slot of two right: 0.1 + 0.9 / 2, outcome 0', () => {
    const score = scoreEpisode(mask, episode(['Tusade', '1875']));
    expect(score.rewardTerms).toEqual({ format: 1, answer: 0.5, overlong: 0 });
    expect(score.reward).toBeCloseTo(0.55, 12);
    expect(score.outcome).toBe(0);
  });

  test('a slot with one superfluous word earns half: recall 1, brevity 1/2', () => {
    const score = scoreEpisode(mask, episode(['Tusade city', '1874']));
    expect(score.rewardTerms.answer).toBe(0.75);
  });

  test('the answer counts only in a valid format', () => {
    const score = scoreEpisode(mask, episode(['Tusade', '1874'], 'turn-length'));
    expect(score.rewardTerms).toEqual({ format: 0, answer: 0, overlong: 0 });
    expect(score.reward).toBe(0);
    expect(score.outcome).toBe(0);
  });

  test('filling one mask of two and stopping earns nothing; lists may be of any length', () => {
    expect(scoreEpisode(mask, episode(['Tusade'])).reward).toBe(0);
    expect(scoreEpisode(list, episode(['Tusade'])).reward).toBeCloseTo(0.1 + 0.9 / 2, 12);
  });

  test('masks go by position, lists in any order', () => {
    expect(scoreEpisode(mask, episode(['1874', 'Tusade'])).reward).toBeCloseTo(0.1, 12);
    expect(scoreEpisode(list, episode(['city of Moru', 'Tusade'])).outcome).toBe(1);
  });

  test('takes another metric as a function', () => {
    const answer = episode(['Tusade city', '1874']);
    const of = (metric: typeof exactMatch) =>
      scoreEpisode(mask, answer, { ...defaultRewardConfig, metric }).rewardTerms.answer;
    expect(of(exactMatch)).toBe(0.5);
    expect(of(tokenF1)).toBeCloseTo((2 / 3 + 1) / 2, 12);
  });

  test('adds the overlong penalty of policy tokens, whatever the format', () => {
    const config = { ...defaultRewardConfig, overlong: { maxTokens: 120, cacheTokens: 40 } };
    expect(scoreEpisode(mask, episode(['Tusade', '1874']), config).reward).toBe(0.5);
    expect(scoreEpisode(mask, episode(null, 'turn-limit'), config).reward).toBe(-0.5);
  });
});

test('combineRewards refuses negative weights', () => {
  const terms = { format: 1, answer: 1, overlong: 0 };
  expect(() => combineRewards(terms, { formatWeight: -1, answerWeight: 1 })).toThrow(ConfigError);
});
