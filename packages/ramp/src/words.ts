// Word boundaries in Unicode text; offsets are UTF-16 code units everywhere.

const WORD = /^[\p{L}\p{M}\p{N}]$/u;
const DIGIT = /^\p{Nd}$/u;
const JOINERS = new Set(['-', '\u2010', '\u2011', "'", '\u2019']);
const APOSTROPHES = new Set(["'", '\u2019']);
const SIGNS = new Set(['-', '\u2212', '+']);
const NUMBER_PUNCTUATION = new Set(['.', ',', ':', '/']);

/** The character (code point) that starts at `index`, or '' at the end. */
export function characterAt(text: string, index: number): string {
  const code = text.codePointAt(index);
  return code === undefined ? '' : String.fromCodePoint(code);
}

/** The character (code point) that ends at `index`, or '' at the start. */
export function characterBefore(text: string, index: number): string {
  if (index <= 0) return '';
  const pair = characterAt(text, index - 2);
  return index >= 2 && pair.length === 2 ? pair : text.slice(index - 1, index);
}

/** A letter, mark or number of any script. */
export function isWordCharacter(character: string): boolean {
  return WORD.test(character);
}

/** Maximal runs of letters, marks and numbers. */
export function words(text: string): string[] {
  return text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/**
 * True if [start, end) is made of whole words: it cuts no letter-digit run, no number (75 in 0.75, 5 in
 * −5) and no word joined by hyphen or apostrophe (Jones in Smith-Jones; a possessive 's may follow).
 */
export function isWordBounded(text: string, start: number, end: number): boolean {
  if (start < 0 || end > text.length || start >= end) return false;
  const first = characterAt(text, start);
  const last = characterBefore(text, end);
  if (isLowSurrogate(text, start) || isLowSurrogate(text, end)) return false;
  if (/\s/u.test(first) || /\s/u.test(last)) return false;
  return startsCleanly(text, start, first) && endsCleanly(text, end, last);
}

function startsCleanly(text: string, start: number, first: string): boolean {
  if (!isWordCharacter(first)) return true;
  const before = characterBefore(text, start);
  if (isWordCharacter(before)) return false;
  const beyond = characterBefore(text, start - before.length);
  if (JOINERS.has(before) && isWordCharacter(beyond)) return false;
  if (!DIGIT.test(first)) return true;
  if (SIGNS.has(before)) return false;
  return !(NUMBER_PUNCTUATION.has(before) && DIGIT.test(beyond));
}

function endsCleanly(text: string, end: number, last: string): boolean {
  if (!isWordCharacter(last)) return true;
  const after = characterAt(text, end);
  if (isWordCharacter(after)) return false;
  const beyond = characterAt(text, end + after.length);
  if (APOSTROPHES.has(after)) return !isWordCharacter(beyond) || isPossessive(text, end);
  if (JOINERS.has(after) && isWordCharacter(beyond)) return false;
  return !(DIGIT.test(last) && NUMBER_PUNCTUATION.has(after) && DIGIT.test(beyond));
}

function isPossessive(text: string, end: number): boolean {
  return text[end + 1] === 's' && !isWordCharacter(characterAt(text, end + 2));
}

function isLowSurrogate(text: string, index: number): boolean {
  return characterBefore(text, index + 1).length === 2;
}

/**
 * How often `needle` occurs in `text` between characters that are no letters or digits, in any case.
 * Wider than `isWordBounded` on purpose: what could give an answer away counts.
 */
export function countOccurrences(text: string, needle: string): number {
  const haystack = text.toLowerCase();
  const wanted = needle.toLowerCase();
  if (wanted === '') return 0;
  const bindsLeft = isWordCharacter(characterAt(wanted, 0));
  const bindsRight = isWordCharacter(characterBefore(wanted, wanted.length));
  let count = 0;
  for (let at = haystack.indexOf(wanted); at >= 0; at = haystack.indexOf(wanted, at + 1)) {
    const end = at + wanted.length;
    const cutLeft = bindsLeft && isWordCharacter(characterBefore(haystack, at));
    const cutRight = bindsRight && isWordCharacter(characterAt(haystack, end));
    if (!cutLeft && !cutRight) count++;
  }
  return count;
}
