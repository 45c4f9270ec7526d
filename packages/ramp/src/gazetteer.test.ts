// The automaton finds what a search for each name finds: whole words, leftmost, longest.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '@masksearch/core';
import { Gazetteer, gazetteerEntry } from './gazetteer.ts';
import type { GazetteerEntry } from './gazetteer.ts';
import { documentOf } from './testing.ts';
import { isWordBounded } from './words.ts';

function entry(name: string, ...aliases: string[]): GazetteerEntry {
  return { name, aliases, kind: 'title' };
}

describe('Gazetteer', () => {
  it('takes the longest name, on word borders only, with the other names as aliases', () => {
    const gazetteer = new Gazetteer([
      entry('York'),
      entry('New York City', 'New York', 'NYC'),
      entry('Ann'),
      entry('C++'),
    ]);
    const spans = gazetteer.find(
      'In New York City, not York; Annie of Yorkshire codes C++ for NYC.',
    );
    expect(spans.map(({ text }) => text)).toEqual(['New York City', 'York', 'C++', 'NYC']);
    expect(spans[0]?.aliases).toEqual(['New York', 'NYC']);
    expect(spans[3]?.aliases).toEqual(['New York City', 'New York']);
  });

  it('leaves out function words and the capital of a sentence start', () => {
    const gazetteer = new Gazetteer([entry('It'), entry('Water'), entry('Water Lilies')]);
    const spans = gazetteer.find('It rained. Water ran. Water Lilies hung where Water was.');
    expect(spans.map(({ start }) => start)).toEqual([22, 46]);
  });

  it('names a document without its disambiguation', () => {
    const document = documentOf({
      id: 'd',
      title: 'Mercury (planet)',
      text: '',
      aliases: ['Hermes'],
    });
    expect(gazetteerEntry(document, 'place')).toEqual({
      name: 'Mercury',
      aliases: ['Hermes'],
      kind: 'place',
    });
  });

  it('refuses names with white space around them', () => {
    expect(() => new Gazetteer([entry(' Rome')])).toThrow(InputError);
  });

  it('agrees with a search for every name at every place', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'é', ' ', '😀'), maxLength: 40 });
    const name = fc
      .string({ unit: fc.constantFrom('a', 'b', 'é', ' ', '😀'), minLength: 1, maxLength: 5 })
      .filter((text) => text.trim() === text && text !== 'a');
    fc.assert(
      fc.property(letters, fc.uniqueArray(name, { maxLength: 8 }), (body, names) => {
        const text = `x ${body}`;
        const expected: string[] = [];
        for (let i = 0; i < text.length;) {
          const longest = names
            .filter((n) => text.startsWith(n, i) && isWordBounded(text, i, i + n.length))
            .sort((a, b) => b.length - a.length)[0];
          if (longest !== undefined) expected.push(`${i}:${longest}`);
          i += longest?.length ?? 1;
        }
        const spans = new Gazetteer(names.map((n) => entry(n))).find(text);
        expect(spans.map((span) => `${span.start}:${span.text}`)).toEqual(expected);
      }),
      { numRuns: 500, seed: 20_255 },
    );
  });

  it('holds many names', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `Name${i} of Place${i % 7}`);
    const gazetteer = new Gazetteer(names.map((name) => entry(name)));
    const spans = gazetteer.find('So Name1 of Place1, Name19999 of Place0 and Name5 of Place6.');
    expect(spans.map(({ text }) => text)).toEqual(['Name1 of Place1', 'Name19999 of Place0']);
  });
});
