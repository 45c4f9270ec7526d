import { describe, expect, test } from 'vitest';
import { copyingGenerator, type CopyingOptions } from './copying.ts';

const OPTIONS: CopyingOptions = {
  seed: 3,
  phase: 'copying',
  vocabularySize: 50,
  firstPlainToken: 10,
  minTokens: 3,
  maxTokens: 9,
  repeats: 3,
  batchTokens: 200,
};

describe('copyingGenerator', () => {
  test('repeats a random stretch of plain tokens, with the loss on the repetitions', () => {
    for (const { ids, mask } of copyingGenerator(OPTIONS)(0)) {
      const length = ids.length / OPTIONS.repeats;
      expect(length).toBeGreaterThanOrEqual(OPTIONS.minTokens);
      expect(length).toBeLessThanOrEqual(OPTIONS.maxTokens);
      for (let t = 0; t < ids.length; t++) {
        expect(ids[t]).toBe(ids[t % length]);
        expect(ids[t]).toBeGreaterThanOrEqual(OPTIONS.firstPlainToken);
        expect(ids[t]).toBeLessThan(OPTIONS.vocabularySize);
        expect(mask[t]).toBe(t < length ? 0 : 1);
      }
    }
  });

  test('fills a step without overflowing it', () => {
    const tokens = copyingGenerator(OPTIONS)(1).reduce((sum, { ids }) => sum + ids.length, 0);
    expect(tokens).toBeLessThanOrEqual(OPTIONS.batchTokens);
    expect(tokens).toBeGreaterThan(OPTIONS.batchTokens - OPTIONS.maxTokens * OPTIONS.repeats);
  });

  test('gives one example even if the step is too small for it', () => {
    expect(copyingGenerator({ ...OPTIONS, batchTokens: 1 })(0)).toHaveLength(1);
  });

  test('depends on seed, phase and step only', () => {
    const step = (options: CopyingOptions, index: number): string =>
      JSON.stringify(copyingGenerator(options)(index));
    expect(step(OPTIONS, 5)).toBe(step(OPTIONS, 5));
    expect(step(OPTIONS, 5)).not.toBe(step(OPTIONS, 6));
    expect(step(OPTIONS, 5)).not.toBe(step({ ...OPTIONS, seed: 4 }, 5));
    expect(step(OPTIONS, 5)).not.toBe(step({ ...OPTIONS, phase: 'other' }, 5));
  });
});
