// Text to index terms the way Lucene's EnglishAnalyzer does it: words, possessives, lower case, stop words, stems.
import { porterStem } from './porter-stemmer.ts';
import { unicodeWords } from './unicode-words.ts';

/** Named in every index; an index made by another analysis is refused. */
export const ANALYSIS_NAME = 'english-porter-1';

/** Lucene's English stop words. */
export const ENGLISH_STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a an and are as at be but by for if in into is it no not of on or such that the their then there these they ' +
    'this to was will with'
  ).split(' '),
);

const POSSESSIVE = /['\u2019\uff07][sS]$/;

/** The index term of one word, or undefined for a stop word. */
export function termOfWord(word: string): string | undefined {
  const base = POSSESSIVE.test(word) ? word.slice(0, -2) : word;
  const lower = base.toLowerCase();
  return ENGLISH_STOP_WORDS.has(lower) ? undefined : porterStem(lower);
}

/**
 * The index terms of a text in order, stop words left out. `analyzeEnglish("Porter's stems are running")` is
 * `['porter', 'stem', 'run']`.
 */
export function analyzeEnglish(text: string): string[] {
  const terms: string[] = [];
  for (const word of unicodeWords(text)) {
    const term = termOfWord(word);
    if (term !== undefined) terms.push(term);
  }
  return terms;
}
