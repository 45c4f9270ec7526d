import { describe, expect, test } from 'vitest';
import { EntityNames } from './entity-names.ts';
import { wordPools } from './words.ts';

describe.each(['train', 'heldout'] as const)('EntityNames of %s', (split) => {
  const names = new EntityNames(7, split);

  test('gives every number a name of its own, also where one-word names run out', () => {
    const singles = wordPools(split).single.three.length;
    const starts = [0, singles - 500];
    const places = starts.flatMap((start) =>
      Array.from({ length: 1000 }, (_, number) => names.place(start + number)),
    );
    const pairs = Array.from({ length: 1000 }, (_, pair) => pair * 259);
    const members = pairs.flatMap((pair) => [0, 1].map((member) => [pair, member] as const));
    const persons = members.map(([pair, member]) => names.person(pair % 140_000, member));
    const things = members.map(([pair, member]) => names.thing(pair, member));
    expect(new Set([...places, ...things]).size).toBe(4000);
    expect(new Set(persons).size).toBe(2000);
    expect(places.filter((name) => name.includes(' '))).toHaveLength(500);
  });

  test('gives a pair of persons one surname, a pair of things one first word', () => {
    for (const pair of [0, 1, 500, 100_000]) {
      const [[given0, surname0], [given1, surname1]] = [0, 1].map((member) =>
        names.person(pair, member).split(' '),
      ) as [[string, string], [string, string]];
      expect(surname0).toBe(surname1);
      expect(given0).not.toBe(given1);
      const heads = [0, 1].map((member) => names.thing(pair, member).split(' ')[0]);
      expect(heads[0]).toBe(heads[1]);
    }
  });

  test('gives other names for another seed', () => {
    const other = new EntityNames(8, split);
    const equal = Array.from({ length: 200 }, (_, n) => names.place(n) === other.place(n));
    expect(equal.filter(Boolean).length).toBeLessThan(3);
  });
});
