import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignFilled } from './fill-alignment.ts';

const MASKED = 'Belo Nakuda, born in [mask], founded [mask] in 1703.';

describe('alignFilled', () => {
  it.each([
    [
      'an exact copy',
      'Belo Nakuda, born in Lihiti, founded Gutu Vuvo in 1703.',
      ['Lihiti', 'Gutu Vuvo'],
    ],
    [
      'a changed and a lost word',
      'Belo Nakud, born at Lihiti, founded Gutu in 1703',
      ['Lihiti', 'Gutu'],
    ],
    [
      'an added word',
      'Belo Nakuda, was born in Lihiti, founded Gutu Vuvo in 1703.',
      ['Lihiti', 'Gutu Vuvo'],
    ],
    ['an empty gap', 'Belo Nakuda, born in, founded Gutu Vuvo in 1703.', ['', 'Gutu Vuvo']],
    ['markers left standing', MASKED, ['[mask]', '[mask]']],
    ['nothing', '', ['', '']],
  ])('reads the gaps of %s', (_, filled, expected) => {
    expect(alignFilled(MASKED, filled)).toEqual(expected);
  });

  it('takes the first and last words too', () => {
    expect(alignFilled('[mask] met [mask]', 'Ann Lee met Bob')).toEqual(['Ann Lee', 'Bob']);
  });

  it('gives back what was put into the gaps', () => {
    const word = fc.stringMatching(/^[a-m]{1,5}$/);
    const gap = fc.array(fc.stringMatching(/^[n-z]{1,5}$/), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.array(word, { minLength: 1 }), gap)), word, (parts, end) => {
        const masked = `${parts.map(([words]) => `${words.join(' ')} [mask] `).join('')}${end}`;
        const filled = `${parts.map(([words, name]) => `${words.join(' ')} ${name.join(' ')} `).join('')}${end}`;
        expect(alignFilled(masked, filled)).toEqual(parts.map(([, name]) => name.join(' ')));
      }),
    );
  });
});
