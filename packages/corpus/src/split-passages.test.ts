// Passages: exact offsets, nothing lost, whole sentences, word limit.
import { InputError, passageSchema } from '@masksearch/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitPassages } from './split-passages.ts';
import { documentOf } from './testing.ts';

const words = (text: string): number => text.match(/\S+/g)?.length ?? 0;
const fragment = fc.constantFrom(
  'word', 'Dr. Smith', 'the end.', 'Is it?', '\n\n', '\n', '\r\n', '  ', '\u00a0', '。', 'U.S.', '😀', 'e.g.', '"', 'A.', '…',
); // prettier-ignore
const text = fc
  .array(fc.oneof(fragment, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 60 })
  .map((parts) => parts.join(' '));

describe('splitPassages', () => {
  it(
    'keeps every character but white space, at exact offsets, within the limit',
    { timeout: 60_000 },
    () => {
      fc.assert(
        fc.property(text, fc.integer({ min: 1, max: 12 }), (source, maxWords) => {
          const passages = splitPassages(documentOf(source), { maxWords });
          let end = 0;
          passages.forEach((passage, index) => {
            passageSchema.parse(passage);
            expect(passage.id).toBe(`d#${index}`);
            expect(source.slice(passage.start, passage.start + passage.text.length)).toBe(
              passage.text,
            );
            expect(source.slice(end, passage.start).trim()).toBe('');
            expect(passage.text).toBe(passage.text.trim());
            expect(words(passage.text)).toBeGreaterThan(0);
            expect(words(passage.text)).toBeLessThanOrEqual(maxWords);
            end = passage.start + passage.text.length;
          });
          expect(source.slice(end).trim()).toBe('');
        }),
        { numRuns: 500, seed: 2 },
      );
    },
  );

  it('ends passages at sentences', () => {
    const passages = splitPassages(documentOf('One two three. Four five six. Seven eight.'), {
      maxWords: 6,
    });
    expect(passages.map((p) => p.text)).toEqual(['One two three. Four five six.', 'Seven eight.']);
  });

  it('cuts a sentence that is too long between words', () => {
    const passages = splitPassages(documentOf('a b c d e f g. Next one.'), { maxWords: 3 });
    expect(passages.map((p) => p.text)).toEqual(['a b c', 'd e f', 'g. Next one.']);
  });

  it('ends a passage that is half full with its paragraph, and joins short paragraphs', () => {
    const source = 'One two three.\n\nFour five.\n\nSix.';
    const split = (maxWords: number) =>
      splitPassages(documentOf(source), { maxWords }).map((p) => p.text);
    expect(split(6)).toEqual(['One two three.', 'Four five.\n\nSix.']);
    expect(split(60)).toEqual([source]);
  });

  it('refuses a limit that is no positive integer, and gives nothing for no text', () => {
    for (const maxWords of [0, 1.5, NaN]) {
      expect(() => splitPassages(documentOf('x'), { maxWords })).toThrow(InputError);
    }
    expect(splitPassages(documentOf(' \n '))).toEqual([]);
  });
});
