// Words and analysis beyond what the golden file covers.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { analyzeEnglish } from './english-analysis.ts';
import { MAX_WORD_LENGTH, unicodeWords } from './unicode-words.ts';

describe('unicodeWords', () => {
  it.each([
    ["it's o'clock 'quoted'", ["it's", "o'clock", 'quoted']],
    ['U.S. 3.14, 1,000;2', ['U.S', '3.14', '1,000;2']],
    ['end.Next 4.x x.4', ['end.Next', '4', 'x', 'x', '4']],
    ['a_b __ _1 -x-', ['a_b', '_1', 'x']],
    ['漢字 ひら', ['漢', '字', 'ひ', 'ら']],
    ['𝒳𝒴 𠀀𠀁', ['𝒳𝒴', '𠀀', '𠀁']],
    ['e\u0301te\u0301', ['e\u0301te\u0301']],
    ['a:b', ['a', 'b']],
    ['\ud800x', ['x']],
    ['', []],
  ])('cuts %j', (text, words) => {
    expect(unicodeWords(text)).toEqual(words);
  });

  it('cuts very long words into pieces', () => {
    const words = unicodeWords('x'.repeat(2 * MAX_WORD_LENGTH + 1));
    expect(words.map((word) => word.length)).toEqual([MAX_WORD_LENGTH, MAX_WORD_LENGTH, 1]);
  });

  it('loses no letter or digit and invents nothing', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const keep = (s: string) => s.match(/[\p{L}\p{Nd}]/gu)?.join('') ?? '';
        expect(keep(unicodeWords(text).join(' '))).toBe(keep(text));
        let from = 0;
        for (const word of unicodeWords(text)) {
          const at = text.indexOf(word, from);
          expect(at).toBeGreaterThanOrEqual(from);
          from = at + word.length;
        }
      }),
      { numRuns: 500, seed: 4 },
    );
  });
});

describe('analyzeEnglish', () => {
  it('removes possessives and stop words, lowers and stems', () => {
    expect(analyzeEnglish("The Porter's STEMS are running into Ireland’s rivers.")).toEqual([
      'porter', 'stem', 'run', 'ireland', 'river',
    ]); // prettier-ignore
  });
});
