// Where sentences end, by punctuation alone; a capital before a full stop counts as an initial.

const SENTENCE_END = /(?<!(?<![\p{L}\p{N}])\p{Lu})[.!?]["')\]”’]*\s+(?=["'(“‘[]?[\p{Lu}\p{N}[])/gu;

/** The range of the sentence that holds position `at`, UTF-16. */
export function sentenceAround(text: string, at: number): readonly [number, number] {
  let start = 0;
  for (const end of sentenceEnds(text)) {
    if (end > at) return [start, end];
    start = end;
  }
  return [start, text.length];
}

/** The sentences of a text, white space included. */
export function sentencesOf(text: string): string[] {
  let start = 0;
  return sentenceEnds(text).map((end) => {
    const sentence = text.slice(start, end);
    start = end;
    return sentence;
  });
}

function sentenceEnds(text: string): number[] {
  const ends = Array.from(text.matchAll(SENTENCE_END), (match) => match.index + match[0].length);
  return [...ends, text.length];
}
