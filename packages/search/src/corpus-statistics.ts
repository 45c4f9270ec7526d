// What BM25 needs to know of a whole corpus, for an index that holds a part of it.
import { InputError } from '@masksearch/core';
import type { IndexHeader } from './index-format.ts';

/** Sums over all parts of a corpus. */
export interface CorpusStatistics {
  readonly passages: number;
  /** Of all passages, in terms. */
  readonly totalLength: number;
  /** Passages that hold each term of the query, by analysed term. */
  readonly documentFrequencies: ReadonlyMap<string, number>;
}

/** @throws {InputError} a corpus with these statistics could not hold the index. */
export function checkStatistics(
  { passages, totalLength }: CorpusStatistics,
  part: Pick<IndexHeader, 'passages' | 'totalLength'>,
): void {
  const hold = Number.isSafeInteger(passages) && Number.isSafeInteger(totalLength);
  if (hold && passages >= part.passages && totalLength >= part.totalLength) return;
  throw new InputError(
    `searchAsPart: expected a corpus of at least ${part.passages} passages and ${part.totalLength} terms, received ${passages} and ${totalLength}.`,
  );
}

/** @throws {InputError} the statistics lack the term or say less than one part alone holds. */
export function frequencyIn(
  { documentFrequencies, passages }: CorpusStatistics,
  term: string,
  { atLeast }: { readonly atLeast: number },
): number {
  const frequency = documentFrequencies.get(term) ?? 0;
  if (frequency >= atLeast && frequency <= passages) return frequency;
  throw new InputError(
    `searchAsPart: expected the document frequency of ${JSON.stringify(term)} to be in ${atLeast}..${passages}, received ${frequency}.`,
  );
}
