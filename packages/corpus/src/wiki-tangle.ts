// Recognises wikitext on which the parser's regular expressions would take minutes; real pages do not look like this.

/** Longest line that is parsed; the parser's time grows with its square. In the English excerpt the longest has 7,491. */
const MAX_LINE_LENGTH = 50_000;

/** Most brackets of one kind that may lack their partner. */
const MAX_UNMATCHED = 400;

const PAIRS = [
  ['[[', ']]'],
  ['{{', '}}'],
  ['{|', '|}'],
  ['<!--', '-->'],
  ['[http', ']'],
] as const;

function count(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++;
  return found;
}

function longestLine(text: string): number {
  let longest = 0;
  let start = 0;
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
    longest = Math.max(longest, end - start);
    start = end + 1;
  }
  return Math.max(longest, text.length - start);
}

/** True for pages with a line beyond all measure or hundreds of brackets that are never closed. */
export function isTangled(wikitext: string): boolean {
  if (longestLine(wikitext) > MAX_LINE_LENGTH) return true;
  return PAIRS.some(
    ([open, close]) => count(wikitext, open) - count(wikitext, close) > MAX_UNMATCHED,
  );
}
