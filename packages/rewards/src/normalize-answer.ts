// Answer normalisation as in SQuAD's evaluation script, with Python's meaning of every step.

/** Python's `string.punctuation`: ASCII only. */
const PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;
/** `\b(a|an|the)\b` with Python's Unicode word boundary; JavaScript's `\b` knows ASCII only. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
/** What Python's `str.split()` splits at. */
const WHITESPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/**
 * Lower case, without ASCII punctuation and English articles, words separated by one space.
 * @see Rajpurkar et al., SQuAD (arXiv:1606.05250), evaluate-v1.1.py
 */
export function normalizeAnswer(text: string): string {
  return answerTokens(text).join(' ');
}

/** The words that token metrics compare. */
export function answerTokens(text: string): string[] {
  const bare = text.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' ');
  return bare.split(WHITESPACE).filter((token) => token !== '');
}
