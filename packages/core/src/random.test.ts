import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream, philox4x32, streamKey } from './random.ts';

describe('philox4x32', () => {
  // Known-answer vectors published with the Random123 library for philox4x32-10.
  it('gives the published words for zero and for all-ones input', () => {
    expect(philox4x32([0, 0, 0, 0], [0, 0])).toEqual([
      0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8,
    ]);
    const ones = 0xffffffff;
    expect(philox4x32([ones, ones, ones, ones], [ones, ones])).toEqual([
      0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
    ]);
  });
});

describe('streamKey', () => {
  it('separates names that only join to the same text', () => {
    const keys = [
      streamKey('ab', 'c'),
      streamKey('a', 'bc'),
      streamKey('abc'),
      streamKey(1),
      streamKey('1'),
      streamKey('é'),
    ];
    expect(new Set(keys.map(String)).size).toBe(keys.length);
  });
});

describe('RandomStream', () => {
  it('gives the same numbers for the same key, whatever other streams are read', () => {
    const alone = new RandomStream(7, 'masks', 'doc');
    const expected = Array.from({ length: 20 }, () => alone.uint32());
    const again = new RandomStream(7, 'masks', 'doc');
    const other = new RandomStream(7, 'masks', 'other');
    const received = Array.from({ length: 20 }, () => (other.uint32(), again.uint32()));
    expect(received).toEqual(expected);
  });

  it('draws uniforms in [0, 1) with mean 1/2 and variance 1/12 (seed 3, n = 20000)', () => {
    const stream = new RandomStream(3);
    const n = 20_000;
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      const u = stream.uniform();
      expect(u >= 0 && u < 1).toBe(true);
      sum += u;
      squares += u * u;
    }
    const mean = sum / n;
    // 5 standard errors: sqrt(1/12/n) for the mean, sqrt(1/180/n) for the variance.
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(squares / n - mean * mean - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / n));
  });

  it('draws below(n) in range and without favouring any residue (seed 4)', () => {
    const stream = new RandomStream(4);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 14_000; i++) {
      const value = stream.below(7);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    // Binomial(14000, 1/7): mean 2000, standard deviation 41; 5 of them.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(207);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 33])('refuses below(%s)', (n) => {
    expect(() => new RandomStream(1).below(n)).toThrow(/integer in 1..2\^32/);
  });

  it('samples distinct elements of the input', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer(), { minLength: 1 }), fc.nat(), (items, seed) => {
        const count = seed % (items.length + 1);
        const drawn = new RandomStream(seed).sample(items, count);
        expect(new Set(drawn).size).toBe(count);
        for (const item of drawn) expect(items).toContain(item);
      }),
    );
  });

  it('refuses to sample more than there are', () => {
    expect(() => new RandomStream(1).sample([1, 2], 3)).toThrow(/at least 3 items, received 2/);
  });
});
