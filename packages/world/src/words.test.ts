import { describe, expect, test } from 'vitest';
import { relationOf, RELATION_NAMES } from './relations.ts';
import { sentenceForms } from './sentence-forms.ts';
import { spell, SYLLABLES, wordPools, type Split } from './words.ts';

function allWords(split: Split): string[] {
  return Object.values(wordPools(split)).flatMap(({ two, three }) =>
    [...two, ...three].map((code) => spell(code)),
  );
}

describe('wordPools', () => {
  const train = allWords('train');
  const heldout = allWords('heldout');

  test('gives each split its own words and each word one role', () => {
    expect(new Set([...train, ...heldout]).size).toBe(train.length + heldout.length);
  });

  test('divides the words evenly', () => {
    expect(train.length / heldout.length).toBeGreaterThan(0.98);
    expect(train.length / heldout.length).toBeLessThan(1.02);
  });

  test('spells words of two or three of the 80 syllables', () => {
    expect(new Set(SYLLABLES).size).toBe(80);
    for (const word of [...train.slice(0, 500), ...heldout.slice(-500)]) {
      const syllables = word.toLowerCase().match(/.../g) ?? [];
      expect([2, 3]).toContain(syllables.length);
      expect(SYLLABLES).toEqual(expect.arrayContaining(syllables));
    }
  });

  test('has few rimes and none like an English suffix', () => {
    const rimes = new Set(SYLLABLES.map((syllable) => syllable.slice(1)));
    expect(rimes.size).toBeLessThanOrEqual(28);
    expect(['al', 'er', 'ed', 'es', 'ly'].filter((suffix) => rimes.has(suffix))).toEqual([]);
  });

  test('has no word that the texts or questions use', () => {
    const used = new Set(
      [
        ...sentenceForms.flatMap((form) => form.phrasings),
        ...RELATION_NAMES.flatMap((name) => {
          const { questions, phrases, query, list, comparison } = relationOf(name);
          return [
            ...questions,
            ...phrases,
            query,
            ...(list?.questions ?? []),
            ...(comparison ?? []),
          ];
        }),
      ].flatMap((text) => text.toLowerCase().match(/[a-z]+/g) ?? []),
    );
    expect(used.size).toBeGreaterThan(100);
    expect([...train, ...heldout].filter((word) => used.has(word.toLowerCase()))).toEqual([]);
  });
});
