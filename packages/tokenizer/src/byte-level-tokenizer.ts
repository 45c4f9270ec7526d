// BPE over a tokenizer.json, with exact character offsets.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { InputError } from '@masksearch/core';
import { mergeWord } from './merge-word.ts';
import { readTokenizerFile, type TokenizerDefinition } from './tokenizer-file.ts';
import type { Encoding, Tokenizer } from './tokenizer.ts';

// Pieces kept with their ids; a piece longer than the limit is rarely seen twice.
const CACHED_PIECES = 65_536;
const CACHED_PIECE_LENGTH = 64;

/**
 * A tokenizer from the text of a tokenizer.json.
 * @param name File name or other origin, for errors.
 * @throws {InputError} see `readTokenizerFile`.
 */
export function parseTokenizer(text: string, name = 'tokenizer.json'): Tokenizer {
  return new ByteLevelTokenizer(readTokenizerFile(text, name), text);
}

/** A tokenizer from a tokenizer.json file. @throws {InputError} it cannot be read, or see `readTokenizerFile`. */
export function loadTokenizer(path: string): Tokenizer {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`${path}: expected a readable tokenizer.json, found none.`, {
      cause: error,
    });
  }
  return parseTokenizer(text, path);
}

/**
 * Plain text never yields an added token (special or not): such text is encoded as ordinary characters. Lone
 * surrogates are encoded as U+FFFD. So `decode(encode(text))` is `text.toWellFormed()`, normalised if the file says so.
 */
class ByteLevelTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly hash: string;
  readonly specialTokens: readonly string[];
  readonly #definition: TokenizerDefinition;
  readonly #source: string;
  readonly #cache = new Map<string, Int32Array>();

  constructor(definition: TokenizerDefinition, source: string) {
    this.#definition = definition;
    this.#source = source;
    this.vocabularySize = definition.vocabularySize;
    this.hash = createHash('sha256').update(source).digest('hex');
    this.specialTokens = [...definition.special.keys()];
  }

  encode(text: string): Int32Array {
    const normalized = this.#definition.normalize(text.toWellFormed()).text;
    const ids: number[] = [];
    let start = 0;
    for (const end of this.#definition.preTokenize(normalized)) {
      for (const id of this.#encodePiece(normalized.slice(start, end))) ids.push(id);
      start = end;
    }
    return Int32Array.from(ids);
  }

  encodeWithOffsets(text: string): Encoding {
    const normalized = this.#definition.normalize(text.toWellFormed());
    const ids: number[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    const { tokenBytes } = this.#definition;
    let pieceStart = 0;
    for (const pieceEnd of this.#definition.preTokenize(normalized.text)) {
      const piece = normalized.text.slice(pieceStart, pieceEnd);
      const pieceIds = this.#encodePiece(piece);
      const origins = characterOfByte(piece);
      let byte = 0;
      for (const id of pieceIds) {
        const lastByte = byte + (tokenBytes[id] as Uint8Array).length - 1;
        const start = pieceStart + (origins.starts[byte] as number);
        const end = pieceStart + (origins.ends[lastByte] as number);
        const [from, to] = normalized.originalRange(start, end);
        ids.push(id);
        starts.push(from);
        ends.push(to);
        byte = lastByte + 1;
      }
      pieceStart = pieceEnd;
    }
    return {
      ids: Int32Array.from(ids),
      starts: Int32Array.from(starts),
      ends: Int32Array.from(ends),
    };
  }

  isToken(id: number): boolean {
    return this.#definition.tokenBytes[id] !== undefined;
  }

  bytesOf(id: number): Uint8Array {
    const bytes = this.#definition.decodedBytes[id];
    if (bytes === undefined) {
      throw new InputError(
        `decode: expected token ids of a vocabulary of ${this.vocabularySize}, received ${id}.`,
      );
    }
    return bytes;
  }

  decode(ids: ArrayLike<number>): string {
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < ids.length; i++) chunks.push(this.bytesOf(ids[i] as number));
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(chunks));
    return this.#definition.stripsLeadingSpace && text.startsWith(' ') ? text.slice(1) : text;
  }

  specialId(token: string): number {
    const id = this.#definition.special.get(token);
    if (id === undefined) {
      throw new InputError(
        `specialId: expected one of the special tokens ${this.specialTokens.join(' ')}, received ${JSON.stringify(token)}.`,
      );
    }
    return id;
  }

  serialize(): string {
    return this.#source;
  }

  #encodePiece(piece: string): Int32Array {
    const cached = this.#cache.get(piece);
    if (cached !== undefined) return cached;
    const ids = this.#mergePiece(piece);
    if (piece.length <= CACHED_PIECE_LENGTH) {
      if (this.#cache.size >= CACHED_PIECES) this.#cache.clear();
      this.#cache.set(piece, ids);
    }
    return ids;
  }

  #mergePiece(piece: string): Int32Array {
    const { startSymbols, merges, wholeWords } = this.#definition;
    const whole = wholeWords?.get(Buffer.from(piece, 'utf8').toString('latin1'));
    if (whole !== undefined) return Int32Array.of(whole);
    return mergeWord(startSymbols(piece), merges);
  }
}

/** For each UTF-8 byte of a well-formed text: start and end of the character it belongs to, UTF-16. */
function characterOfByte(text: string): { starts: Int32Array; ends: Int32Array } {
  const size = Buffer.byteLength(text, 'utf8');
  const starts = new Int32Array(size);
  const ends = new Int32Array(size);
  let byte = 0;
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at) as number;
    const bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    const units = point < 0x10000 ? 1 : 2;
    starts.fill(at, byte, byte + bytes);
    ends.fill(at + units, byte, byte + bytes);
    byte += bytes;
    at += units;
  }
  return { starts, ends };
}
