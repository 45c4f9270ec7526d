import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Permutation } from './permutation.ts';

describe('Permutation', () => {
  test('is a bijection of every size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer(), (size, key) => {
        const permutation = new Permutation(size, key);
        const images = new Set(Array.from({ length: size }, (_, p) => permutation.at(p)));
        expect(images.size).toBe(size);
        expect(Math.max(...images)).toBe(size - 1);
      }),
    );
  });

  test('depends on its key', () => {
    const a = new Permutation(1000, 'a');
    const b = new Permutation(1000, 'b');
    const equal = Array.from({ length: 1000 }, (_, p) => a.at(p) === b.at(p)).filter(Boolean);
    expect(equal.length).toBeLessThan(20);
  });

  test('refuses positions outside', () => {
    const permutation = new Permutation(10, 'key');
    for (const position of [-1, 10, 0.5, Number.NaN]) {
      expect(() => permutation.at(position)).toThrow(/expected an integer in 0\.\.9/);
    }
  });
});
