// The check that every search tool makes of what it is asked.
import { InputError } from '@masksearch/core';
import type { SearchRequest } from './search-tool.ts';

/** @throws {InputError} the query is not text or topK not a positive integer. */
export function checkSearchRequest({ query, topK }: SearchRequest): void {
  if (typeof query !== 'string') {
    throw new InputError(`search: expected query to be a string, received ${typeof query}.`);
  }
  if (!Number.isSafeInteger(topK) || topK < 1) {
    throw new InputError(`search: expected topK to be a positive integer, received ${topK}.`);
  }
}
