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
  batchTokens: 3000,
  passageWords: 40,
  maxPassages: 3,
  copyEvery: 0,
  copyFirst: 0,
  articleShare: 0,
  worksheetShare: 0,
  maxExercises: 6,
};
function examplesOf(changes: Partial<BaseExampleOptions>, step: number) {
  const examples = baseExamples({ ...options, ...changes })(step);
  return examples.map((example) => ({
    ids: Array.from(example.ids),
    labels: Array.from(example.mask),
  }));
}

/** Stretches of an example with equal labels, as text. */
function stretchesOf({ ids, labels }: ReturnType<typeof examplesOf>[number]) {
  const starts = labels.flatMap((label, t) => (t === 0 || label !== labels[t - 1] ? [t] : []));
  return starts.map((start, i) => ({
    isLabel: labels[start] === 1,
    text: tokenizer.decode(ids.slice(start, starts[i + 1])),
  }));
}

describe('baseExamples', () => {
  it('gives a step the same examples whatever was made before', () => {
    const generate = baseExamples({
      ...options,
      articleShare: 0.2,
      worksheetShare: 0.4,
      copyEvery: 3,
    });
    const inOrder = [0, 1, 2, 9].map((step) => generate(step));
    const again = baseExamples({
      ...options,
      articleShare: 0.2,
      worksheetShare: 0.4,
      copyEvery: 3,
    });
    expect([9, 2, 1, 0].map((step) => again(step)).toReversed()).toEqual(inOrder);
  });

  it('keeps a step within its tokens and labels everything but the first token of plain text', () => {
    for (const step of [0, 1, 2]) {
      const examples = examplesOf({ articleShare: 1 }, step);
      const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
      expect(tokens).toBeLessThanOrEqual(options.batchTokens);
      for (const { ids, labels } of examples) {
        expect(labels).toEqual(ids.map((_, t) => (t === 0 ? 0 : 1)));
      }
    }
  });

  it('labels of exercises only the answers, each of which stands in a passage', () => {
    const all = [0, 8, 16].flatMap((step) => examplesOf({}, step).map(stretchesOf));
    const gaps = all.flat().filter(({ text }) => text.includes('[mask]'));
    const questions = all.flat().filter(({ text }) => text.endsWith('?\n'));
    expect(gaps.length).toBeGreaterThan(20);
    expect(questions.length).toBeGreaterThan(20);
    for (const stretches of all) {
      const shown = stretches.filter(({ isLabel }) => !isLabel).map(({ text }) => text);
      for (const { text } of stretches.filter(({ isLabel }) => isLabel)) {
        expect(text.endsWith('\n')).toBe(true);
        for (const answer of text.trim().split(' ; ')) expect(shown.join('')).toContain(answer);
      }
    }
  });

  it('labels of worksheets the words after a number and what fills the gaps of that line', () => {
    const all = [0, 8, 16].flatMap((step) =>
      examplesOf({ worksheetShare: 1 }, step).map(stretchesOf),
    );
    const sheets = all.filter((stretches) => stretches.some(({ text }) => / \d:$/.test(text)));
    expect(sheets.length).toBeGreaterThan(10);
    for (const stretches of sheets) {
      const [first] = stretches;
      const lines = new Map(
        [...(first?.text ?? '').matchAll(/^ (\d): (.*\[mask\].*)$/gm)].map(([, n, line]) => [
          n,
          line,
        ]),
      );
      expect(lines.size).toBeGreaterThan(0);
      const answers: string[] = [];
      for (const [i, { text }] of stretches.entries()) {
        const number = / (\d):$/.exec(text)?.[1];
        if (number === undefined) continue;
        const words = (line: string) => line.match(/[\w-]+/g) ?? [];
        const line = lines.get(number) ?? '';
        expect(words(stretches[i + 1]?.text ?? '')).toEqual(words(line.replaceAll('[mask]', ' ')));
        const [filling = ''] = (stretches[i + 3]?.text ?? '').trim().split('\n');
        expect(filling.split(' ; ')).toHaveLength(line.split('[mask]').length - 1);
        expect(stretches[i + 2]?.text).not.toContain('[mask]');
        answers.push(filling);
      }
      expect(stretches.at(-1)?.text.trim().split('\n').at(-1)?.trim()).toBe(answers.join(' ; '));
    }
  });

  it('never shows a worksheet the sentences that it is made from', () => {
    const all = [0, 8, 16].flatMap((step) =>
      examplesOf({ worksheetShare: 1 }, step).map(stretchesOf),
    );
    let lines = 0;
    for (const stretches of all) {
      const shown = stretches.filter(({ isLabel }) => !isLabel).map(({ text }) => text);
      for (const [i, { text }] of stretches.entries()) {
        const number = / (\d):$/.exec(text)?.[1];
        if (number === undefined) continue;
        const line =
          new RegExp(`^ ${number}: (.*)$`, 'm').exec(stretches[0]?.text ?? '')?.[1] ?? '';
        const fillings = (stretches[i + 3]?.text ?? '').split('\n')[0]?.trim().split(' ; ') ?? [];
        const sentence = fillings.reduce((masked, name) => masked.replace('[mask]', name), line);
        expect(sentence).not.toContain('[mask]');
        expect(shown.slice(1).join('')).not.toContain(sentence);
        lines++;
      }
    }
    expect(lines).toBeGreaterThan(20);
  });

  it('makes every other of the first steps a copying step', () => {
    for (const step of [0, 2]) {
      expect(examplesOf({ copyFirst: 4 }, step)).toEqual(examplesOf({ copyEvery: 1 }, step));
    }
    for (const step of [1, 3, 4]) {
      expect(examplesOf({ copyFirst: 4 }, step)).toEqual(examplesOf({}, step));
    }
  });
});
