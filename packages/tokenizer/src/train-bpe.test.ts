import { Tokenizer as ReferenceTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PROTOCOL_TOKENS } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

const SYLLABLES = ['ka', 'mo', 'ra', 'tel', 'vin', 'é', 'sh'];
const words = fc.array(fc.constantFrom(...SYLLABLES), { minLength: 1, maxLength: 4 });
const texts = fc.array(
  fc.array(words.map((parts) => parts.join(''))).map((list) => list.join(' ')),
);

const oddSpaces = fc.array(
  fc.constantFrom(' ', '\n', '\ufeff', '\u0085', '\u180e', 'ka', '!', "'s"),
);
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  oddSpaces.map((parts) => parts.join('')),
);

/** The definition of BPE training, recounting everything at each merge. */
function naiveMerges(corpus: readonly string[], merges: number): string[] {
  const pattern = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
  let sequences = corpus
    .flatMap((text) => text.match(pattern) ?? [])
    .map((word) => [...Buffer.from(word)]);
  const names = new Map<number, string>();
  for (let byte = 0; byte < 256; byte++) names.set(byte, Buffer.from([byte]).toString('latin1'));
  const learned: string[] = [];
  while (learned.length < merges) {
    const counts = new Map<string, number>();
    for (const sequence of sequences) {
      for (let i = 0; i + 1 < sequence.length; i++) {
        const key = `${sequence[i]} ${sequence[i + 1]}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const ranked = [...counts]
      .map(([key, count]) => ({ pair: key.split(' ').map(Number) as [number, number], count }))
      .filter(({ count }) => count >= 2)
      .sort((a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1]);
    const best = ranked[0];
    if (best === undefined) break;
    const [left, right] = best.pair;
    const name = `${names.get(left)}${names.get(right)}`;
    const known = [...names].find(([, text]) => text === name)?.[0];
    const id = known ?? names.size;
    names.set(id, name);
    learned.push(`${names.get(left)}|${names.get(right)}`);
    sequences = sequences.map((sequence) => {
      const result: number[] = [];
      for (let i = 0; i < sequence.length; i++) {
        if (sequence[i] === left && sequence[i + 1] === right) {
          result.push(id);
          i++;
        } else result.push(sequence[i] as number);
      }
      return result;
    });
  }
  return learned;
}

function learnedMerges(serialized: string): string[] {
  const file = JSON.parse(serialized) as { model: { merges: [string, string][] } };
  const toBytes = (token: string): string =>
    [...token].map((char) => (char === 'Ġ' ? ' ' : char)).join('');
  return file.model.merges.map(([left, right]) => `${toBytes(left)}|${toBytes(right)}`);
}

describe('trainBpe', () => {
  it('learns the merges of a naive trainer that recounts everything, in the same order', () => {
    fc.assert(
      fc.property(texts, (corpus) => {
        const merges = 25;
        const trained = trainBpe(corpus, { vocabularySize: 256 + merges, specialTokens: [] });
        const learned = learnedMerges(trained.serialize());
        expect(learned).toEqual(naiveMerges(corpus, learned.length));
        if (learned.length < merges)
          expect(naiveMerges(corpus, merges)).toHaveLength(learned.length);
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  it('does not depend on the order of the texts', () => {
    fc.assert(
      fc.property(texts, (corpus) => {
        const options = { vocabularySize: 280, specialTokens: ['<a>'] };
        const reversed = trainBpe(corpus.toReversed(), options);
        expect(reversed.serialize()).toBe(trainBpe(corpus, options).serialize());
      }),
      { numRuns: 30 },
    );
  });

  it('numbers the protocol tokens first, then all 256 bytes', () => {
    const tokenizer = trainBpe([], { vocabularySize: 300, specialTokens: PROTOCOL_TOKENS });
    expect(PROTOCOL_TOKENS.map((token) => tokenizer.specialId(token))).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    expect(tokenizer.vocabularySize).toBe(PROTOCOL_TOKENS.length + 256);
    expect([...tokenizer.encode('A')]).toEqual([PROTOCOL_TOKENS.length + 0x41]);
  });

  it('makes a file that @huggingface/tokenizers loads and encodes identically', () => {
    fc.assert(
      fc.property(texts, anyText, (corpus, text) => {
        const tokenizer = trainBpe(corpus, { vocabularySize: 300, specialTokens: PROTOCOL_TOKENS });
        const reference = new ReferenceTokenizer(JSON.parse(tokenizer.serialize()) as object, {});
        for (const sample of [...corpus, text]) {
          const { ids } = reference.encode(sample, { add_special_tokens: false });
          expect([...tokenizer.encode(sample)]).toEqual(ids);
        }
        expect(reference.encode('<think>', { add_special_tokens: false }).ids).toEqual([
          tokenizer.specialId('<think>'),
        ]);
      }),
      { numRuns: 40 },
    );
  });

  it('never makes a special token from text that spells it', () => {
    const tokenizer = trainBpe(Array(50).fill('mask unmask'), {
      vocabularySize: 300,
      specialTokens: ['mask'],
    });
    expect([...tokenizer.encode('mask')]).not.toContain(tokenizer.specialId('mask'));
    expect(tokenizer.decode(tokenizer.encode('mask unmask'))).toBe('mask unmask');
  });

  it.each([
    [
      { vocabularySize: 256, specialTokens: ['<a>'] },
      /vocabularySize to be an integer of at least 257/,
    ],
    [{ vocabularySize: 300.5, specialTokens: [] }, /received 300\.5/],
    [{ vocabularySize: 300, specialTokens: ['<a>', '<a>'] }, /distinct special tokens/],
    [{ vocabularySize: 300, specialTokens: ['a'] }, /two characters or more/],
  ])('refuses options %j', (options, message) => {
    expect(() => trainBpe([], options)).toThrow(message);
  });
});
