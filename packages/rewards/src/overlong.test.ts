import { ConfigError } from '@masksearch/core';
import { describe, expect, test } from 'vitest';
import { softOverlongPenalty } from './overlong.ts';

describe('softOverlongPenalty', () => {
  // The limits of the paper: L_max 20,480 and L_cache 4,096.
  const limits = { maxTokens: 20_480, cacheTokens: 4_096 };

  test.each([
    [0, 0],
    [16_384, 0],
    [16_385, -1 / 4096],
    [18_432, -0.5],
    [20_480, -1],
    [20_481, -1],
    [1e9, -1],
  ])('%i policy tokens: %d', (tokens, penalty) => {
    expect(softOverlongPenalty(tokens, limits)).toBe(penalty);
  });

  test('refuses limits that contradict each other', () => {
    for (const cacheTokens of [0, -1, 11, Number.NaN]) {
      expect(() => softOverlongPenalty(5, { maxTokens: 10, cacheTokens })).toThrow(ConfigError);
    }
  });
});
