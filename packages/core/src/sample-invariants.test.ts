import { describe, expect, it } from 'vitest';
import type { Sample } from './records.ts';
import { checkSample } from './sample-invariants.ts';

const valid: Sample = {
  version: 1,
  taskId: 't',
  group: 'k1',
  sampleIndex: 0,
  policyVersion: 0,
  ids: [5, 6, 7, 8],
  mask: [0, 1, 0, 1],
  logProbs: [0, -0.5, 0, -0.25],
  segments: [
    { author: 'user', start: 0, end: 1 },
    { author: 'policy', start: 1, end: 2 },
    { author: 'tool', start: 2, end: 3 },
    { author: 'policy', start: 3, end: 4 },
  ],
  searches: [],
  answer: null,
  finishReason: 'turn-limit',
  rewardTerms: {},
  reward: 0,
  outcome: 0,
};

describe('checkSample', () => {
  it('accepts a well-formed sample', () => {
    expect(() => checkSample(valid)).not.toThrow();
  });

  const [user, policy, tool, last] = valid.segments;
  it.each<[string, Partial<Sample>, RegExp]>([
    ['lengths differ', { mask: [0, 1, 0] }, /one length, received 4, 3, 4/],
    ['the first token is trained', { mask: [1, 1, 0, 1] }, /mask\[0\] = 1/],
    ['a tool token is trained', { mask: [0, 1, 1, 1] }, /mask 0 for author tool at token 2/],
    [
      'a policy token is not trained',
      { mask: [0, 0, 0, 1] },
      /mask 1 for author policy at token 1/,
    ],
    ['a log-probability is positive', { logProbs: [0, 0.5, 0, -1] }, /finite log-probability/],
    ['a log-probability is NaN', { logProbs: [0, Number.NaN, 0, -1] }, /received NaN/],
    ['a tool token has a log-probability', { logProbs: [0, -1, -1, -1] }, /expected 0 at token 2/],
    ['segments leave a gap', { segments: [user!, { ...policy!, start: 2 }] }, /starting at 1/],
    ['segments end early', { segments: [user!, policy!, tool!] }, /cover 4 tokens, received 3/],
    [
      'segments run past the end',
      { segments: [user!, policy!, tool!, { ...last!, end: 9 }] },
      /received 9/,
    ],
    [
      'no token is trained',
      {
        mask: [0, 0, 0, 0],
        logProbs: [0, 0, 0, 0],
        segments: [{ author: 'user', start: 0, end: 4 }],
      },
      /at least one token written by the policy/,
    ],
  ])('refuses a sample in which %s', (_, change, message) => {
    expect(() => checkSample({ ...valid, ...change })).toThrow(message);
  });
});
