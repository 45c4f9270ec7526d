// Does a text really say it? Phrases as whole words, and names together with what ties them to the question.
import { sentencesOf, type Gold } from '@masksearch/core';
import { neutralise } from './neutralise.ts';
import { unwrapInformation } from './observation.ts';

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

/**
 * The name of the gold that an `<information>` block states, or null: it stands in a sentence that, with its document's
 * title, also holds one of the anchors. Without anchors any sentence will do.
 */
export function findEvidence(
  information: string,
  gold: Gold,
  anchors: readonly string[],
): string | null {
  const names = [gold.text, ...gold.aliases];
  for (const line of (unwrapInformation(information) ?? '').split('\n')) {
    const title = line.slice(0, Math.max(0, line.indexOf(': ')));
    for (const sentence of sentencesOf(line.slice(title.length))) {
      const name = names.find((candidate) => occursIn(sentence, candidate));
      const isTied = (anchor: string): boolean => occursIn(`${title} ${sentence}`, anchor);
      if (name !== undefined && (anchors.length === 0 || anchors.some(isTied))) return name;
    }
  }
  return null;
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
