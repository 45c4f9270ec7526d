// Perplexity masking: which spans are chosen, and what happens to those that cannot be found.
import fc from 'fast-check';
import {
  InputError,
  type Document,
  type MaskTask,
  type Passage,
  type Span,
} from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import { describe, expect, it } from 'vitest';
import { resolveRampConfig } from './config.ts';
import { hardestSpans, perplexityDifficulty, scoreAll, type ScoreSpans } from './hardest-spans.ts';
import { makeTasks, type MakeTasksOptions, type TaskOutcome } from './make-tasks.ts';
import { readModelSpans } from './model-spans.ts';
import { spanOf } from './spans.ts';

const TEXT =
  'In the year 1703 the printer Belo Nakuda opened Gutu Vuvo near Lihiti, and Rizego Dosape wrote Toni Figa there.';
const NAMES = ['1703', 'Belo Nakuda', 'Gutu Vuvo', 'Lihiti', 'Rizego Dosape', 'Toni Figa'];
const spans = NAMES.map((name) => {
  const start = TEXT.indexOf(name);
  return spanOf(TEXT, [start, start + name.length], 'name');
});
const document: Document = {
  version: 1,
  id: 'd',
  title: 'Printing',
  aliases: [],
  text: TEXT,
  spans,
  source: 'test',
};
const passage: Passage = {
  version: 1,
  id: 'd#0',
  documentId: 'd',
  title: 'Printing',
  text: TEXT,
  start: 0,
};
/** Finds every name but those given. */
const searchWithout = (...lost: string[]): SearchTool => ({
  provider: 'fixed',
  search: () =>
    Promise.resolve([
      {
        id: 'x',
        documentId: 'x',
        title: 'Printing',
        text: NAMES.filter((name) => !lost.includes(name)).join(', '),
        score: 1,
      },
    ]),
});
/** The earlier in `order`, the harder. */
const inOrder =
  (...order: string[]): ScoreSpans =>
  (asked) =>
    Promise.resolve(asked.map(({ span }) => -10 + order.indexOf(span.text)));

async function make(
  options: Partial<MakeTasksOptions>,
  spansBy: 'perplexity' | 'model',
): Promise<TaskOutcome[]> {
  const config = resolveRampConfig({ ks: [1, 2, 3], spans: spansBy, rules: 'never' });
  const outcomes: TaskOutcome[] = [];
  const all = {
    documents: [document],
    passagesOf: () => [passage],
    search: searchWithout(),
    config,
    seed: 1,
    ...options,
  };
  for await (const outcome of makeTasks(all)) outcomes.push(outcome);
  return outcomes;
}

const tasksOf = (outcomes: TaskOutcome[]): MaskTask[] =>
  outcomes.flatMap((outcome) => ('task' in outcome ? [outcome.task] : []));
const textsOf = (slots: readonly Span[]): string[] => slots.map(({ text }) => text);

describe('makeTasks with perplexity masking', () => {
  const order = ['Toni Figa', 'Lihiti', 'Gutu Vuvo', '1703', 'Belo Nakuda', 'Rizego Dosape'];

  it('masks the k hardest spans and keeps how hard they are', async () => {
    let calls = 0;
    const scoreSpans: ScoreSpans = (asked) => {
      calls++;
      return inOrder(...order)(asked);
    };
    const tasks = tasksOf(await make({ scoreSpans }, 'perplexity'));
    expect(tasks.map(({ slots }) => textsOf(slots))).toEqual([
      ['Toni Figa'],
      ['Lihiti', 'Toni Figa'],
      ['Gutu Vuvo', 'Lihiti', 'Toni Figa'],
    ]);
    // One batch for all ks of a passage.
    expect(calls).toBe(1);
    expect(tasks[0]?.difficulty).toBeCloseTo(1 - Math.exp(-10), 12);
    expect(tasks[1]?.difficulty).toBeCloseTo(1 - (Math.exp(-10) + Math.exp(-9)) / 2, 12);
  });

  it('takes the next hardest where one cannot be found', async () => {
    const options = { scoreSpans: inOrder(...order), search: searchWithout('Lihiti') };
    const tasks = tasksOf(await make(options, 'perplexity'));
    expect(textsOf(tasks[1]?.slots ?? [])).toEqual(['Gutu Vuvo', 'Toni Figa']);
  });

  it('refuses to start without a scorer, and scores that are none', async () => {
    await expect(make({}, 'perplexity')).rejects.toThrow(/scoreSpans/);
    const wrong: ScoreSpans = (asked) => Promise.resolve(asked.map(() => NaN));
    await expect(make({ scoreSpans: wrong }, 'perplexity')).rejects.toThrow(InputError);
    await expect(scoreAll(passage, spans, () => Promise.resolve([0]))).rejects.toThrow(/6 scores/);
  });
});

describe('makeTasks with spans listed by a model', () => {
  it('masks only what the text holds once, word-bounded', async () => {
    const listed = JSON.stringify([...NAMES, 'Belo', 'absent', 'the', 'izego']);
    const listSpans = ({ text }: { text: string }) =>
      Promise.resolve(readModelSpans(text, listed).spans);
    const tasks = tasksOf(await make({ listSpans }, 'model'));
    expect(tasks).toHaveLength(3);
    for (const { slots } of tasks) {
      for (const text of textsOf(slots)) expect(NAMES).toContain(text);
    }
  });

  it('rejects a paragraph for which the model gave no list', async () => {
    const outcomes = await make({ listSpans: () => Promise.resolve(null) }, 'model');
    expect(outcomes).toMatchObject([{ reason: 'no-model-spans' }]);
    await expect(make({}, 'model')).rejects.toThrow(/listSpans/);
  });
});

describe('hardestSpans', () => {
  it('gives k spans, all found, none easier than one left out that is found alone and with the rest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ logProb: fc.integer({ min: -20, max: 0 }), found: fc.boolean() }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.integer({ min: 1, max: 4 }),
        async (rows, k) => {
          const scored = rows.map(({ logProb }, i) => ({
            span: { start: 2 * i, end: 2 * i + 1, text: 'x', kind: 'k', aliases: [] },
            logProb,
          }));
          const isFound = (span: Span): boolean => rows[span.start / 2]?.found ?? false;
          const ranksOf = (slots: readonly Span[]) =>
            Promise.resolve(slots.map((slot) => (isFound(slot) ? 1 : null)));
          const result = await hardestSpans(scored, k, ranksOf, true);
          const findable = scored.filter(({ span }) => isFound(span));
          if (findable.length < k) {
            expect(result).toBeUndefined();
            return;
          }
          const expected = findable
            .toSorted((a, b) => a.logProb - b.logProb || a.span.start - b.span.start)
            .slice(0, k)
            .toSorted((a, b) => a.span.start - b.span.start);
          expect(result?.chosen).toEqual(expected);
          const value = perplexityDifficulty(expected);
          expect(value >= 0 && value <= 1).toBe(true);
        },
      ),
    );
  });
});
