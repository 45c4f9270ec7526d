// Queries for a gap or a question, in the order in which a teacher tries them; only words that stand in the prompt.
import { MASK_MARKER, splitSentences } from '@masksearch/core';

// Longer queries cost tokens and add little to BM25.
const MAXIMUM_QUERY_WORDS = 16;
const NEIGHBOURS = 4;

const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’.-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu;
// Capitalised words, initials with their full stop.
const NAME =
  /(?:(?:\p{Lu}\.)+|\p{Lu}[\p{L}\p{M}\p{N}'’-]*)(?: (?:(?:\p{Lu}\.)+|\p{Lu}[\p{L}\p{M}\p{N}'’-]*))*/gu;
// Capitalised only because they start a sentence.
const FUNCTION_WORDS = new Set(
  (
    'a an and as at both but by during for from he her his however i if in into it its many of on one or other she since ' +
    'some such that the their there these they this those though to under was we were when while who with you'
  ).split(' '),
);

/**
 * At most four queries for the gap number `gap` (from 0) of a masked text, the surest first: its sentence and once more
 * the paragraph's first name, which is its subject as a rule, so that it outweighs those that are alike; its sentence;
 * the names in it, or the paragraph's first and the words next to the gap where it has none; all names of the paragraph.
 */
export function queriesForGap(masked: string, gap: number): string[] {
  const at = gapPosition(masked, gap);
  const [start, end] = sentenceAround(masked, at);
  const before = wordsOf(masked.slice(start, at));
  const after = wordsOf(masked.slice(at + MASK_MARKER.length, end));
  const names = namesOf(masked.slice(start, end));
  const near = [...before.slice(-NEIGHBOURS), ...after.slice(0, NEIGHBOURS)];
  const subject = namesOf(masked).slice(0, 1);
  const subjectWords = subject.flatMap((name) => name.split(' ')).slice(0, MAXIMUM_QUERY_WORDS);
  return distinctQueries([
    [...windowOf(before, after, MAXIMUM_QUERY_WORDS - subjectWords.length), ...subjectWords],
    windowOf(before, after, MAXIMUM_QUERY_WORDS),
    names.length > 0 ? names : [...subject, ...near.filter((word) => !isFunctionWord(word))],
    namesOf(masked),
  ]);
}

/** Names that tie a gap to its evidence: those of its sentence, or the paragraph's first where it has none. */
export function namesAroundGap(masked: string, gap: number): string[] {
  return contextNames(masked, sentenceAround(masked, gapPosition(masked, gap)));
}

/** Numbers of the gaps in the sentence of gap number `gap`, itself included. */
export function gapsOfSentence(masked: string, gap: number): number[] {
  const [start, end] = sentenceAround(masked, gapPosition(masked, gap));
  const first = masked.slice(0, start).split(MASK_MARKER).length - 1;
  const count = masked.slice(start, end).split(MASK_MARKER).length - 1;
  return Array.from({ length: count }, (_, i) => first + i);
}

function contextNames(masked: string, [start, end]: readonly [number, number]): string[] {
  const names = namesOf(masked.slice(start, end));
  return names.length > 0 ? names : namesOf(masked).slice(0, 1);
}

/** At most three queries for one step of a question. */
export function queriesForStep(query: string, question: string): string[] {
  const names = [...new Set([...namesOf(query), ...namesOf(question)])];
  return distinctQueries([wordsOf(query), names, wordsOf(question)]);
}

function gapPosition(masked: string, gap: number): number {
  let at = -1;
  for (let i = 0; i <= gap; i++) at = masked.indexOf(MASK_MARKER, at + 1);
  return at;
}

/** Words of a text without its mask markers. */
function wordsOf(text: string): string[] {
  return text.replaceAll(MASK_MARKER, ' ').match(WORD) ?? [];
}

/** Runs of capitalised words, markers excluded, without the function words that start sentences. */
export function namesOf(text: string): string[] {
  const runs = text.replaceAll(MASK_MARKER, ' | ').match(NAME) ?? [];
  const names = runs.map((name) => {
    const words = wordsOf(name);
    while (words.length > 0 && isFunctionWord(words[0] as string)) words.shift();
    return words.join(' ');
  });
  return [...new Set(names.filter((name) => name !== ''))];
}

function isFunctionWord(word: string): boolean {
  return FUNCTION_WORDS.has(word.toLowerCase());
}

/** The words nearest to the gap, in text order, `most` at most. */
function windowOf(before: readonly string[], after: readonly string[], most: number): string[] {
  const half = Math.floor(most / 2);
  const right = Math.min(after.length, Math.max(half, most - before.length));
  const left = Math.min(before.length, Math.max(0, most - right));
  return [...before.slice(before.length - left), ...after.slice(0, right)];
}

function distinctQueries(candidates: readonly (readonly string[])[]): string[] {
  const queries = candidates.map((words) =>
    words.join(' ').split(' ').slice(0, MAXIMUM_QUERY_WORDS).join(' '),
  );
  return [...new Set(queries.filter((query) => query !== ''))];
}

/** The range of the sentence that holds position `at`, UTF-16. */
function sentenceAround(text: string, at: number): readonly [number, number] {
  const sentence = splitSentences(text).find(({ end }) => end > at);
  return sentence === undefined ? [0, text.length] : [sentence.start, sentence.end];
}
