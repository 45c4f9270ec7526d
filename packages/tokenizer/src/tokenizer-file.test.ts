import { InputError } from '@masksearch/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTokenizer } from './byte-level-tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

type Json = Record<string, unknown>;

const valid = trainBpe(['aa ab aa ab'], {
  vocabularySize: 262,
  specialTokens: ['<s>'],
}).serialize();

/** The valid file with the value at a dotted path replaced (undefined removes it). */
function altered(path: string, value: unknown): string {
  const file = JSON.parse(valid) as Json;
  const keys = path.split('.');
  const last = keys.pop() as string;
  let at: Json = file;
  for (const key of keys) at = at[key] as Json;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return JSON.stringify(file);
}

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
const split = (pattern: string): Json => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated' }, byteLevel],
});

describe('readTokenizerFile', () => {
  it.each<[string, unknown, RegExp]>([
    ['model', undefined, /f\.json: model: expected an object, received nothing/],
    ['model.type', 'Unigram', /model\.type: expected BPE, received "Unigram"/],
    ['model.byte_fallback', true, /model\.byte_fallback: expected null or false, received true/],
    ['model.dropout', 0.1, /model\.dropout: expected null or 0, received 0\.1/],
    [
      'model.end_of_word_suffix',
      '</w>',
      /end_of_word_suffix: expected null or "", received "<\/w>"/,
    ],
    ['model.vocab', [], /model\.vocab: expected an object, received \[\]/],
    ['model.vocab.aa', -1, /vocab\["aa"\]: expected an id in 0\.\.16777216, received -1/],
    ['model.vocab.aa', 5, /vocab\["aa"\]: expected an id of its own, received 5/],
    ['model.vocab.z', undefined, /model\.vocab: expected a token for byte 122 \(z\)/],
    ['model.vocab.▁x', 900, /"▁x"\]: expected characters of the byte-level alphabet/],
    ['model.vocab.<s>', 3, /vocab\["<s>"\]: expected id 0 as in added_tokens, received 3/],
    ['model.merges', null, /model\.merges: expected an array, received null/],
    [
      'model.merges.0',
      'a',
      /merges\[0\]: expected two tokens, as "a b" or \["a", "b"\], received "a"/,
    ],
    ['model.merges.0', ['q', 'q'], /merges\[0\]: expected tokens of model\.vocab, received "qq"/],
    [
      'model.merges.1',
      ['<s>', 'a'],
      /merges\[1\]: expected tokens of model\.vocab, received "<s>"/,
    ],
    ['added_tokens.0.id', '0', /added_tokens\[0\]\.id: expected an id/],
    ['added_tokens.0.content', '', /added_tokens\[0\]\.content: expected some text/],
    ['added_tokens.1', { id: 0, content: 'x' }, /added_tokens\[1\]: expected a new token and id/],
    [
      'normalizer',
      { type: 'Prepend', prepend: '_' },
      /normalizer: expected {"type":"Prepend","prepend":"▁"}, received {"type":"Prepend","prepend":"_"}/,
    ],
    ['normalizer', { type: 'NFKC' }, /normalizer: expected NFC, received "NFKC"/],
    [
      'pre_tokenizer',
      { type: 'Metaspace' },
      /pre_tokenizer: expected Split or ByteLevel, received "Metaspace"/,
    ],
    [
      'pre_tokenizer',
      null,
      /pre_tokenizer: expected ByteLevel as the last component, received null/,
    ],
    [
      'pre_tokenizer.pretokenizers.1.add_prefix_space',
      true,
      /add_prefix_space: expected false, received true/,
    ],
    [
      'pre_tokenizer',
      split('a++'),
      /Regex: expected a pattern that JavaScript can run, received a possessive/,
    ],
    ['pre_tokenizer', split('(?>a)'), /received the group \(\?>a/],
    ['pre_tokenizer', split('[a&&b]'), /received a class intersection at position 2/],
    ['pre_tokenizer', split('\\h'), /received \\h at position 0/],
    ['pre_tokenizer', split('(a'), /expected a regular expression, received "\(a"/],
    ['decoder', { type: 'WordPiece' }, /decoder: expected ByteLevel, received "WordPiece"/],
    [
      'post_processor',
      { type: 'BertProcessing' },
      /post_processor: expected ByteLevel or TemplateProcessing/,
    ],
    ['truncation', { max_length: 5 }, /truncation: expected null, received {"max_length":5}/],
  ])('refuses %s = %j, naming file and place', (path, value, message) => {
    expect(() => parseTokenizer(altered(path, value), 'f.json')).toThrow(message);
    expect(() => parseTokenizer(altered(path, value), 'f.json')).toThrow(/^f\.json: /);
  });

  it('refuses a repeated merge', () => {
    const merges = (JSON.parse(valid) as { model: { merges: unknown[] } }).model.merges;
    expect(() => parseTokenizer(altered('model.merges', [merges[0], merges[0]]))).toThrow(
      /model\.merges\[1\]: expected a pair not merged before/,
    );
  });

  it('reads a word of the vocabulary whole when the model ignores merges', () => {
    const file = JSON.parse(altered('model.vocab.zq', 262)) as { model: Json };
    file.model['ignore_merges'] = true;
    expect([...parseTokenizer(JSON.stringify(file)).encode('zq')]).toEqual([262]);
    expect(parseTokenizer(altered('model.vocab.zq', 262)).encode('zq')).toHaveLength(2);
  });

  it('reads the pre-tokenizer of Llama 3', () => {
    const pattern =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    const tokenizer = parseTokenizer(altered('pre_tokenizer', split(pattern)));
    expect(tokenizer.decode(tokenizer.encode("aa'S 12345 b\n\n"))).toBe("aa'S 12345 b\n\n");
  });

  it('answers any damage to the bytes of a file with an InputError or a working tokenizer', () => {
    fc.assert(
      fc.property(
        fc.nat(valid.length - 1),
        fc.nat(40),
        fc.string({ maxLength: 6 }),
        (at, removed, inserted) => {
          const damaged = valid.slice(0, at) + inserted + valid.slice(at + removed);
          try {
            const tokenizer = parseTokenizer(damaged, 'f.json');
            expect(tokenizer.decode(tokenizer.encode('a aa'))).toBe('a aa');
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
            expect((error as InputError).message).toMatch(/^f\.json: /);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('answers any value at any place with an InputError or a tokenizer', () => {
    const paths = [
      'model',
      'model.vocab',
      'model.vocab.a',
      'model.merges',
      'model.merges.0',
      'added_tokens',
      'added_tokens.0',
      'normalizer',
      'pre_tokenizer',
      'decoder',
      'post_processor',
      'model.ignore_merges',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        try {
          parseTokenizer(altered(path, value), 'f.json');
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
