// Does a text really contain a phrase, as whole words?
import { neutralise } from './observation.ts';

/**
 * True if `phrase` occurs in `text` word-bounded: not inside a longer word or number. Case and white space are ignored,
 * and both are compared as the policy sees them.
 */
export function occursIn(text: string, phrase: string): boolean {
  const haystack = comparable(text);
  const needle = comparable(phrase);
  if (needle === '') return false;
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    if (isBoundary(haystack, at) && isBoundary(haystack, at + needle.length)) return true;
  }
  return false;
}

function comparable(text: string): string {
  return neutralise(text).normalize('NFC').toLowerCase();
}

/** No letter or digit on both sides of the position. */
function isBoundary(text: string, at: number): boolean {
  const before = /[\p{L}\p{M}\p{N}]$/u.test(text.slice(Math.max(0, at - 2), at));
  const after = /^[\p{L}\p{M}\p{N}]/u.test(text.slice(at, at + 2));
  return !(before && after);
}
