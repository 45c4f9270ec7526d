import { describe, expect, test } from 'vitest';
import type { Sample, SearchCall } from '@masksearch/core';
import { sampleOfTurns } from '@masksearch/core/testing';
import type { GeneratedGroup } from './collect-groups.ts';
import { rolloutMetrics, samplingMetrics } from './rollout-metrics.ts';

function search(query: string, found: boolean): SearchCall {
  const result = { id: 'p', documentId: 'd', title: '', text: '', score: 1 };
  return { query, provider: 'test', results: found ? [result] : [] };
}

/** Prompt of 3 tokens, then turns of `turnTokens` policy tokens, each but the last answered by 5 tool tokens. */
function sampleOf(turnTokens: readonly number[], more: Partial<Sample>): Sample {
  const tool = { author: 'tool', ids: new Int32Array(5) } as const;
  const turns = turnTokens.flatMap((tokens) => [
    { author: 'policy', ids: new Int32Array(tokens) } as const,
    tool,
  ]);
  return sampleOfTurns([{ author: 'user', ids: new Int32Array(3) }, ...turns.slice(0, -1)], more);
}

const right = sampleOf([4, 6], {
  outcome: 1,
  reward: 1,
  rewardTerms: { format: 1, answer: 1 },
  searches: [search('a', true)],
});
const truncated = sampleOf([4, 4, 2], {
  finishReason: 'turn-length',
  reward: -0.5,
  rewardTerms: { format: 0 },
  searches: [search('b', false), { ...search('b', false), error: 'timeout' }],
});
const unsearched = sampleOf([5], { group: 'hop2', reward: 0.1, rewardTerms: { format: 1 } });
const broken = sampleOf([5], { group: 'k2', reward: Number.NaN });
const groups: GeneratedGroup[] = [
  { samples: [right, truncated], verdict: 'accepted' },
  { samples: [unsearched, broken], verdict: 'all-wrong' },
];

describe('rolloutMetrics', () => {
  const metrics = rolloutMetrics(groups);

  test.each([
    ['critic/score/mean', 1 / 4],
    ['critic/rewards/mean', 0.2], // of the three finite ones
    ['critic/rewards/min', -0.5],
    ['reward/format', 2 / 3],
    ['reward/answer', 1],
    ['response_length/mean', (10 + 10 + 5 + 5) / 4], // tool tokens do not count
    ['response_length/max', 10],
    ['response_length/clip_ratio', 1 / 4],
    ['prompt_length/mean', 3],
    ['num_turns/mean', (2 + 3 + 1 + 1) / 4],
    ['search/calls_per_rollout', 3 / 4],
    ['search/answer_without_search', 2 / 4],
    ['search/duplicate_query_ratio', 1 / 3],
    ['search/valid_action_ratio', 6 / 7],
    ['search/error_ratio', 1 / 3],
    ['search/empty_result_ratio', 2 / 3],
    ['curriculum/acc_by_masks/1', 1 / 2],
    ['curriculum/acc_by_masks/2', 0],
    ['curriculum/acc_by_group/hop2', 0],
  ])('%s is %d', (name, value) => {
    expect(metrics[name]).toBeCloseTo(value, 12);
  });

  test('says nothing when nothing was sampled', () => {
    expect(rolloutMetrics([])).toEqual({});
  });
});

test('samplingMetrics counts what was kept and what was wasted, in policy tokens', () => {
  const expired = { serial: 0, step: 0, samples: [right] };
  const metrics = samplingMetrics(
    {
      batch: [{ serial: 1, step: 1, samples: [right, truncated] }],
      surplus: [],
      generated: groups,
      expired: [expired],
      rounds: 2,
      acceptRate: { accepted: 1, rejected: 1 },
    },
    3,
  );
  expect(metrics).toEqual({
    'dapo/keep_rate': 0.5,
    'dapo/all_correct': 0,
    'dapo/all_wrong': 0.5,
    'dapo/equal_rewards': 0,
    'dapo/failed': 0,
    'dapo/gen_batches': 2,
    'dapo/generated_groups': 2,
    'dapo/train_groups': 1,
    'dapo/surplus_groups': 0,
    'dapo/expired_groups': 1,
    'dapo/missing_samples': 2,
    'dapo/invalid_rewards': 1,
    'dapo/generated_tokens': 30,
    'dapo/wasted_tokens': 5 + 5 + 10,
  });
});
