// What holds of every task, whatever the paragraph: unmasking, distinct slots, uniqueness, k.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError, MASK_MARKER, RandomStream, maskTaskSchema } from '@masksearch/core';
import type { Span } from '@masksearch/core';
import { eligibleSpans } from './eligibility.ts';
import { extractSpans } from './extract.ts';
import { maskText, unmask } from './mask.ts';
import { randomSpans } from './random-spans.ts';
import { selectSpans } from './select.ts';
import { checkSpan, spanOf } from './spans.ts';
import { checkTask, makeTask } from './task.ts';
import { countOccurrences, isWordBounded } from './words.ts';

const RULES = { allowLeadingMask: false };

/** Words of several scripts, numbers, joined words, characters beyond the BMP, repeated ones. */
const word = fc.oneof(
  fc.constantFrom('Ada', 'Łódź', 'Ωmega', '東京', '𐌀𐌁', 'e\u0301t', 'Smith-Jones', 'mask', 'Rome'),
  fc.constantFrom('0.75', '1,200', '−5', '3rd', '1815', '😀', "O'Brien", 'the', 'of'),
  fc.string({ minLength: 1, maxLength: 5, unit: 'grapheme' }),
);
const gap = fc.constantFrom(' ', ', ', '. ', '; ', '\n', ' – ', '');

/** A paragraph and spans anywhere in it, over words and across them. */
const paragraphs = fc
  .tuple(
    fc.array(fc.tuple(word, gap), { minLength: 1, maxLength: 40 }),
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 12 })), { maxLength: 30 }),
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 3 })), { maxLength: 30 }),
  )
  .map(([pieces, anywhere, overWords]) => {
    const text = pieces.map(([w, g]) => w + g).join('');
    const starts = [0];
    for (const [w, g] of pieces) starts.push((starts.at(-1) ?? 0) + w.length + g.length);
    const ranges: [number, number][] = anywhere.map(([start, length]) => {
      const from = start % text.length;
      return [from, Math.min(text.length, from + 1 + length)];
    });
    for (const [first, count] of overWords) {
      const i = first % pieces.length;
      const last = Math.min(pieces.length - 1, i + count - 1);
      ranges.push([starts[i] ?? 0, (starts[last] ?? 0) + (pieces[last]?.[0].length ?? 1)]);
    }
    return { text, spans: ranges.map((range) => spanOf(text, range, 'any')) };
  });

const settings = { numRuns: 400, seed: 20_254 };

function paragraphOf(text: string) {
  return { text, title: 'Rome', aliases: ['Ada Lovelace'] };
}

function checkSlots(text: string, slots: readonly Span[], k: number): void {
  const task = makeTask({
    passage: { version: 1, id: 'd#0', documentId: 'd', title: 'Rome', text, start: 0 },
    slots,
    excludedPassages: ['d#0'],
    ranks: slots.map(() => 1),
    topK: 10,
    kMax: 4,
  });
  expect(maskTaskSchema.safeParse(task).success).toBe(true);
  expect(unmask(task)).toBe(text);
  expect(task.slots).toHaveLength(k);
  expect(task.masked.split(MASK_MARKER)).toHaveLength(k + 1);
  expect(new Set(slots.map((slot) => slot.text.toLowerCase())).size).toBe(k);
  for (const slot of slots) {
    checkSpan('test', text, slot);
    expect(isWordBounded(text, slot.start, slot.end)).toBe(true);
    expect(countOccurrences(text, slot.text)).toBe(1);
    expect(countOccurrences(task.masked.replaceAll(MASK_MARKER, ' '), slot.text)).toBe(0);
  }
}

describe('every task', () => {
  it('unmasks to its text, with k distinct slots that occur once', () => {
    let tasks = 0;
    fc.assert(
      fc.property(paragraphs, fc.nat(), ({ text, spans }, seed) => {
        const { eligible, refused } = eligibleSpans(paragraphOf(text), spans, RULES);
        expect(eligible.length + refused.length).toBe(spans.length);
        fc.pre(!text.toLowerCase().includes(MASK_MARKER));
        for (let k = 1; k <= Math.min(4, eligible.length); k++) {
          tasks++;
          checkSlots(text, selectSpans(eligible, k, new RandomStream(seed, 'test')), k);
        }
      }),
      settings,
    );
    expect(tasks).toBeGreaterThan(200);
  });

  it('holds for random spans, which match the salient ones in words', () => {
    let tasks = 0;
    fc.assert(
      fc.property(paragraphs, fc.nat(), ({ text, spans }, seed) => {
        const { eligible } = eligibleSpans(paragraphOf(text), spans, RULES);
        fc.pre(eligible.length > 1 && !text.toLowerCase().includes(MASK_MARKER));
        const stream = new RandomStream(seed, 'test');
        const slots = randomSpans(paragraphOf(text), eligible.slice(0, 2), { ...RULES, stream });
        if (!slots) return;
        tasks++;
        checkSlots(text, slots, 2);
      }),
      settings,
    );
    expect(tasks).toBeGreaterThan(50);
  });

  it('masking and unmasking are inverse for any slots in order', () => {
    fc.assert(
      fc.property(paragraphs, ({ text, spans }) => {
        fc.pre(!text.includes(MASK_MARKER));
        const slots: Span[] = [];
        for (const span of [...spans].sort((a, b) => a.start - b.start)) {
          if (span.start >= (slots.at(-1)?.end ?? 0)) slots.push(span);
        }
        const masked = maskText(text, slots);
        expect(unmask({ masked, slots })).toBe(text);
      }),
      settings,
    );
  });

  it('is refused if the text holds a marker or a slot is displaced', () => {
    const text = 'In 1815 Ada was born.';
    const slots = [spanOf(text, [3, 7], 'date')];
    const input = {
      passage: { version: 1 as const, id: 'd#0', documentId: 'd', title: '', text, start: 0 },
      excludedPassages: [],
      ranks: [null],
      topK: 10,
      kMax: 4,
    };
    const task = makeTask({ ...input, slots });
    expect(task.retrievable).toEqual([false]);
    expect(() => checkTask({ ...task, k: 2 })).toThrow(InputError);
    expect(() => checkTask({ ...task, text: `${text} [mask]` })).toThrow(InputError);
    expect(() => checkTask({ ...task, masked: text })).toThrow('expected 1 markers');
    const displaced = [{ ...spanOf(text, [3, 7], 'date'), start: 4, end: 8 }];
    expect(() => makeTask({ ...input, slots: displaced })).toThrow('UTF-16');
    const twice = { ...input.passage, text: 'Ada met Ada.' };
    const shown = [spanOf(twice.text, [8, 11], 'name')];
    expect(() => makeTask({ ...input, passage: twice, slots: shown })).toThrow(
      'shows it elsewhere',
    );
    expect(() => maskText(text, [{ start: 18, end: 40 }])).toThrow('within 21 characters');
    expect(() => selectSpans(slots, 2, new RandomStream(1, 'test'))).toThrow('1..1');
  });

  it('has spans of the extractor at exact, whole words, apart', () => {
    fc.assert(
      fc.property(paragraphs, ({ text }) => {
        const spans = extractSpans(text);
        for (const [i, span] of spans.entries()) {
          checkSpan('test', text, span);
          expect(span.start).toBeGreaterThanOrEqual(spans[i - 1]?.end ?? 0);
        }
      }),
      settings,
    );
  });
});
