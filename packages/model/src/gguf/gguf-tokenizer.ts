// A tokenizer.json as GGUF's tokenizer keys; only byte-level BPE, whose splitting llama.cpp knows by a name.
import { InputError } from '@masksearch/core';
import { describe, isAbsent, type Json } from '../config-fields.ts';
import type { GgufValue } from './gguf-file.ts';

/** llama.cpp's names of the patterns that text is split by. */
const SPLITTERS: readonly (readonly [string, string])[] = [
  [
    'qwen2',
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  [
    'llama-bpe',
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  ['gpt-2', String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`],
];

const TOKEN_TYPES = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/**
 * @param json           The parsed tokenizer.json.
 * @param vocabularySize Rows of the embedding matrix; ids beyond the tokenizer's get names of their own.
 * @throws {InputError} It is no byte-level BPE tokenizer, or splits text by a pattern that has no name in GGUF.
 */
export function ggufTokenizer(
  json: unknown,
  vocabularySize: number,
  where = 'tokenizer.json',
): Map<string, GgufValue> {
  const file = asObject(json, where);
  const model = asObject(file['model'], `${where}: model`);
  if (model['type'] !== 'BPE' || model['byte_fallback'] === true) {
    throw new InputError(
      `${where}: expected a byte-level BPE model, received ${describe(model['type'])}${model['byte_fallback'] === true ? ' with byte_fallback' : ''}.`,
    );
  }
  const { tokens, types } = tokensOf(file, model, vocabularySize, where);
  const merges = Array.isArray(model['merges']) ? model['merges'] : [];
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: splitterOf(file['pre_tokenizer'], where) }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
    [
      'tokenizer.ggml.merges',
      {
        type: 'strings',
        value: merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : String(merge))),
      },
    ],
  ]);
}

function tokensOf(
  file: Json,
  model: Json,
  vocabularySize: number,
  where: string,
): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: vocabularySize }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(vocabularySize).fill(TOKEN_TYPES.unused);
  const place = (id: unknown, token: string, type: number): void => {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw new InputError(
        `${where}: expected token ids in 0..${vocabularySize - 1}, the rows of the embedding, received ${describe(id)}.`,
      );
    }
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(asObject(model['vocab'], `${where}: model.vocab`))) {
    place(id, token, TOKEN_TYPES.normal);
  }
  for (const entry of Array.isArray(file['added_tokens']) ? file['added_tokens'] : []) {
    const { id, content, special } = asObject(entry, `${where}: added_tokens`);
    place(id, String(content), special === true ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  }
  return { tokens, types };
}

/** The name of the one pattern that the pre-tokenizer splits by. */
function splitterOf(preTokenizer: unknown, where: string): string {
  const patterns = findPatterns(preTokenizer);
  const name = SPLITTERS.find(([, pattern]) => patterns.join('\n') === pattern)?.[0];
  if (name !== undefined) return name;
  throw new InputError(
    `${where}: expected text to be split as by Qwen2, Llama 3 or GPT-2, received a pre_tokenizer of ${describe(preTokenizer)}; llama.cpp has no name for it.`,
  );
}

function findPatterns(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const { type, use_regex: usesOwn, pattern, pretokenizers } = node as Json;
  if (Array.isArray(pretokenizers)) return pretokenizers.flatMap(findPatterns);
  if (type === 'ByteLevel') return usesOwn === false ? [] : [SPLITTERS[2]?.[1] ?? ''];
  if (type === 'Split') {
    const regex = isAbsent(pattern) ? undefined : (pattern as Json)['Regex'];
    return [typeof regex === 'string' ? regex : describe(pattern)];
  }
  return [describe(node)];
}

function asObject(value: unknown, where: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${where}: expected a JSON object, received ${describe(value)}.`);
  }
  return value as Json;
}
