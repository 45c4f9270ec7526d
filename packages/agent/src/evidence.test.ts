import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findEvidence, occursIn } from './evidence.ts';

describe('occursIn', () => {
  it.each([
    ['born in 2006', '6', false],
    ['the 6 cats', '6', true],
    ['Michigans', 'Michigan', false],
    ['in MICHIGAN.', 'Michigan', true],
    ['New\n York', 'New York', true],
    ['cafe\u0301s', 'caf\u00e9', false],
    ['a cafe\u0301.', 'caf\u00e9', true],
    ['a ‹b› c', '<b>', true],
    ['x', ' ', false],
    ['catcat cat', 'cat', true],
    ['𝒳𝒴', '𝒳', false],
  ])('%j holds %j: %s', (text, phrase, expected) => {
    expect(occursIn(text, phrase)).toBe(expected);
  });

  it('finds every phrase between spaces', () => {
    fc.assert(
      fc.property(fc.string(), fc.stringMatching(/^\w+$/), fc.string(), (before, word, after) => {
        expect(occursIn(`${before} ${word} ${after}`, word)).toBe(true);
      }),
    );
  });
});

describe('findEvidence', () => {
  const block =
    '<information> Gutu Vuvo: It opened in 1703. It is in Lihiti.\n Rizego: Mapped in 1847.</information>';
  const gold = (text: string, ...aliases: string[]) => ({ text, aliases });

  it('needs an anchor in the sentence or the title', () => {
    expect(findEvidence(block, gold('1703'), ['Gutu Vuvo'])).toBe('1703');
    expect(findEvidence(block, gold('1847'), ['Gutu Vuvo'])).toBeNull();
    expect(findEvidence(block, gold('1847'), [])).toBe('1847');
  });
  it('states the alias that stands there', () => {
    expect(findEvidence(block, gold('City of Lihiti', 'Lihiti'), ['Gutu Vuvo'])).toBe('Lihiti');
  });
  it('finds nothing in what is no block', () => {
    expect(findEvidence('1703', gold('1703'), [])).toBeNull();
  });
});
