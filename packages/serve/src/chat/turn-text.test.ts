// The text of a turn, however its tokens cut characters and stop strings.
import { trainBpe } from '@masksearch/tokenizer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markerStart, TurnText, type TextOptions } from './turn-text.ts';

/** Bytes are tokens, so every character beyond ASCII is cut. */
const tokenizer = trainBpe([], { vocabularySize: 257, specialTokens: ['<end>'] });
const end = tokenizer.specialId('<end>');

const turn = (options: Partial<TextOptions> = {}): TurnText =>
  new TurnText({
    tokenizer,
    stop: [],
    includeStop: false,
    silent: new Set([end]),
    holdFrom: () => -1,
    ...options,
  });

function feed(text: TurnText, ids: Iterable<number>): string {
  let shown = '';
  for (const id of ids) {
    text.add(id, -1);
    shown += text.show().text;
  }
  text.end();
  return shown + text.show().text;
}

const words = fc.array(fc.constantFrom('a', 'b', 'ab', 'é', '😀', '日', '</s', '>', ' '), {
  maxLength: 12,
});

describe('TurnText', () => {
  it('shows whole characters, and in the end all of them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const one = turn();
        let shown = '';
        for (const id of tokenizer.encode(text)) {
          one.add(id, -1);
          const piece = one.show().text;
          expect(piece).not.toContain('\ufffd');
          shown += piece;
        }
        one.end();
        expect(shown + one.show().text).toBe(text);
        expect(one.text).toBe(text);
      }),
    );
  });

  it('ends at the first stop string, wherever tokens cut it, and never shows a part of it', () => {
    const stops = ['</s>', 'ab', 'bé'];
    fc.assert(
      fc.property(words, fc.subarray(stops), fc.boolean(), (parts, stop, includeStop) => {
        const text = parts.join('');
        const found = stop
          .map((one) => ({ at: text.indexOf(one), length: one.length }))
          .filter(({ at }) => at >= 0)
          .map(({ at, length }) => ({
            at,
            end: at + (includeStop ? length : 0),
            whole: at + length,
          }));
        // Of several, the one that is complete first.
        const first = found.sort((a, b) => a.whole - b.whole || a.end - b.end)[0];
        const one = turn({ stop, includeStop });
        const shown = feed(one, tokenizer.encode(text));
        expect(shown).toBe(one.text);
        if (first === undefined) expect(shown).toBe(text);
        else expect(shown).toBe(text.slice(0, first.end));
      }),
      { numRuns: 500, seed: 9 },
    );
  });

  it('gives every token once, with its place', () => {
    const one = turn();
    const ids = tokenizer.encode('aé!');
    const tokens = [...ids, end].flatMap((id, i) => {
      one.add(id, -i);
      return one.show().tokens;
    });
    expect(tokens.map(({ start, logProb }) => [start, logProb])).toEqual([
      [0, -0],
      [1, -1],
      [1, -2],
      [2, -3],
    ]);
    expect(one.tokens).toHaveLength(5);
  });

  it('says when bytes are no text, and does not wait for more for ever', () => {
    const one = turn();
    const [first = 0] = tokenizer.encode('é');
    expect(feed(one, [first, first, first, first, first])).toBe('\ufffd'.repeat(5));
  });

  it('holds back what may be a call', () => {
    const one = turn({ holdFrom: (text) => markerStart(text, '<call>') });
    expect(feed(one, tokenizer.encode('so <call>{}'))).toBe('so ');
    expect(one.text).toBe('so <call>{}');
  });
});
