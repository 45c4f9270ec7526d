// Orders of training, difficulty, decontamination and counts.
import { describe, expect, it } from 'vitest';
import { InputError } from '@masksearch/core';
import type { MaskTask } from '@masksearch/core';
import { curriculum, tasksByK } from './curriculum.ts';
import { createDecontaminator } from './decontaminate.ts';
import { difficulty } from './difficulty.ts';
import { spanOf } from './spans.ts';
import { TaskTally, tasksOf } from './tally.ts';
import { makeTask } from './task.ts';
import { barto, BARTO_TEXT, collect, corpus, optionsOver } from './testing.ts';

function task(passage: string, k: number, rank = 1): MaskTask {
  return makeTask({
    passage: { version: 1, id: passage, documentId: 'd', title: 'T', text: BARTO_TEXT, start: 0 },
    slots: barto.spans.slice(0, k),
    excludedPassages: [],
    ranks: Array.from({ length: k }, () => rank),
    topK: 10,
    kMax: 4,
  });
}

const tasks = [
  task('a', 2, 5),
  task('a', 1, 9),
  task('b', 2, 1),
  task('c', 1, 2),
  task('c', 2, 3),
  task('e', 1, 1),
];

function ids(options: Parameters<typeof curriculum>[1]): string[] {
  return curriculum(tasks, options).map(({ passageId, k }) => `${passageId}${k}`);
}

describe('curriculum', () => {
  it('takes equal numbers per k, first from passages with every k', () => {
    const two = tasks.slice(0, 5);
    const chosen = curriculum(two, { order: 'ascending', ks: [1, 2] });
    expect(chosen.map(({ passageId, k }) => `${passageId}${k}`)).toEqual(['c1', 'a1', 'c2', 'a2']);
  });

  it('goes from easy to hard, from hard to easy, or mixes by seed', () => {
    const up = ids({ order: 'ascending', ks: [1, 2] });
    expect(up).toEqual(['e1', 'c1', 'a1', 'b2', 'c2', 'a2']);
    expect(ids({ order: 'descending', ks: [2, 1] })).toEqual([...up].reverse());
    const mixed = ids({ order: 'mixed', ks: [1, 2], seed: 3 });
    expect([...mixed].sort()).toEqual([...up].sort());
    expect(ids({ order: 'mixed', ks: [1, 2], seed: 3 })).toEqual(mixed);
    expect(ids({ order: 'mixed', ks: [1, 2], seed: 4 })).not.toEqual(mixed);
  });

  it('needs tasks for every k', () => {
    expect(() => curriculum(tasks, { order: 'mixed', ks: [1, 3] })).toThrow(InputError);
    expect(() => curriculum(tasks, { order: 'mixed', ks: [] })).toThrow(InputError);
    expect([...tasksByK(tasks).keys()]).toEqual([2, 1]);
  });
});

describe('difficulty', () => {
  const text = 'x'.repeat(100);
  const slot = (start: number, end: number) => spanOf(text, [start, end], 'any');

  it('adds slots, evidence and hidden text by hand-computed shares', () => {
    const one = { text, slots: [slot(0, 10)], ranks: [1], kMax: 4, topK: 9 };
    expect(difficulty(one)).toBeCloseTo(0.2 * 0.1, 12);
    expect(difficulty({ ...one, ranks: [null] })).toBeCloseTo(0.3 + 0.02, 12);
    const four = [0, 20, 40, 60].map((start) => slot(start, start + 20));
    const hard = { ...one, slots: four, ranks: [10, null, null, 10] };
    expect(difficulty(hard)).toBeCloseTo(0.5 + 0.3 + 0.16, 12);
    expect(difficulty({ ...one, kMax: 1 })).toBeCloseTo(0.02, 12);
  });
});

describe('createDecontaminator', () => {
  it('compares runs of words without case and punctuation; short texts count whole', () => {
    const isContaminated = createDecontaminator(
      [
        { text: 'One two, three FOUR five.' },
        { text: 'Six seven' },
        { title: 'Mars (planet)', text: '' },
      ],
      { ngramWords: 4 },
    );
    const check = (text: string, title = '') => isContaminated({ text, title });
    expect(check('zero two three: four five')).toBe(true);
    expect(check('two three four six')).toBe(false);
    expect(check('and six SEVEN too')).toBe(true);
    expect(check('nothing', 'mars')).toBe(true);
    expect(() => createDecontaminator([], { ngramWords: 0 })).toThrow('positive integer');
  });

  it('compares runs of characters where a script has no spaces', () => {
    const question = '拉脱维亚共和国的首都是哪一座城市？它位于道加瓦河畔吗？';
    const isContaminated = createDecontaminator([{ text: question }], { ngramWords: 6 });
    const check = (text: string) => isContaminated({ text, title: '' });
    expect(check('请问，拉脱维亚共和国的首都是哪一座城市')).toBe(true);
    expect(check('爱沙尼亚共和国的首都是哪里？')).toBe(false);
  });
});

describe('TaskTally', () => {
  it('counts tasks by group and rejections by reason', async () => {
    const tally = new TaskTally();
    const outcomes = await collect(await optionsOver(corpus));
    async function* replay() {
      yield* outcomes;
    }
    let made = 0;
    for await (const { k } of tasksOf(replay(), tally)) made += Number(k > 0);
    expect(made).toBe(4);
    expect(tally.made).toEqual({ k1: 1, k2: 1, k3: 1, k4: 1 });
    expect(tally.rejected).toEqual({ 'too-few-retrievable-spans': 1, 'too-few-spans': 1 });
  });
});
