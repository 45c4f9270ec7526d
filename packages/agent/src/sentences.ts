// Sentences of a text, by the rule of all packages.
import { splitSentences } from '@masksearch/core';

/** The range of the sentence that holds position `at`, UTF-16. */
export function sentenceAround(text: string, at: number): readonly [number, number] {
  const sentence = splitSentences(text).find(({ end }) => end > at);
  return sentence === undefined ? [0, text.length] : [sentence.start, sentence.end];
}

/** The sentences of a text, without the white space around them. */
export function sentencesOf(text: string): string[] {
  return splitSentences(text).map(({ start, end }) => text.slice(start, end));
}
