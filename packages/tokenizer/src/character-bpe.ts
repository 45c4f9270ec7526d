// BPE over characters as SentencePiece exports it (Llama 2): spaces are ▁, one stands in front of every text, characters
// without a token of their own are spelled in bytes.
import { componentsOf, expectation } from './json-checks.ts';
import type { Merge } from './merge-table.ts';
import type { Normalizer } from './read-normalizer.ts';
import type { PreTokenizer } from './read-pre-tokenizer.ts';

const SPACE = '▁';
const SPACE_BYTES = Buffer.from(SPACE, 'utf8');

const NORMALIZERS = [
  { type: 'Prepend', prepend: SPACE },
  { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
];
const DECODERS = [
  { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
  { type: 'Strip', content: ' ', start: 1, stop: 0 },
];

/** True if a normalizer starts with the one that this kind of file has. */
export function isCharacterNormalizer(value: unknown): boolean {
  const [first] = componentsOf(value, 'normalizers', 'normalizer');
  return first?.['type'] === 'Prepend';
}

/** @throws {InputError} it is not `Prepend ▁` and `Replace " " by ▁`. */
export function readCharacterNormalizer(value: unknown, where: string): Normalizer {
  expectComponents(componentsOf(value, 'normalizers', where), NORMALIZERS, where);
  return (text) => {
    // The ▁ in front stands for no character; as in Hugging Face's library it gets the first one's range.
    const firstEnd = (text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
    return {
      text: text === '' ? '' : SPACE + text.replaceAll(' ', SPACE),
      originalRange: (start, end) => [Math.max(0, start - 1), end === 1 ? firstEnd : end - 1],
    };
  };
}

/** @throws {InputError} it is not what undoes the normalizer and joins bytes. */
export function checkCharacterDecoder(value: unknown, where: string): void {
  expectComponents(componentsOf(value, 'decoders', where), DECODERS, where);
}

function expectComponents(
  received: readonly unknown[],
  expected: readonly object[],
  where: string,
): void {
  for (let i = 0; i < Math.max(expected.length, received.length); i++) {
    if (JSON.stringify(received[i]) === JSON.stringify(expected[i])) continue;
    throw expectation(where, JSON.stringify(expected[i]) ?? 'nothing more', received[i]);
  }
}

/** The bytes that a token decodes to: ▁ is a space again. */
export function decodedToken(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('utf8');
  return text.includes(SPACE) ? Buffer.from(text.replaceAll(SPACE, ' '), 'utf8') : bytes;
}

/**
 * The start symbols of a piece: one per character that is a token, one per byte of any other.
 * @throws {InputError} ▁ or a byte has no token.
 */
export function characterSymbols(
  ids: ReadonlyMap<string, number>,
  special: ReadonlyMap<string, number>,
  where: string,
): (piece: string) => Int32Array {
  const byteIds = Int32Array.from({ length: 256 }, (_, byte) => {
    const token = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    const id = special.has(token) ? undefined : ids.get(token);
    if (id === undefined) throw expectation(where, `a token ${token}`, undefined);
    return id;
  });
  const characters = new Map(
    [...ids].filter(([token]) => [...token].length === 1 && !special.has(token)),
  );
  if (!characters.has(SPACE)) throw expectation(where, `a token ${SPACE}`, undefined);
  return (piece) => {
    const symbols: number[] = [];
    for (const character of piece) {
      const id = characters.get(character);
      if (id !== undefined) symbols.push(id);
      else for (const byte of Buffer.from(character, 'utf8')) symbols.push(byteIds[byte] as number);
    }
    return Int32Array.from(symbols);
  };
}

/**
 * Cuts a text before each ▁ that follows something else, which changes no id if no merge joins across such a place;
 * else leaves it whole.
 */
export function splitAtWords(
  merges: readonly Merge[],
  tokenBytes: readonly (Uint8Array | undefined)[],
): PreTokenizer {
  const startsWithSpace = tokenBytes.map((bytes) => isSpaceAt(bytes, 0));
  const endsWithSpace = tokenBytes.map((bytes) => isSpaceAt(bytes, (bytes?.length ?? 0) - 3));
  const joinsWords = merges.some(
    ([left, right]) => endsWithSpace[left] === false && startsWithSpace[right] === true,
  );
  if (joinsWords) return (text) => (text === '' ? [] : [text.length]);
  return (text) => {
    const ends: number[] = [];
    for (let at = text.indexOf(SPACE, 1); at > 0; at = text.indexOf(SPACE, at + 1)) {
      if (text[at - 1] !== SPACE) ends.push(at);
    }
    if (text !== '') ends.push(text.length);
    return ends;
  };
}

function isSpaceAt(bytes: Uint8Array | undefined, at: number): boolean {
  return bytes !== undefined && at >= 0 && SPACE_BYTES.equals(bytes.subarray(at, at + 3));
}
