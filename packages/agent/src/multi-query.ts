// Several queries in one search turn: written side by side, searched in parallel, their results interleaved.
import type { SearchResult } from '@masksearch/core';
import type { SearchOptions, SearchRequest, SearchTool } from '@masksearch/search';

const SEPARATOR = ' ; ';
/** Queries of one turn that are searched; what a policy writes beyond them costs nothing. */
const MAXIMUM_QUERIES = 8;

/** The text of a search turn with several queries. A separator within a query becomes a comma. */
export function joinQueries(queries: readonly string[]): string {
  return queries.map((query) => query.replace(/\s+;\s+/g, ', ').trim()).join(SEPARATOR);
}

/** The distinct queries of a search turn, at most eight. */
export function splitQueries(text: string): string[] {
  const queries = text
    .split(/\s+;\s+/)
    .map((query) => query.trim())
    .filter((query) => query !== '');
  return [...new Set(queries)].slice(0, MAXIMUM_QUERIES);
}

/**
 * The best `topK` results of all queries together: the first of each, then the second of each, …, each passage once. One
 * query gives what the tool gives.
 * @throws what the tool throws for any of the queries.
 */
export async function searchInterleaved(
  search: SearchTool,
  request: SearchRequest,
  options: SearchOptions,
): Promise<SearchResult[]> {
  const queries = splitQueries(request.query);
  if (queries.length <= 1) return search.search(request, options);
  const lists = await Promise.all(
    queries.map((query) => search.search({ ...request, query }, options)),
  );
  return interleave(lists).slice(0, request.topK);
}

function interleave(lists: readonly (readonly SearchResult[])[]): SearchResult[] {
  const seen = new Set<string>();
  const merged: SearchResult[] = [];
  const longest = Math.max(...lists.map(({ length }) => length));
  for (let rank = 0; rank < longest; rank++) {
    for (const list of lists) {
      const result = list[rank];
      if (result === undefined || seen.has(result.id)) continue;
      seen.add(result.id);
      merged.push(result);
    }
  }
  return merged;
}
