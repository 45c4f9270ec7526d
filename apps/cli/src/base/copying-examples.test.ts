import { RandomStream } from '@masksearch/core';
import { PROTOCOL_TOKENS, trainBpe } from '@masksearch/tokenizer';
import { describe, expect, it } from 'vitest';
import { copyingExamples } from './copying-examples.ts';

const tokenizer = trainBpe(['a small text'], {
  vocabularySize: 300,
  specialTokens: PROTOCOL_TOKENS,
});
const special = new Set(tokenizer.specialTokens.map((token) => tokenizer.specialId(token)));
const examplesOf = (seed: number, batchTokens = 2000) =>
  copyingExamples(new RandomStream(seed, 'copying'), tokenizer, batchTokens);

describe('copyingExamples', () => {
  it('labels repetitions only where they can be known', () => {
    for (const example of examplesOf(1)) {
      const [ids, mask] = [Array.from(example.ids), Array.from(example.mask)];
      ids.forEach((id, t) => {
        expect(special.has(id)).toBe(false);
        if (mask[t] === 0) return;
        // The pair (previous token, this one) occurred before.
        const before = ids.findIndex((other, s) => other === ids[t - 1] && ids[s + 1] === id);
        expect(before).toBeGreaterThanOrEqual(0);
        expect(before).toBeLessThan(t - 1);
      });
      expect(mask.filter((label) => label === 1).length).toBeGreaterThan(ids.length / 3);
    }
  });

  it('fills a step without overflowing it, and gives one example if that is too long', () => {
    const tokens = examplesOf(2).reduce((sum, { ids }) => sum + ids.length, 0);
    expect(tokens).toBeLessThanOrEqual(2000);
    expect(tokens).toBeGreaterThan(1700);
    expect(examplesOf(2, 1)).toHaveLength(1);
  });

  it('depends on the stream only', () => {
    expect(examplesOf(5)).toEqual(examplesOf(5));
    expect(examplesOf(5)).not.toEqual(examplesOf(6));
  });
});
