// Queries for a gap or a question, in the order in which a teacher tries them; only words that stand in the prompt.
import { MASK_MARKER } from '@masksearch/core';

// Longer queries cost tokens and add little to BM25.
const MAXIMUM_QUERY_WORDS = 16;
const NEIGHBOURS = 4;
const MAXIMUM_QUERIES = 3;

const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’.\-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu;
const SENTENCE_END = /(?<!(?<![\p{L}\p{N}])\p{Lu})[.!?]["')\]”’]*\s+(?=["'(“‘[]?[\p{Lu}\p{N}[])/gu;
// Capitalised only because they start a sentence.
const FUNCTION_WORDS = new Set(
  (
    'a an and as at both but by during for from he her his however i if in into it its many of on one or other she since ' +
    'some such that the their there these they this those though to under was we were when while who with you'
  ).split(' '),
);

/** At most three queries for the gap number `gap` (from 0) of a masked text. */
export function queriesForGap(masked: string, gap: number): string[] {
  const at = gapPosition(masked, gap);
  const [start, end] = sentenceAround(masked, at);
  const before = wordsOf(masked.slice(start, at));
  const after = wordsOf(masked.slice(at + MASK_MARKER.length, end));
  const names = namesOf(masked.slice(start, end));
  const subject = names.length > 0 ? [] : namesOf(masked).slice(0, 1);
  const near = [...before.slice(-NEIGHBOURS), ...after.slice(0, NEIGHBOURS)];
  return distinctQueries([
    windowOf(before, after),
    [...subject, ...names, ...near.filter((word) => !namesContain(names, word))],
    namesOf(masked),
  ]);
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

function sentenceAround(text: string, at: number): [number, number] {
  let start = 0;
  for (const match of text.matchAll(SENTENCE_END)) {
    const end = match.index + match[0].length;
    if (end > at) return [start, end];
    start = end;
  }
  return [start, text.length];
}

/** Words of a text without its mask markers. */
function wordsOf(text: string): string[] {
  return text.replaceAll(MASK_MARKER, ' ').match(WORD) ?? [];
}

/** Runs of capitalised words, markers excluded. */
function namesOf(text: string): string[] {
  const run = new RegExp(
    `\\p{Lu}${"[\\p{L}\\p{M}\\p{N}'’.\\-]*"}(?: \\p{Lu}[\\p{L}\\p{M}\\p{N}'’\\-]*)*`,
    'gu',
  );
  const runs = text.replaceAll(MASK_MARKER, ' | ').match(run) ?? [];
  const names = runs.map((name) => {
    const words = wordsOf(name);
    while (words.length > 0 && FUNCTION_WORDS.has((words[0] as string).toLowerCase()))
      words.shift();
    return words.join(' ');
  });
  return [...new Set(names.filter((name) => name !== ''))];
}

function namesContain(names: readonly string[], word: string): boolean {
  return names.some((name) => name.split(' ').includes(word));
}

/** The words nearest to the gap, in text order. */
function windowOf(before: readonly string[], after: readonly string[]): string[] {
  const half = MAXIMUM_QUERY_WORDS / 2;
  const right = Math.min(after.length, Math.max(half, MAXIMUM_QUERY_WORDS - before.length));
  const left = Math.min(before.length, MAXIMUM_QUERY_WORDS - right);
  return [...before.slice(before.length - left), ...after.slice(0, right)];
}

function distinctQueries(candidates: readonly (readonly string[])[]): string[] {
  const queries = candidates.map((words) =>
    words.join(' ').split(' ').slice(0, MAXIMUM_QUERY_WORDS).join(' '),
  );
  return [...new Set(queries.filter((query) => query !== ''))].slice(0, MAXIMUM_QUERIES);
}
