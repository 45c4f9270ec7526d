// Text in which some strings stand for special tokens: prompts and templates, never foreign text.
import type { Tokenizer } from './tokenizer.ts';

/**
 * Encodes `text` with each occurrence of one of `marks` as its special token, or as its own piece of plain text when
 * the tokenizer has no such token. What lies between is encoded like any plain text.
 */
export function encodeMarked(
  tokenizer: Tokenizer,
  text: string,
  marks: readonly string[],
): Int32Array {
  const ids: number[] = [];
  for (const piece of splitAtMarks(text, marks)) {
    const isSpecial = marks.includes(piece) && tokenizer.specialTokens.includes(piece);
    if (isSpecial) ids.push(tokenizer.specialId(piece));
    else ids.push(...tokenizer.encode(piece));
  }
  return Int32Array.from(ids);
}

/** Cuts a text around the marks, which are kept; at each position the first mark that fits. */
function splitAtMarks(text: string, marks: readonly string[]): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length;) {
    const mark = marks.find((candidate) => candidate !== '' && text.startsWith(candidate, at));
    if (mark === undefined) {
      at++;
      continue;
    }
    if (at > start) pieces.push(text.slice(start, at));
    pieces.push(mark);
    at += mark.length;
    start = at;
  }
  if (start < text.length) pieces.push(text.slice(start));
  return pieces;
}
