// The tokens of a vocabulary by their bytes, so that all that begin alike are ruled out at once.
import type { Tokenizer } from '@masksearch/tokenizer';

/** A tree of bytes, its nodes in the order of a walk that visits a node before what is below it. */
export interface TokenTrie {
  /** (n) byte that leads to the node. */
  readonly bytes: Uint8Array;
  /** (n) bytes from the root, from 1. */
  readonly depths: Int32Array;
  /** (n) first node that is not below. */
  readonly skips: Int32Array;
  /** (n + 1) tokens that end at node i are `ids[firsts[i] .. firsts[i + 1])`. */
  readonly firsts: Int32Array;
  readonly ids: Int32Array;
  readonly deepest: number;
}

/** Special tokens are left out: they stand for no text. */
export function tokenTrie(
  tokenizer: Pick<
    Tokenizer,
    'vocabularySize' | 'bytesOf' | 'isToken' | 'specialId' | 'specialTokens'
  >,
): TokenTrie {
  const special = new Set(tokenizer.specialTokens.map((token) => tokenizer.specialId(token)));
  const tokens: { readonly id: number; readonly text: Buffer }[] = [];
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    if (!tokenizer.isToken(id) || special.has(id)) continue;
    const text = Buffer.from(tokenizer.bytesOf(id));
    if (text.length > 0) tokens.push({ id, text });
  }
  tokens.sort((a, b) => Buffer.compare(a.text, b.text) || a.id - b.id);
  const bytes: number[] = [];
  const depths: number[] = [];
  const firsts: number[] = [];
  const ids: number[] = [];
  let before: Buffer = Buffer.alloc(0);
  for (const { id, text } of tokens) {
    for (let depth = sharedLength(before, text); depth < text.length; depth++) {
      bytes.push(text[depth] as number);
      depths.push(depth + 1);
      firsts.push(ids.length);
    }
    ids.push(id);
    before = text;
  }
  firsts.push(ids.length);
  return {
    bytes: Uint8Array.from(bytes),
    depths: Int32Array.from(depths),
    skips: skipsOf(depths),
    firsts: Int32Array.from(firsts),
    ids: Int32Array.from(ids),
    deepest: depths.reduce((most, depth) => Math.max(most, depth), 0),
  };
}

function sharedLength(a: Buffer, b: Buffer): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** From the end, so that whole branches are stepped over. */
function skipsOf(depths: readonly number[]): Int32Array {
  const skips = new Int32Array(depths.length);
  for (let node = depths.length - 1; node >= 0; node--) {
    let next = node + 1;
    while (next < depths.length && (depths[next] as number) > (depths[node] as number)) {
      next = skips[next] as number;
    }
    skips[node] = next;
  }
  return skips;
}
