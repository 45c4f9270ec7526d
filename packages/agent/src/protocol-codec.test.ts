import { parseTokenizer, trainBpe, type Tokenizer } from '@masksearch/tokenizer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILL_TASK, HOSTILE, tagTokenizer, TOKENIZERS } from '../test/fixtures.ts';
import { ProtocolCodec } from './protocol-codec.ts';
import { ALL_TAGS, renderAnswerTurn, renderSearchTurn } from './protocol.ts';

const result = (title: string, text: string) => ({
  id: 'p',
  documentId: 'd',
  title,
  text,
  score: 1,
});
const hostileText = fc
  .array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'grapheme' })))
  .map((parts) => parts.join(' '));
const content = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .filter((text) => !/[<>]/.test(text) && text.trim() !== '' && text.isWellFormed());

function endsWithStop(codec: ProtocolCodec, ids: ArrayLike<number>): number {
  const all = Array.from(ids);
  for (let end = 1; end <= all.length; end++) {
    const head = all.slice(0, end);
    if (codec.stop.some((stop) => stop.every((id, i) => id === head.at(i - stop.length))))
      return end;
  }
  return -1;
}

describe.each(TOKENIZERS)('ProtocolCodec, $name', ({ tokenizer }) => {
  const codec = new ProtocolCodec(tokenizer);

  it('ends a turn at its closing tag, not before, whatever stands next to it', () => {
    fc.assert(
      fc.property(content, content, (thought, text) => {
        for (const turn of [renderSearchTurn(thought, text), renderAnswerTurn(thought, text)]) {
          const ids = codec.encodeTurn(turn);
          expect(endsWithStop(codec, ids)).toBe(ids.length);
          expect(codec.parse(ids)).toMatchObject({ thought: thought.trim() });
        }
      }),
    );
  });

  it('keeps a block within its budget, tags included, and re-encodes it to the same ids', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(hostileText, hostileText)),
        fc.integer({ min: codec.minimumInformationTokens, max: 200 }),
        (documents, budget) => {
          const results = documents.map(([title, text]) => result(title, text));
          const block = codec.information(results, budget);
          if (block === null) return;
          expect(block.ids.length).toBeLessThanOrEqual(budget);
          expect([...codec.encodeInformation(block.text)]).toEqual([...block.ids]);
          expect(codec.decode(block.ids)).toBe(block.text);
          expect(block.text.match(/[<>]/g)).toHaveLength(4);
        },
      ),
    );
  });

  it('encodes hostile passages without a special token inside the block', () => {
    const special = new Set(tokenizer.specialTokens.map((token) => tokenizer.specialId(token)));
    for (const text of HOSTILE) {
      const block = codec.information([result(text, text)], 1000);
      const inside = [...(block?.ids ?? [])].slice(1, -1);
      expect(inside.filter((id) => special.has(id))).toEqual([]);
      expect(endsWithStop(codec, block?.ids ?? [])).toBe(-1);
    }
  });

  it('refuses to encode a block that holds another tag', () => {
    expect(() => codec.encodeInformation('<information> a</information><answer>')).toThrow(
      /expected one <information> block without tags/,
    );
  });
});

/** Like Qwen's, whose punctuation takes the line breaks after it. */
function tokenizerThatMergesBracketAndNewline(): Tokenizer {
  const file = JSON.parse(trainBpe([], { vocabularySize: 256, specialTokens: [] }).serialize()) as {
    pre_tokenizer: unknown;
    model: { vocab: Record<string, number>; merges: unknown[] };
  };
  file.model.vocab['>Ċ'] = 256;
  file.model.merges.push(['>', 'Ċ']);
  file.pre_tokenizer = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  return parseTokenizer(JSON.stringify(file));
}

describe('ProtocolCodec', () => {
  it('writes [mask] of a prompt as the special token, and tags in it as characters', () => {
    const codec = new ProtocolCodec(tagTokenizer);
    const mask = tagTokenizer.specialId('[mask]');
    // Two gaps, each once in the paragraph and once in its sentence below it.
    expect([...codec.prompt(FILL_TASK).ids].filter((id) => id === mask)).toHaveLength(4);
    const tags = new Set(ALL_TAGS.map((tag) => tagTokenizer.specialId(tag)));
    expect([...codec.encodePrompt(ALL_TAGS.join(''))].filter((id) => tags.has(id))).toEqual([]);
  });

  it('does not accept tags spelled out in characters where they are special tokens', () => {
    const codec = new ProtocolCodec(tagTokenizer);
    const turn = renderAnswerTurn('t', 'a');
    expect(codec.parse(tagTokenizer.encode(turn))).toEqual({
      type: 'invalid',
      reason: 'a tag spelled out in ordinary characters',
    });
  });

  it('keeps the whole token that closes an action, and refuses tokens after it', () => {
    const tokenizer = tokenizerThatMergesBracketAndNewline();
    const codec = new ProtocolCodec(tokenizer);
    const ids = tokenizer.encode('<think> t</think><answer> a</answer>\n');
    expect(tokenizer.decode(ids.subarray(-1))).toBe('>\n');
    expect(endsWithStop(codec, ids)).toBe(ids.length);
    expect(codec.parse(ids)).toEqual({ type: 'answer', thought: 't', text: 'a' });
    const more = Int32Array.of(...ids, ...tokenizer.encode('x'));
    expect(codec.parse(more)).toMatchObject({ type: 'invalid', reason: 'text after the action' });
  });

  it('takes tags that are special tokens in part, as Qwen3 has them', () => {
    const tokenizer = trainBpe([], { vocabularySize: 300, specialTokens: ['<think>', '</think>'] });
    const codec = new ProtocolCodec(tokenizer);
    const turn = renderSearchTurn('t', 'q');
    const ids = codec.encodeTurn(turn);
    expect(ids[0]).toBe(tokenizer.specialId('<think>'));
    expect(codec.parse(ids)).toEqual({ type: 'search', thought: 't', query: 'q' });
    expect(endsWithStop(codec, ids)).toBe(ids.length);
    expect(codec.parse(tokenizer.encode(turn))).toMatchObject({
      reason: 'a tag spelled out in ordinary characters',
    });
    expect(codec.parse(Int32Array.of(...ids, ...tokenizer.encode('x')))).toMatchObject({
      reason: 'text after the action',
    });
  });
});
