// Where sentences end, by rule: the same on every machine (Intl.Segmenter depends on the ICU version) and in every package.
import { MASK_MARKER } from './records.ts';

export interface Sentence {
  /** UTF-16 offset of the first character that is not white space. */
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Words after which a full stop ends no sentence. */
const ABBREVIATIONS = new Set(
  (
    'mr mrs ms dr prof st ste jr sr rev fr hon gen col maj lt capt sgt gov pres sen rep mt ft no nos vol vs v etc inc ltd co ' +
    'corp c ca cf e.g i.e fig figs approx al op ed eds p pp b d r fl née jan feb mar apr jun jul aug sep sept oct nov dec'
  ).split(' '),
);
const MARKER = MASK_MARKER.replace(/[[\]]/g, '\\$&');
const BORDER = new RegExp(
  `[.!?…]["'”’)\\]]*(?=\\s+(?:["'“‘([]*[\\p{Lu}\\p{Lt}\\p{Lo}\\p{N}]|${MARKER}))|[。！？]["'”’」』）]*|\\n+`,
  'gu',
);

/** Splits text into sentences; together they hold every character that is not white space. */
export function splitSentences(text: string): Sentence[] {
  const sentences: Sentence[] = [];
  let from = 0;
  for (const match of text.matchAll(BORDER)) {
    if (match[0].startsWith('.') && endsInAbbreviation(text.slice(from, match.index))) continue;
    push(match.index + match[0].length);
  }
  push(text.length);
  return sentences;

  function push(to: number): void {
    const piece = text.slice(from, to);
    const trimmed = piece.trim();
    const start = from + piece.indexOf(trimmed);
    if (trimmed !== '') sentences.push({ start, end: start + trimmed.length });
    from = to;
  }
}

/** The sentences of a text, without the white space around them. */
export function sentencesOf(text: string): string[] {
  return splitSentences(text).map(({ start, end }) => text.slice(start, end));
}

function endsInAbbreviation(before: string): boolean {
  const word = /[\p{L}.]+$/u.exec(before)?.[0] ?? '';
  const isInitial = /^(?:\p{Lu}\.)*\p{Lu}$/u.test(word);
  return isInitial || ABBREVIATIONS.has(word.toLowerCase());
}
