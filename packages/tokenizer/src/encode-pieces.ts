// Token ids of text in pieces: special tokens come from trusted pieces only, the rest is encoded as if it were one text.
import type { Tokenizer } from './tokenizer.ts';

export interface TextPiece {
  readonly text: string;
  /** May hold special tokens: a template's own text, never anything foreign. */
  readonly isTrusted: boolean;
}

export interface EncodedPieces {
  /** (n) token ids. */
  readonly ids: Int32Array;
  /** (n) index of the piece that each token ends in. */
  readonly pieces: Int32Array;
}

/**
 * Encodes pieces that follow one another. Where no foreign text spells a special token, the ids are those that
 * Hugging Face's tokenizers give the joined text: tokens may span pieces.
 */
export function encodePieces(tokenizer: Tokenizer, pieces: readonly TextPiece[]): EncodedPieces {
  const ids: number[] = [];
  const owners: number[] = [];
  let stretch: { text: string; piece: number }[] = [];
  const flush = (): void => {
    const { ids: plain, ends } = tokenizer.encodeWithOffsets(stretch.map((s) => s.text).join(''));
    let at = 0;
    let end = 0;
    for (const [t, id] of plain.entries()) {
      while (at < stretch.length && (ends[t] as number) > end)
        end += stretch[at++]?.text.length ?? 0;
      ids.push(id);
      owners.push(stretch[Math.max(0, at - 1)]?.piece ?? 0);
    }
    stretch = [];
  };
  const specials = specialPattern(tokenizer);
  for (const [piece, { text, isTrusted }] of pieces.entries()) {
    const parts = isTrusted && specials !== null ? text.split(specials) : [text];
    for (const [i, part] of parts.entries()) {
      if (i % 2 === 0) {
        if (part !== '') stretch.push({ text: part, piece });
        continue;
      }
      flush();
      ids.push(tokenizer.specialId(part));
      owners.push(piece);
    }
  }
  flush();
  return { ids: Int32Array.from(ids), pieces: Int32Array.from(owners) };
}

const patterns = new WeakMap<Tokenizer, RegExp>();

/** Matches any special token, the longest first; null if there are none. */
function specialPattern(tokenizer: Tokenizer): RegExp | null {
  if (tokenizer.specialTokens.length === 0) return null;
  const known = patterns.get(tokenizer);
  if (known !== undefined) return known;
  const longestFirst = tokenizer.specialTokens.toSorted((a, b) => b.length - a.length);
  const source = longestFirst.map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  const pattern = new RegExp(`(${source.join('|')})`, 'u');
  patterns.set(tokenizer, pattern);
  return pattern;
}
