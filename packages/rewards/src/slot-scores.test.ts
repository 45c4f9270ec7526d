import { describe, expect, test } from 'vitest';
import { briefRecall, exactMatch, tokenF1 } from './answer-metrics.ts';
import { outcome, perSlotScores } from './slot-scores.ts';

const golds = ['Karo Belin', 'Tusade', '1874'].map((text) => ({ text, aliases: [] }));

describe('perSlotScores', () => {
  test('compares masks by position', () => {
    const answer = ['karo belin', '1874', 'Tusade'];
    expect(perSlotScores({ answer, golds, ordered: true }, exactMatch)).toEqual([1, 0, 0]);
  });

  test('compares lists by the best matching', () => {
    const answer = ['1874', 'Belin', 'Tusade'];
    const scores = perSlotScores({ answer, golds, ordered: false }, tokenF1);
    expect(scores[0]).toBeCloseTo(2 / 3, 12);
    expect(scores.slice(1)).toEqual([1, 1]);
  });

  test('scores a missing answer or slot 0', () => {
    expect(perSlotScores({ answer: null, golds, ordered: true }, exactMatch)).toEqual([0, 0, 0]);
    expect(perSlotScores({ answer: [], golds, ordered: false }, exactMatch)).toEqual([0, 0, 0]);
    const short = { answer: ['Karo Belin'], golds, ordered: true };
    expect(perSlotScores(short, exactMatch)).toEqual([1, 0, 0]);
  });

  test('a repeated answer fills one slot', () => {
    const answer = ['Tusade', 'Tusade', 'Tusade'];
    expect(perSlotScores({ answer, golds, ordered: false }, exactMatch)).toEqual([0, 1, 0]);
  });

  test('surplus answers scale all scores down', () => {
    const answer = ['Tusade', 'Karo Belin', '1874', 'x', 'y', 'z'];
    expect(perSlotScores({ answer, golds, ordered: false }, exactMatch)).toEqual([0.5, 0.5, 0.5]);
  });
});

describe('outcome', () => {
  const of = (answer: string[] | null, ordered = true) => outcome({ answer, golds, ordered });

  test('is 1 only if every slot is exactly right', () => {
    expect(of(['the Karo Belin', 'tusade.', '1874'])).toBe(1);
    expect(of(['Karo Belin', 'Tusade', '1875'])).toBe(0);
    expect(of(['Karo Belin', 'Tusade'])).toBe(0);
    expect(of(['Karo Belin', 'Tusade', '1874', '1874'])).toBe(0);
    expect(of(null)).toBe(0);
  });

  test('ignores the order of lists only', () => {
    const turned = ['Tusade', '1874', 'Karo Belin'];
    expect(of(turned, true)).toBe(0);
    expect(of(turned, false)).toBe(1);
  });
});

describe('hostile answers', () => {
  const honest = golds.map((gold) => gold.text);
  const candidates = Array.from({ length: 300 }, (_, i) => `Name${i}`);
  const everything = [...honest, ...candidates].join(' ');
  const hostile: Record<string, string[]> = {
    'every candidate in every slot': [everything, everything, everything],
    'every candidate as a slot of its own': [...honest, ...candidates],
    'the right answers, repeated': [...honest, ...honest, ...honest],
    'each right answer said twice': honest.map((text) => `${text} ${text}`),
    'a huge string': [everything.repeat(200), '', ''],
  };

  test.each(Object.entries(hostile))('%s earns less than an honest answer', (_, answer) => {
    for (const ordered of [true, false]) {
      for (const metric of [briefRecall(), tokenF1, exactMatch]) {
        const sum = (slots: string[]): number =>
          perSlotScores({ answer: slots, golds, ordered }, metric).reduce((a, b) => a + b);
        expect(sum(honest)).toBe(3);
        expect(sum(answer)).toBeLessThan(0.75 * 3);
      }
      expect(outcome({ answer, golds, ordered })).toBe(0);
    }
  });

  test('two candidates in a slot earn no more than picking one of them', () => {
    const both = briefRecall()('Tusade Moru', { text: 'Tusade', aliases: [] });
    expect(both).toBe(0.5);
  });
});
