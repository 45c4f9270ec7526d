import { Tokenizer as ReferenceTokenizer } from '@huggingface/tokenizers';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, parseTokenizer } from './byte-level-tokenizer.ts';
import { dataFile, readJson } from '../test/data.ts';
import { inLlama3Form, type ByteLevelFile } from '../test/llama3-form.ts';
import type { Tokenizer } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

interface Inputs {
  id: string;
  text: string;
}
interface Baseline {
  entries: { id: string; input_ids: number[] }[];
}

const wiki = dataFile('smallwiki-ltg.xml', 'wiki');
const keep = (text: string): string => text;
/** `decoded` is what decoding gives back; `leading` the special tokens that the baseline has in front. */
const REAL = [
  {
    name: 'gpt2',
    file: 'gpt2_tokenizer.json',
    baseline: 'gpt2_multilingual.json',
    special: '<|endoftext|>',
    leading: 0,
    // The reference's GPT-2 pattern takes white space as JavaScript does; the original does not.
    isComparable: (text: string) => !/[\ufeff\u0085]/.test(text),
    decoded: keep,
  },
  {
    name: 'qwen2.5',
    file: 'qwen2.5_tokenizer.rebuilt.json',
    baseline: 'qwen2_5_multilingual.json',
    special: '<|endoftext|>',
    leading: 0,
    isComparable: () => true,
    decoded: (text: string) => text.normalize('NFC'),
  },
  {
    name: 'llama 2',
    file: 'llama_tokenizer.json',
    baseline: 'tinyllama_multilingual.json',
    special: '</s>',
    leading: 1,
    isComparable: () => true,
    // A ▁ of the text and a space are the same token.
    decoded: (text: string) => text.replaceAll('▁', ' '),
  },
];

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  // Lone surrogates included.
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  // Decomposed accents, Hangul jamo, spaces, contractions.
  fc
    .array(
      fc.constantFrom(
        'e\u0301',
        '\u1112\u1161\u11ab',
        ' ',
        '\n',
        "'S",
        "'ll",
        '12',
        '\ufeff',
        '\u0085',
        'ab',
        'É',
        '!',
      ),
    )
    .map((parts) => parts.join('')),
);

function checkOffsets(tokenizer: Tokenizer, text: string): void {
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
  expect([...ids]).toEqual([...tokenizer.encode(text)]);
  let covered = 0;
  for (let t = 0; t < ids.length; t++) {
    const start = starts[t] as number;
    const end = ends[t] as number;
    expect(start).toBeLessThan(end);
    // No gap, and overlap only inside one character or recomposed chunk.
    expect(start).toBeLessThanOrEqual(covered);
    expect(end).toBeGreaterThanOrEqual(covered);
    covered = end;
  }
  expect(covered).toBe(text.length);
}

for (const { name, file, baseline, special, leading, isComparable, decoded } of REAL) {
  const data = dataFile(file);
  describe.skipIf(data.missing)(
    `${name}'s tokenizer.json (skipped without MASKSEARCH_DATA)`,
    () => {
      const tokenizer = data.missing ? null : loadTokenizer(data.path);
      const use = (): Tokenizer => tokenizer as Tokenizer;

      it('gives the known ids of 83 multilingual inputs', () => {
        const inputs = readJson(dataFile('inputs.json').path) as Inputs[];
        const { entries } = readJson(dataFile(baseline).path) as Baseline;
        expect(entries).toHaveLength(83);
        for (const entry of entries) {
          const text = inputs.find((input) => input.id === entry.id)?.text as string;
          expect([...use().encode(text)], entry.id).toEqual(entry.input_ids.slice(leading));
        }
      });

      it('gives the ids of @huggingface/tokenizers on the inputs joined into one text', () => {
        const inputs = readJson(dataFile('inputs.json').path) as Inputs[];
        const text = inputs.map((input) => input.text).join('\n\n');
        const reference = new ReferenceTokenizer(readJson(data.path), {});
        expect([...use().encode(text)]).toEqual(
          reference.encode(text, { add_special_tokens: false }).ids,
        );
        checkOffsets(use(), text);
      });

      it('gives the ids of @huggingface/tokenizers on any text', () => {
        const reference = new ReferenceTokenizer(readJson(data.path), {});
        fc.assert(
          fc.property(anyText, (text) => {
            fc.pre(isComparable(text));
            expect([...use().encode(text)]).toEqual(
              reference.encode(text.toWellFormed(), { add_special_tokens: false }).ids,
            );
          }),
          { numRuns: 500 },
        );
      });

      it('decodes what it encoded, for any text; lone surrogates become U+FFFD', () => {
        fc.assert(
          fc.property(anyText, (text) => {
            const expected = decoded(text.toWellFormed());
            expect(use().decode(use().encode(text))).toBe(expected);
            checkOffsets(use(), text);
          }),
          { numRuns: 300 },
        );
      });

      it.skipIf(wiki.missing)('round-trips a Wikipedia of another language, with offsets', () => {
        // Whole pages of the dump, mark-up included: more kinds of text than clean articles have.
        const pages = readFileSync(wiki.path, 'utf8').slice(0, 600_000).split('</page>');
        expect(pages.length).toBeGreaterThan(100);
        for (const page of pages) {
          const { ids, ends } = use().encodeWithOffsets(page);
          expect(use().decode(ids)).toBe(decoded(page));
          expect(ends.at(-1)).toBe(page.length);
        }
      });

      it('encodes special tokens in plain text as ordinary characters', () => {
        const text = `a ${special} b`;
        expect([...use().encode(text)]).not.toContain(use().specialId(special));
        expect(use().decode(use().encode(text))).toBe(text);
        expect(use().decode([use().specialId(special)])).toBe(special);
        const bytes = [...use().encode(text)].map((id) => use().bytesOf(id));
        expect(Buffer.concat(bytes).toString()).toContain(text);
      });
    },
  );
}

const qwen = dataFile('qwen2.5_tokenizer.rebuilt.json');
describe.skipIf(qwen.missing)("Llama 3's form (skipped without MASKSEARCH_DATA)", () => {
  let file: ByteLevelFile;
  let tokenizer: Tokenizer;
  let inputs: readonly Inputs[];
  beforeAll(() => {
    file = inLlama3Form(readJson(qwen.path) as ByteLevelFile);
    tokenizer = parseTokenizer(JSON.stringify(file));
    inputs = readJson(dataFile('inputs.json').path) as Inputs[];
  }, 60_000);

  it('gives the ids of @huggingface/tokenizers on the 83 inputs and on any text', () => {
    const reference = new ReferenceTokenizer(file, {});
    const check = (text: string): void => {
      const ids = tokenizer.encode(text);
      const wellFormed = text.toWellFormed();
      const expected = reference.encode(wellFormed, { add_special_tokens: false });
      expect([...ids]).toEqual(expected.ids);
      expect(tokenizer.decode(ids)).toBe(wellFormed);
      checkOffsets(tokenizer, text);
    };
    for (const { text } of inputs) check(text);
    fc.assert(fc.property(anyText, check), { numRuns: 300 });
  });
});

describe('a trained tokenizer', () => {
  const texts = ['the cat and the hat', "it's a café, that's 3 thin cats in the café"];
  const tokenizer = trainBpe(texts, {
    vocabularySize: 290,
    specialTokens: ['<|endoftext|>', '[mask]'],
  });
  const pieces = (text: string): string[] => {
    const { starts, ends } = tokenizer.encodeWithOffsets(text);
    return [...starts].map((start, t) => text.slice(start, ends[t]));
  };

  it('gives each token the characters it covers, leading space included', () => {
    expect(pieces(' the cat')).toEqual([' the', ' cat']);
  });

  it('gives tokens that share a character its whole range', () => {
    expect(pieces('😀')).toEqual(['😀', '😀', '😀', '😀']);
  });

  it('takes 200,000 characters without a space in time that grows about linearly', () => {
    const text = 'the'.repeat(70_000);
    const started = performance.now();
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('refuses ids that are no tokens', () => {
    expect([0, 270, 271, -1, 0.5].map((id) => tokenizer.isToken(id))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(() => tokenizer.decode([5, 9999])).toThrow(
      /expected token ids of a vocabulary of 271, received 9999/,
    );
    expect(() => tokenizer.specialId('<nope>')).toThrow(
      /<\|endoftext\|> \[mask\], received "<nope>"/,
    );
  });

  it('is the same after serialize and parse', () => {
    const again = parseTokenizer(tokenizer.serialize());
    expect(again.hash).toBe(tokenizer.hash);
    expect([...again.encode(texts.join(' '))]).toEqual([...tokenizer.encode(texts.join(' '))]);
  });
});

describe('loadTokenizer', () => {
  it('names a file that is not there', () => {
    expect(() => loadTokenizer('/nowhere/tokenizer.json')).toThrow(
      /^\/nowhere\/tokenizer\.json: expected a readable tokenizer\.json/,
    );
  });
  it('names a file that is no JSON', () => {
    expect(() => loadTokenizer(import.meta.filename)).toThrow(/test\.ts: expected JSON/);
  });
});
