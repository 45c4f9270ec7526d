// Reads and checks a Hugging Face tokenizer.json: byte-level BPE, or an error that names what is not.
import { InputError } from '@masksearch/core';
import { BYTE_SYMBOLS, bytesOfToken } from './byte-symbols.ts';
import { MergeTable } from './merge-table.ts';
import { readNormalizer, type Normalizer } from './read-normalizer.ts';
import { readPreTokenizer, type PreTokenizer } from './read-pre-tokenizer.ts';
import {
  allowOnly,
  asArray,
  asId,
  asObject,
  asText,
  expectation,
  type JsonObject,
} from './json-checks.ts';

/** What a tokenizer.json defines, ready to run. */
export interface TokenizerDefinition {
  /** Largest id + 1. */
  readonly vocabularySize: number;
  /** Bytes of each token by id; undefined where no token has that id. */
  readonly tokenBytes: readonly (Uint8Array | undefined)[];
  /** (256) Id of each byte. */
  readonly byteIds: Int32Array;
  readonly merges: MergeTable;
  /** Pre-tokens that are one token without any merging, or null if the model always merges. */
  readonly wholeWords: ReadonlyMap<string, number> | null;
  /** Added tokens by content. They are never made from plain text. */
  readonly special: ReadonlyMap<string, number>;
  readonly normalize: Normalizer;
  readonly preTokenize: PreTokenizer;
}

/**
 * Checks the text of a tokenizer.json.
 * @param name File name or other origin, the start of every error message.
 * @throws {InputError} it is no JSON, malformed, contradictory, or uses a component other than those of
 *   byte-level BPE (GPT-2, Qwen2.5 and Llama 3 files); SentencePiece-style BPE is refused by the component's name.
 */
export function readTokenizerFile(text: string, name: string): TokenizerDefinition {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${name}: expected JSON, received something else.`, { cause: error });
  }
  const file = asObject(parsed, name);
  const normalize = readNormalizer(file['normalizer'] ?? null, `${name}: normalizer`);
  const preTokenize = readPreTokenizer(file['pre_tokenizer'] ?? null, `${name}: pre_tokenizer`);
  checkUnused(file, name);
  const model = asObject(file['model'], `${name}: model`);
  checkModelOptions(model, `${name}: model`);
  const special = readAddedTokens(file['added_tokens'] ?? [], `${name}: added_tokens`);
  const vocabulary = readVocabulary(model['vocab'], special, `${name}: model.vocab`);
  return {
    vocabularySize: vocabulary.tokenBytes.length,
    tokenBytes: vocabulary.tokenBytes,
    byteIds: vocabulary.byteIds,
    merges: readMerges(model['merges'], vocabulary.ids, special, `${name}: model.merges`),
    wholeWords: model['ignore_merges'] === true ? wholeWordsOf(vocabulary.ids, special) : null,
    special,
    normalize,
    preTokenize,
  };
}

/** Parts of the file that this tokenizer does not apply must not change ids of plain text. */
function checkUnused(file: JsonObject, name: string): void {
  for (const key of ['truncation', 'padding']) {
    if ((file[key] ?? null) !== null) {
      throw expectation(`${name}: ${key}`, 'null', file[key], 'texts are never cut or padded here');
    }
  }
  // Post-processors only add special tokens or trim offsets; encode does neither.
  allowOnly(file['post_processor'] ?? null, 'processors', `${name}: post_processor`, [
    'ByteLevel',
    'TemplateProcessing',
  ]);
  allowOnly(file['decoder'] ?? null, 'decoders', `${name}: decoder`, ['ByteLevel']);
}

function checkModelOptions(model: JsonObject, where: string): void {
  if ((model['type'] ?? 'BPE') !== 'BPE') throw expectation(`${where}.type`, 'BPE', model['type']);
  const forbidden: readonly (readonly [string, readonly unknown[]])[] = [
    ['byte_fallback', [false]],
    ['dropout', [0]],
    ['continuing_subword_prefix', ['']],
    ['end_of_word_suffix', ['']],
  ];
  for (const [key, allowed] of forbidden) {
    const value = model[key] ?? null;
    if (value !== null && !allowed.includes(value)) {
      throw expectation(
        `${where}.${key}`,
        `null or ${JSON.stringify(allowed[0])}`,
        value,
        'only byte-level BPE is supported',
      );
    }
  }
}

function readAddedTokens(value: unknown, where: string): Map<string, number> {
  const special = new Map<string, number>();
  const byId = new Map<number, string>();
  for (const [i, entry] of asArray(value, where).entries()) {
    const token = asObject(entry, `${where}[${i}]`);
    const content = asText(token['content'], `${where}[${i}].content`);
    const id = asId(token['id'], `${where}[${i}].id`);
    if (content === '') throw expectation(`${where}[${i}].content`, 'some text', content);
    if (special.has(content) || byId.has(id)) {
      throw expectation(`${where}[${i}]`, 'a new token and id', { content, id });
    }
    special.set(content, id);
    byId.set(id, content);
  }
  return special;
}

interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  readonly tokenBytes: (Uint8Array | undefined)[];
  readonly byteIds: Int32Array;
}

function readVocabulary(
  value: unknown,
  special: ReadonlyMap<string, number>,
  where: string,
): Vocabulary {
  const ids = new Map<string, number>();
  const tokenBytes: (Uint8Array | undefined)[] = [];
  for (const [content, id] of special) tokenBytes[id] = Buffer.from(content, 'utf8');
  for (const [token, idValue] of Object.entries(asObject(value, where))) {
    const at = `${where}[${JSON.stringify(token)}]`;
    const id = asId(idValue, at);
    ids.set(token, id);
    if (special.has(token)) {
      if (special.get(token) !== id) {
        throw expectation(at, `id ${special.get(token)} as in added_tokens`, id);
      }
      continue;
    }
    if (tokenBytes[id] !== undefined) throw expectation(at, 'an id of its own', id);
    const bytes = bytesOfToken(token);
    if (bytes === null || bytes.length === 0) {
      throw expectation(
        at,
        'characters of the byte-level alphabet',
        token,
        'only byte-level BPE is supported',
      );
    }
    tokenBytes[id] = bytes;
  }
  const byteIds = Int32Array.from(BYTE_SYMBOLS, (symbol, byte) => {
    const id = ids.get(symbol);
    if (id === undefined || special.has(symbol)) {
      throw expectation(where, `a token for byte ${byte} (${symbol})`, undefined);
    }
    return id;
  });
  return { ids, tokenBytes, byteIds };
}

function readMerges(
  value: unknown,
  ids: ReadonlyMap<string, number>,
  special: ReadonlyMap<string, number>,
  where: string,
): MergeTable {
  const idOf = (token: string, at: string): number => {
    const id = ids.get(token);
    if (id === undefined || special.has(token)) {
      throw expectation(at, 'tokens of model.vocab', token);
    }
    return id;
  };
  const merges = asArray(value, where).map((entry, i): [number, number, number] => {
    const at = `${where}[${i}]`;
    const [left, right] = readPair(entry, at);
    return [idOf(left, at), idOf(right, at), idOf(left + right, at)];
  });
  try {
    return new MergeTable(merges);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw expectation(`${where}[${error.message}]`, 'a pair not merged before', 'a repeated pair');
  }
}

function readPair(entry: unknown, at: string): [string, string] {
  const parts = typeof entry === 'string' ? entry.split(' ') : entry;
  if (Array.isArray(parts) && parts.length === 2) {
    return [asText(parts[0], at), asText(parts[1], at)];
  }
  throw expectation(at, 'two tokens, as "a b" or ["a", "b"]', entry);
}

function wholeWordsOf(
  ids: ReadonlyMap<string, number>,
  special: ReadonlyMap<string, number>,
): Map<string, number> {
  const words = new Map<string, number>();
  for (const [token, id] of ids) {
    const bytes = special.has(token) ? null : bytesOfToken(token);
    if (bytes !== null) words.set(Buffer.from(bytes).toString('latin1'), id);
  }
  return words;
}
