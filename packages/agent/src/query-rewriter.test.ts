import { describe, expect, it } from 'vitest';
import { gapsOfSentence, namesAroundGap, queriesForGap, queriesForStep } from './query-rewriter.ts';

const MASKED =
  'In 1703 Belo Nakuda opened [mask] with J. R. Sute in [mask]. He was born in [mask]! The town lies by the Rizego.';

describe('queriesForGap', () => {
  it('asks the sentence with the subject once more, the sentence, its names, all names, without markers', () => {
    expect(queriesForGap(MASKED, 0)).toEqual([
      'In 1703 Belo Nakuda opened with J R Sute in Belo Nakuda',
      'In 1703 Belo Nakuda opened with J R Sute in',
      'Belo Nakuda J R Sute',
      'Belo Nakuda J R Sute Rizego',
    ]);
  });
  it("asks with the paragraph's first name where the sentence has none", () => {
    expect(queriesForGap(MASKED, 2)).toEqual([
      'He was born in Belo Nakuda',
      'He was born in',
      'Belo Nakuda born',
      'Belo Nakuda J R Sute Rizego',
    ]);
  });
  it('keeps the words nearest to the gap of a long sentence', () => {
    const words = Array.from({ length: 40 }, (_, i) => `w${i}`);
    const [query] = queriesForGap(
      `${words.slice(0, 30).join(' ')} [mask] ${words.slice(30).join(' ')}`,
      0,
    );
    expect(query).toBe(words.slice(22, 38).join(' '));
  });
  it('keeps room for the subject', () => {
    const words = Array.from({ length: 40 }, (_, i) => `w${i}`);
    const [first] = queriesForGap(`Belo Nakuda came. ${words.join(' ')} [mask].`, 0);
    expect(first).toBe(`${words.slice(26).join(' ')} Belo Nakuda`);
  });
  it('has no query for a gap without words', () => {
    expect(queriesForGap('[mask]', 0)).toEqual([]);
  });
});

describe('gaps', () => {
  it('share the sentence they stand in', () => {
    expect([0, 1, 2].map((gap) => gapsOfSentence(MASKED, gap))).toEqual([[0, 1], [0, 1], [2]]);
    expect(namesAroundGap(MASKED, 1)).toEqual(['Belo Nakuda', 'J R Sute']);
    expect(namesAroundGap(MASKED, 2)).toEqual(['Belo Nakuda']);
  });
});

describe('queriesForStep', () => {
  it('asks the step, then the names, then the question', () => {
    expect(queriesForStep('Gutu Vuvo opened in', 'When did the firm of Belo Nakuda open?')).toEqual(
      ['Gutu Vuvo opened in', 'Gutu Vuvo Belo Nakuda', 'When did the firm of Belo Nakuda open'],
    );
  });
});
