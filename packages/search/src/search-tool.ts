// The port that agents search through; what stands behind it is not their concern.
import type { SearchResult } from '@masksearch/core';

export interface SearchRequest {
  readonly query: string;
  readonly topK: number;
  /** Passage ids that must not be returned; the next best take their place. */
  readonly exclude?: ReadonlySet<string>;
}

export interface SearchOptions {
  /** Milliseconds after which the call fails with a TimeoutError. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Something that can be searched. */
export interface SearchTool {
  /** Recorded in trajectories, e.g. `bm25`. */
  readonly provider: string;
  /** Identifies what is searched: tools of one provider and fingerprint give equal answers. Absent where unknown. */
  readonly fingerprint?: string;
  /**
   * The best passages, best first; equal scores are ordered by position in the corpus, so equal calls give equal
   * answers. An empty or stop-word-only query returns an empty list.
   *
   * @throws {TimeoutError} after `timeoutMs`.
   * @throws {CancelledError} when `signal` fires.
   */
  search(request: SearchRequest, options?: SearchOptions): Promise<SearchResult[]>;
}
