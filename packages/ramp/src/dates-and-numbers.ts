// Rules for dates and numbers in English text.
import type { Span } from '@masksearch/core';
import { spanOf } from './spans.ts';
import { isWordBounded } from './words.ts';

const MONTH =
  '(?:January|February|March|April|May|June|July|August|September|October|November|December)';
const DAY = '(?:[12]?[0-9]|3[01])(?:st|nd|rd|th)?';
const YEAR = '(?:1[0-9]{3}|20[0-9]{2})';

/** Longest first: a text matches the first form that fits. */
const DATE = new RegExp(
  [
    `${YEAR}-[01][0-9]-[0-3][0-9]`,
    `${DAY} ${MONTH},? ${YEAR}`,
    `${MONTH} ${DAY},? ${YEAR}`,
    `${MONTH},? ${YEAR}`,
    `${DAY} ${MONTH}`,
    `${MONTH} ${DAY}(?![0-9])`,
    `${YEAR}s`,
    '[0-9]{1,2}(?:st|nd|rd|th) century(?: (?:BC|BCE|AD|CE))?',
    '[0-9]{1,4} (?:BC|BCE|AD|CE)',
    YEAR,
  ].join('|'),
  'gu',
);

/** Signed, grouped by commas, with decimals, or ordinal: −5, 1,200, 0.75, 3rd. */
const NUMBER = /[-\u2212+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:st|nd|rd|th)?/gu;

/** Dates: full, month and year, year, decade, century, ISO. */
export function dateSpans(text: string): Span[] {
  return matches(text, DATE, 'date');
}

/** What numbers the items of a list: digits at a line's start, then `)` or `.` and a space. */
const LIST_NUMBER = /^[ \t]*\d+[.)](?=\s)/gmu;

/** Numbers in digits. A hyphen within a word or a range is no sign, a list item's number no number. */
export function numberSpans(text: string): Span[] {
  const prose = text.replace(LIST_NUMBER, (marker) => ' '.repeat(marker.length));
  return matches(prose, NUMBER, 'number');
}

function matches(text: string, pattern: RegExp, kind: string): Span[] {
  const spans: Span[] = [];
  for (const { 0: found, index } of text.matchAll(pattern)) {
    const end = index + found.length;
    const hyphen = /^[-+\u2212]/u.test(found) && /[\p{L}\p{N}]$/u.test(text.slice(0, index));
    if (!hyphen && isWordBounded(text, index, end)) spans.push(spanOf(text, [index, end], kind));
  }
  return spans;
}
