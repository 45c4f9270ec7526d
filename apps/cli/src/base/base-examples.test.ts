import { PROTOCOL_TOKENS, trainBpe } from '@masksearch/tokenizer';
import { generateWorld } from '@masksearch/world';
import { describe, expect, it } from 'vitest';
import { baseExamples, type BaseExampleOptions } from './base-examples.ts';

const articles = [...generateWorld({ seed: 3, articles: 200, split: 'train' })];
const tokenizer = trainBpe(
  articles.map(({ text }) => text),
  { vocabularySize: 512, specialTokens: PROTOCOL_TOKENS },
);
const options: BaseExampleOptions = {
  seed: 1,
  tokenizer,
  batchTokens: 2000,
  passageWords: 40,
  maxPassages: 3,
  copyEvery: 0,
  gapShare: 0,
  maxGaps: 4,
};
const mask = tokenizer.specialId('[mask]');

function examplesOf(changes: Partial<BaseExampleOptions>, step: number) {
  const examples = baseExamples({ ...options, ...changes })(step);
  return examples.map((example) => ({
    ids: Array.from(example.ids),
    labels: Array.from(example.mask),
  }));
}

describe('baseExamples', () => {
  it('gives a step the same examples whatever was made before', () => {
    const generate = baseExamples({ ...options, copyEvery: 3 });
    const inOrder = [0, 1, 2, 9].map((step) => generate(step));
    const again = baseExamples({ ...options, copyEvery: 3 });
    expect([9, 2, 1, 0].map((step) => again(step)).toReversed()).toEqual(inOrder);
  });

  it('keeps a step within its tokens and labels everything but the first token of an article', () => {
    for (const step of [0, 1, 2]) {
      const examples = examplesOf({}, step);
      const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
      expect(tokens).toBeLessThanOrEqual(options.batchTokens);
      for (const { ids, labels } of examples) {
        expect(labels).toEqual(ids.map((_, t) => (t === 0 ? 0 : 1)));
      }
    }
  });

  it('labels of sentences with gaps only the fillings', () => {
    const examples = examplesOf({ gapShare: 1 }, 0).filter(({ ids }) => ids.includes(mask));
    for (const { ids, labels } of examples) {
      const shown = tokenizer.decode(ids.filter((_, t) => labels[t] === 0));
      const fillings = tokenizer.decode(ids.filter((_, t) => labels[t] === 1)).trimEnd();
      const gaps = shown.split('[mask]').length - 1;
      expect(fillings.split('\n')).toHaveLength(gaps);
    }
  });

  it('gives sentences with gaps, and what fills them stands in the passages', () => {
    const texts = examplesOf({ gapShare: 1 }, 0)
      .filter(({ ids }) => ids.includes(mask))
      .map(({ ids }) => tokenizer.decode(ids).trimEnd().split('\n'));
    const gapFirst = texts.filter(([first]) => first?.includes('[mask]'));
    const gapsAfter = texts.filter(([first]) => !first?.includes('[mask]'));
    expect(gapFirst.length).toBeGreaterThan(0);
    expect(gapsAfter.length).toBeGreaterThan(0);
    for (const [, ...lines] of gapFirst) {
      const filling = lines.pop() ?? '';
      expect(lines.join('\n')).toContain(filling.trim());
    }
    for (const lines of gapsAfter) {
      const first = lines.findIndex((line) => line.includes('[mask]'));
      const passages = lines.slice(0, first).join('\n');
      lines.slice(first).forEach((line, i) => {
        expect(line.split('[mask]').length - 1).toBe(i % 2 === 0 ? 1 : 0);
        if (i % 2 === 1) expect(passages).toContain(line.trim());
      });
    }
  });

  it('labels repetitions only where they can be known, on copying steps', () => {
    const examples = examplesOf({ copyEvery: 1 }, 0);
    for (const { ids, labels } of examples) {
      ids.forEach((id, t) => {
        if (labels[t] === 0) return;
        // The pair (previous token, this one) occurred before.
        const before = ids
          .slice(0, t - 1)
          .findIndex((other, s) => other === ids[t - 1] && ids[s + 1] === id);
        expect(before).toBeGreaterThanOrEqual(0);
      });
    }
  });
});
