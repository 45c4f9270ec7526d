// Cuts a document into passages of whole sentences.
import {
  type Document,
  InputError,
  type Passage,
  RECORD_VERSION,
  splitSentences,
} from '@masksearch/core';

export interface SplitOptions {
  /** Most words (runs without white space) of a passage, default 60. */
  readonly maxWords?: number;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

const DEFAULT_MAX_WORDS = 60;
/**
 * The passages of a document in order. Each is `document.text` from its `start` on, holds whole sentences, and at most
 * `maxWords` words; a longer sentence is cut between words. Between passages there is nothing but white space. A
 * paragraph's end also ends a passage that is at least half full. Ids are `<document id>#<index>`.
 *
 * @throws {InputError} maxWords is not a positive integer.
 */
export function splitPassages(document: Document, options: SplitOptions = {}): Passage[] {
  const maxWords = options.maxWords ?? DEFAULT_MAX_WORDS;
  if (!Number.isSafeInteger(maxWords) || maxWords < 1) {
    throw new InputError(
      `splitPassages: expected maxWords to be a positive integer, received ${maxWords}.`,
    );
  }
  const pieces = splitSentences(document.text).flatMap((sentence) =>
    cutAtWords(document.text, sentence, maxWords),
  );
  return packRanges(document.text, pieces, maxWords).map(({ start, end }, index) => ({
    version: RECORD_VERSION,
    id: `${document.id}#${index}`,
    documentId: document.id,
    title: document.title,
    text: document.text.slice(start, end),
    start,
  }));
}

function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** The range itself, or parts of `maxWords` words. */
function cutAtWords(text: string, { start, end }: Range, maxWords: number): Range[] {
  const words = [...text.slice(start, end).matchAll(/\S+/g)];
  const parts: Range[] = [];
  for (let w = 0; w < words.length; w += maxWords) {
    const first = words[w] as RegExpExecArray;
    const last = words[Math.min(w + maxWords, words.length) - 1] as RegExpExecArray;
    parts.push({ start: start + first.index, end: start + last.index + last[0].length });
  }
  return parts;
}

function packRanges(text: string, pieces: readonly Range[], maxWords: number): Range[] {
  const packed: Range[] = [];
  let current: Range | undefined;
  let words = 0;
  for (const piece of pieces) {
    const more = countWords(text.slice(piece.start, piece.end));
    const newParagraph = current && /\n\s*\n/.test(text.slice(current.end, piece.start));
    if (!current || words + more > maxWords || (newParagraph && words * 2 >= maxWords)) {
      if (current) packed.push(current);
      current = piece;
      words = more;
    } else {
      current = { start: current.start, end: piece.end };
      words += more;
    }
  }
  return current ? [...packed, current] : packed;
}
