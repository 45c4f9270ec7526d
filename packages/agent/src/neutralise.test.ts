// Foreign text loses its power and keeps its meaning.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostileText, INJECTIONS } from '../test/injections.ts';
import { neutralise } from './neutralise.ts';

const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const;

describe('neutralise', () => {
  it('leaves no bracket, line break or control character, in any Unicode form', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const safe = neutralise(text);
        expect(safe.isWellFormed()).toBe(true);
        expect(safe).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        for (const form of FORMS) expect(safe.normalize(form)).not.toMatch(/[<>]/);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('leaves nothing to do a second time', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const safe = neutralise(text);
        expect(neutralise(safe)).toBe(safe);
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  it.each(Object.entries(INJECTIONS))('takes the power of: %s', (_, texts) => {
    for (const text of texts) {
      const seen = neutralise(text).normalize('NFKC');
      expect(seen).not.toMatch(/[<>]|\[\/?(INST|TOOL_CALLS|mask)\]/i);
      expect(seen).not.toMatch(/[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]/u);
    }
  });

  it('hides nothing: what was said in invisible tags and selectors is gone', () => {
    expect(neutralise('a\u{e0069}\u{e006e}b')).toBe('ab');
    expect(neutralise('a\u{e0100}\u{e0130}\u{e0165}b')).toBe('a\u{e0100}b');
    expect(neutralise(`e${'\u0301'.repeat(50)}`)).toBe(`e${'\u0301'.repeat(6)}`);
  });

  it.each([
    [' if a < b\n then  c ', 'if a ‹ b then c'],
    ['see [1] and [sic], [USA]', 'see [1] and [sic], [USA]'],
    ['می\u200cخواهم', 'می\u200cخواهم'],
    ['👩\u200d🚀 and ❤\ufe0f\u200d🔥', '👩\u200d🚀 and ❤\ufe0f\u200d🔥'],
    ['क्\u200dष', 'क्\u200dष'],
    ['co\u00adop\u200d', 'coop'],
    ['《书》〈文〉', '《书》〈文〉'],
    ['Ω ≈ π, café, Ÿ', 'Ω ≈ π, café, Ÿ'],
  ])('keeps %j readable', (text, expected) => {
    expect(neutralise(text)).toBe(expected);
  });
});
