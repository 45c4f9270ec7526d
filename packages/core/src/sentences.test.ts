import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sentencesOf, splitSentences } from './sentences.ts';

describe('splitSentences', () => {
  it.each([
    ['Dr. Smith met Mr. Jones. They left.', ['Dr. Smith met Mr. Jones.', 'They left.']],
    ['J. R. R. Tolkien wrote. He slept.', ['J. R. R. Tolkien wrote.', 'He slept.']],
    ['The U.S. Army came. It stayed.', ['The U.S. Army came.', 'It stayed.']],
    ['It grew, cf. Darwin et al. The end.', ['It grew, cf. Darwin et al. The end.']],
    ['Born c. 1500 in St. Ives. Died.', ['Born c. 1500 in St. Ives.', 'Died.']],
    ['It cost 3.5 dollars. Really? Yes!', ['It cost 3.5 dollars.', 'Really?', 'Yes!']],
    ['A list\nof items\n\nand more.', ['A list', 'of items', 'and more.']],
    [
      'He came at 5 p.m. to St. Ives. "No one knows." End',
      ['He came at 5 p.m. to St. Ives.', '"No one knows."', 'End'],
    ],
    ['He was born. [mask] died.', ['He was born.', '[mask] died.']],
    ['他出生了。“谁？”他问。', ['他出生了。', '“谁？”', '他问。']],
    ['Es endete. Ökonomie blieb.', ['Es endete.', 'Ökonomie blieb.']],
    ['', []],
  ])('cuts %j', (text, expected) => {
    expect(sentencesOf(text)).toEqual(expected);
  });

  it('gives a text with gaps the sentences that it has without', () => {
    const text = 'Ada Low was born in Ely. In 1901 Ely had a fair. Ada Low left.';
    const masked = text.replaceAll('Ada Low', '[mask]').replace('1901', '[mask]');
    expect(sentencesOf(masked)).toHaveLength(sentencesOf(text).length);
  });

  it('holds every character that is not white space, in order', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (text) => {
        let end = 0;
        for (const sentence of splitSentences(text)) {
          expect(text.slice(end, sentence.start).trim()).toBe('');
          expect(sentence.end).toBeGreaterThan(sentence.start);
          end = sentence.end;
        }
        expect(text.slice(end).trim()).toBe('');
      }),
    );
  });
});
