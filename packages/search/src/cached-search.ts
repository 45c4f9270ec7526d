// Remembers the answers of a slow search tool; callers that ask the same at the same time share one call.
import { ConfigError, type SearchResult, withDeadline } from '@masksearch/core';
import type { SearchOptions, SearchRequest, SearchTool } from './search-tool.ts';

/** A call under way, given up when nobody waits for it any more. */
interface SharedCall {
  readonly results: Promise<SearchResult[]>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * A least-recently-used cache in front of another tool. Failures are not remembered. A caller's time-out or
 * cancellation ends that caller's wait; the call itself ends when its last caller has gone.
 */
export class CachedSearch implements SearchTool {
  readonly provider: string;
  readonly fingerprint?: string;
  readonly #tool: SearchTool;
  readonly #capacity: number;
  /** Least recently used first. */
  readonly #answers = new Map<string, readonly SearchResult[]>();
  readonly #calls = new Map<string, SharedCall>();

  /**
   * @param capacity Answers kept.
   * @throws {ConfigError} capacity is not a positive integer.
   */
  constructor(tool: SearchTool, capacity: number) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new ConfigError(
        `CachedSearch: expected capacity to be a positive integer, received ${capacity}.`,
      );
    }
    this.#tool = tool;
    this.#capacity = capacity;
    this.provider = tool.provider;
    if (tool.fingerprint !== undefined) this.fingerprint = tool.fingerprint;
  }

  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    const key = keyOf(request);
    const known = this.#answers.get(key);
    if (known) {
      this.#remember(key, known);
      return [...known];
    }
    const call = this.#calls.get(key) ?? this.#start(key, request);
    call.waiting++;
    try {
      return [...(await withDeadline('CachedSearch.search', options, () => call.results))];
    } finally {
      call.waiting--;
      if (call.waiting === 0) {
        if (this.#calls.get(key) === call) this.#calls.delete(key);
        call.controller.abort();
      }
    }
  }

  #start(key: string, request: SearchRequest): SharedCall {
    const controller = new AbortController();
    const results = this.#tool.search(request, { signal: controller.signal }).then((found) => {
      this.#remember(key, found);
      return found;
    });
    results.catch(() => {}); // every caller may have gone by then; those that wait get the error
    const call = { results, controller, waiting: 0 };
    this.#calls.set(key, call);
    return call;
  }

  #remember(key: string, results: readonly SearchResult[]): void {
    this.#answers.delete(key);
    this.#answers.set(key, results);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= this.#capacity) return;
      this.#answers.delete(oldest);
    }
  }
}

function keyOf({ query, topK, exclude }: SearchRequest): string {
  return JSON.stringify([query, topK, [...(exclude ?? [])].sort()]);
}
