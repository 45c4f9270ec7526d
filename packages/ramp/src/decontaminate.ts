// Keeps evaluation texts out of training: shared word n-grams and shared titles.
import { ConfigError } from '@masksearch/core';
import { withoutDisambiguation } from './gazetteer.ts';
import { words } from './words.ts';

export interface EvaluationText {
  /** Title of the page that the text is about, if there is one. */
  readonly title?: string;
  readonly text: string;
}

/** Words in a row that two texts by chance hardly share. */
const DEFAULT_NGRAM_WORDS = 8;

export interface DecontaminatorOptions {
  /** Length of the n-grams in words, two characters of Chinese each; a shorter evaluation text counts whole. Default 8. */
  readonly ngramWords?: number;
}

/**
 * A test for `makeTasks`: true for a paragraph that shares an n-gram or a title with an evaluation text.
 * Case, punctuation and spacing do not count. Memory grows with the evaluation texts only.
 * @throws {ConfigError} `ngramWords` is no positive integer.
 */
export function createDecontaminator(
  evaluation: Iterable<EvaluationText>,
  { ngramWords = DEFAULT_NGRAM_WORDS }: DecontaminatorOptions = {},
): (paragraph: { title: string; text: string }) => boolean {
  if (!Number.isInteger(ngramWords) || ngramWords < 1) {
    throw new ConfigError(
      `createDecontaminator: expected ngramWords to be a positive integer, received ${ngramWords}.`,
    );
  }
  const titles = new Set<string>();
  const ngrams = new Set<string>();
  const lengths = new Set<number>();
  for (const { title, text } of evaluation) {
    if (title) titles.add(fold(withoutDisambiguation(title)).join(' '));
    const folded = fold(text);
    const length = Math.min(ngramLength(folded, ngramWords), folded.length);
    if (length === 0) continue;
    lengths.add(length);
    for (const ngram of ngramsOf(folded, length)) ngrams.add(ngram);
  }
  return ({ title, text }) => {
    if (titles.has(fold(withoutDisambiguation(title)).join(' '))) return true;
    const folded = fold(text);
    return [...lengths].some((length) => ngramsOf(folded, length).some((n) => ngrams.has(n)));
  };
}

/** Of a script that is written without spaces, such as Chinese: a character that counts as a word. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const RUNS = new RegExp(`${UNSPACED.source}|(?:(?!${UNSPACED.source}).)+`, 'gu');
/** Such characters say about as much as one word of other scripts. */
const CHARACTERS_PER_WORD = 2;

function fold(text: string): string[] {
  return words(text.toLowerCase()).flatMap((word) => word.match(RUNS) ?? []);
}

function ngramLength(folded: readonly string[], ngramWords: number): number {
  const unspaced = folded.filter((word) => UNSPACED.test(word)).length;
  return ngramWords * (2 * unspaced > folded.length ? CHARACTERS_PER_WORD : 1);
}

function ngramsOf(folded: readonly string[], length: number): string[] {
  const ngrams: string[] = [];
  for (let i = 0; i + length <= folded.length; i++) {
    ngrams.push(folded.slice(i, i + length).join(' '));
  }
  return ngrams;
}
