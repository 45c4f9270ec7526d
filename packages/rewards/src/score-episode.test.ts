import { ConfigError, type FinishReason, type MaskTask, type QuestionTask } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { exactMatch, tokenF1 } from './answer-metrics.ts';
import {
  combineRewards,
  defaultRewardConfig,
  formatReward,
  scoreEpisode,
} from './score-episode.ts';

const maskTask: MaskTask = {
  version: 1,
  id: 'm1',
  type: 'ramp',
  group: 'k2',
  difficulty: 0.5,
  excludedPassages: [],
  documentId: 'd',
  passageId: 'd#0',
  title: 'Karo Belin',
  text: 'Karo Belin was born in Tusade in 1874.',
  masked: 'Karo Belin was born in [mask] in [mask].',
  slots: [
    { start: 23, end: 29, text: 'Tusade', kind: 'place', aliases: [] },
    { start: 33, end: 37, text: '1874', kind: 'date', aliases: [] },
  ],
  k: 2,
  retrievable: [true, true],
};

const listTask: QuestionTask = {
  version: 1,
  id: 'q1',
  type: 'qa',
  group: 'list',
  difficulty: 0.5,
  excludedPassages: [],
  question: 'Which cities lie on the river Belo?',
  golds: [
    { text: 'Tusade', aliases: [] },
    { text: 'Moru', aliases: ['City of Moru'] },
  ],
  supporting: [],
  steps: [],
};

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

  test('truncation outranks what the text contains', () => {
    expect(formatReward(episode(['x'], 'trajectory-length'))).toBe(0);
    expect(formatReward(episode(['x'], 'turn-limit'))).toBe(0);
  });
});

describe('scoreEpisode', () => {
  test('all slots right: 0.1 + 0.9, outcome 1', () => {
    const score = scoreEpisode(maskTask, episode(['Tusade', '1874']));
    expect(score).toEqual({
      rewardTerms: { format: 1, answer: 1, overlong: 0 },
      reward: 1,
      outcome: 1,
    });
  });

  test('one slot of two right: 0.1 + 0.9 / 2, outcome 0', () => {
    const score = scoreEpisode(maskTask, episode(['Tusade', '1875']));
    expect(score.rewardTerms).toEqual({ format: 1, answer: 0.5, overlong: 0 });
    expect(score.reward).toBeCloseTo(0.55, 12);
    expect(score.outcome).toBe(0);
  });

  test('a slot with one superfluous word earns half: recall 1, brevity 1/2', () => {
    const score = scoreEpisode(maskTask, episode(['Tusade city', '1874']));
    expect(score.rewardTerms.answer).toBe(0.75);
  });

  test('the answer counts only in a valid format', () => {
    const score = scoreEpisode(maskTask, episode(['Tusade', '1874'], 'turn-length'));
    expect(score.rewardTerms).toEqual({ format: 0, answer: 0, overlong: 0 });
    expect(score.reward).toBe(0);
    expect(score.outcome).toBe(0);
  });

  test('masks go by position, lists in any order', () => {
    expect(scoreEpisode(maskTask, episode(['1874', 'Tusade'])).reward).toBeCloseTo(0.1, 12);
    expect(scoreEpisode(listTask, episode(['city of Moru', 'Tusade'])).outcome).toBe(1);
  });

  test('takes another metric as a function', () => {
    const answer = episode(['Tusade city', '1874']);
    const of = (metric: typeof exactMatch) =>
      scoreEpisode(maskTask, answer, { ...defaultRewardConfig, metric }).rewardTerms.answer;
    expect(of(exactMatch)).toBe(0.5);
    expect(of(tokenF1)).toBeCloseTo((2 / 3 + 1) / 2, 12);
  });

  test('adds the overlong penalty of policy tokens, whatever the format', () => {
    const config = { ...defaultRewardConfig, overlong: { maxTokens: 120, cacheTokens: 40 } };
    expect(scoreEpisode(maskTask, episode(['Tusade', '1874']), config).reward).toBe(0.5);
    expect(scoreEpisode(maskTask, episode(null, 'turn-limit'), config).reward).toBe(-0.5);
  });
});

test('combineRewards refuses negative weights', () => {
  const terms = { format: 1, answer: 1, overlong: 0 };
  expect(() => combineRewards(terms, { formatWeight: -1, answerWeight: 1 })).toThrow(ConfigError);
});
