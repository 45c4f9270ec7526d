// Reads and checks a Hugging Face tokenizer.json: BPE over bytes or SentencePiece-style, or an error that names what is neither.
import { InputError } from '@masksearch/core';
import { BYTE_SYMBOLS, bytesOfToken } from './byte-symbols.ts';
import { MergeTable, type Merge } from './merge-table.ts';
import { readNormalizer, type Normalizer } from './read-normalizer.ts';
import { readPreTokenizer, type PreTokenizer } from './read-pre-tokenizer.ts';
import {
  characterSymbols,
  checkCharacterDecoder,
  decodedToken,
  isCharacterNormalizer,
  readCharacterNormalizer,
  splitAtWords,
} from './character-bpe.ts';
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
  /** Bytes of normalised text that each token covers, by id; undefined where no token has that id. */
  readonly tokenBytes: readonly (Uint8Array | undefined)[];
  /** Bytes that each token decodes to, by id. */
  readonly decodedBytes: readonly (Uint8Array | undefined)[];
  /** A decoded text loses the space that normalisation put in front of it. */
  readonly stripsLeadingSpace: boolean;
  /** The ids that the merges of a piece start from; together they cover its UTF-8. */
  readonly startSymbols: (piece: string) => Int32Array;
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
 *   byte-level BPE (GPT-2, Qwen2.5 and Llama 3 files) and of BPE over characters with byte fallback (Llama 2 files).
 */
export function readTokenizerFile(text: string, name: string): TokenizerDefinition {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${name}: expected JSON, received something else.`, { cause: error });
  }
  const file = asObject(parsed, name);
  return isCharacterNormalizer(file['normalizer'] ?? null)
    ? readCharacterLevel(file, name)
    : readByteLevel(file, name);
}

function readByteLevel(file: JsonObject, name: string): TokenizerDefinition {
  const normalize = readNormalizer(file['normalizer'] ?? null, `${name}: normalizer`);
  const preTokenize = readPreTokenizer(file['pre_tokenizer'] ?? null, `${name}: pre_tokenizer`);
  checkUnused(file, name);
  allowOnly(file['decoder'] ?? null, 'decoders', `${name}: decoder`, ['ByteLevel']);
  const model = asObject(file['model'], `${name}: model`);
  checkModelOptions(model, `${name}: model`, [['byte_fallback', [false]]]);
  const special = readAddedTokens(file['added_tokens'] ?? [], `${name}: added_tokens`);
  const vocabulary = readVocabulary(
    model['vocab'],
    special,
    `${name}: model.vocab`,
    byteLevelToken,
  );
  const byteIds = byteIdsOf(vocabulary.ids, special, `${name}: model.vocab`);
  const { tokenBytes } = vocabulary;
  return {
    vocabularySize: tokenBytes.length,
    tokenBytes,
    decodedBytes: tokenBytes,
    stripsLeadingSpace: false,
    startSymbols: (piece) =>
      Int32Array.from(Buffer.from(piece, 'utf8'), (byte) => byteIds[byte] as number),
    merges: new MergeTable(readMerges(model, vocabulary.ids, special, `${name}: model.merges`)),
    wholeWords: model['ignore_merges'] === true ? wholeWordsOf(vocabulary.ids, special) : null,
    special,
    normalize,
    preTokenize,
  };
}

/** BPE over characters, of which those that are no token become one token per byte: Llama 2. */
function readCharacterLevel(file: JsonObject, name: string): TokenizerDefinition {
  const normalize = readCharacterNormalizer(file['normalizer'], `${name}: normalizer`);
  if ((file['pre_tokenizer'] ?? null) !== null) {
    throw expectation(`${name}: pre_tokenizer`, 'null', file['pre_tokenizer']);
  }
  checkUnused(file, name);
  checkCharacterDecoder(file['decoder'] ?? null, `${name}: decoder`);
  const model = asObject(file['model'], `${name}: model`);
  checkModelOptions(model, `${name}: model`, [['ignore_merges', [false]]]);
  if (model['byte_fallback'] !== true) {
    throw expectation(`${name}: model.byte_fallback`, 'true', model['byte_fallback']);
  }
  const special = readAddedTokens(file['added_tokens'] ?? [], `${name}: added_tokens`);
  const where = `${name}: model.vocab`;
  const vocabulary = readVocabulary(model['vocab'], special, where, characterToken);
  const merges = readMerges(model, vocabulary.ids, special, `${name}: model.merges`);
  const { tokenBytes } = vocabulary;
  return {
    vocabularySize: tokenBytes.length,
    tokenBytes,
    decodedBytes: tokenBytes.map((bytes, id) =>
      bytes === undefined || vocabulary.isSpecial(id) ? bytes : decodedToken(bytes),
    ),
    stripsLeadingSpace: true,
    startSymbols: characterSymbols(vocabulary.ids, special, where),
    merges: new MergeTable(merges),
    wholeWords: null,
    special,
    normalize,
    preTokenize: splitAtWords(merges, tokenBytes),
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
}

type AllowedValues = readonly (readonly [string, readonly unknown[]])[];

function checkModelOptions(model: JsonObject, where: string, more: AllowedValues): void {
  if ((model['type'] ?? 'BPE') !== 'BPE') throw expectation(`${where}.type`, 'BPE', model['type']);
  const forbidden: AllowedValues = [
    ...more,
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
        'other kinds of BPE are not supported',
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
  readonly isSpecial: (id: number) => boolean;
}

/** The bytes of normalised text that a vocabulary entry covers. @throws {InputError} it can cover none. */
type ReadToken = (token: string, at: string) => Uint8Array;

const byteLevelToken: ReadToken = (token, at) => {
  const bytes = bytesOfToken(token);
  if (bytes === null || bytes.length === 0) {
    const expected = 'characters of the byte-level alphabet';
    throw expectation(at, expected, token, 'only byte-level BPE has no normalizer or NFC');
  }
  return bytes;
};

const characterToken: ReadToken = (token, at) => {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
  if (token === '' || !token.isWellFormed()) throw expectation(at, 'some Unicode text', token);
  return Buffer.from(token, 'utf8');
};

function readVocabulary(
  value: unknown,
  special: ReadonlyMap<string, number>,
  where: string,
  readToken: ReadToken,
): Vocabulary {
  const ids = new Map<string, number>();
  const specialIds = new Set(special.values());
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
    tokenBytes[id] = readToken(token, at);
  }
  return { ids, tokenBytes, isSpecial: (id) => specialIds.has(id) };
}

/** (256) Id of each byte. */
function byteIdsOf(
  ids: ReadonlyMap<string, number>,
  special: ReadonlyMap<string, number>,
  where: string,
): Int32Array {
  return Int32Array.from(BYTE_SYMBOLS, (symbol, byte) => {
    const id = ids.get(symbol);
    if (id === undefined || special.has(symbol)) {
      throw expectation(where, `a token for byte ${byte} (${symbol})`, undefined);
    }
    return id;
  });
}

function readMerges(
  model: JsonObject,
  ids: ReadonlyMap<string, number>,
  special: ReadonlyMap<string, number>,
  where: string,
): Merge[] {
  const idOf = (token: string, at: string): number => {
    const id = ids.get(token);
    if (id === undefined || special.has(token)) {
      throw expectation(at, 'tokens of model.vocab', token);
    }
    return id;
  };
  const pairs = new Set<string>();
  return asArray(model['merges'], where).map((entry, i): Merge => {
    const at = `${where}[${i}]`;
    const [left, right] = readPair(entry, at);
    const merge = [idOf(left, at), idOf(right, at), idOf(left + right, at)] as const;
    const pair = `${merge[0]} ${merge[1]}`;
    if (pairs.has(pair)) throw expectation(at, 'a pair not merged before', 'a repeated pair');
    pairs.add(pair);
    return merge;
  });
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
