// The random-retrieval control: passages that have nothing to do with the query, the same ones every time.
import { type Passage, RandomStream, type SearchResult, withDeadline } from '@masksearch/core';
import { checkSearchRequest } from './search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from './search-tool.ts';

/** What random passages are drawn from; a `Bm25Index` is one. */
export interface PassageSource {
  readonly size: number;
  readonly fingerprint?: string;
  passageAt(ordinal: number): Passage;
}

/** Draws passages uniformly, keyed by seed and query, so that equal calls give equal answers. Scores are 0. */
export class RandomSearch implements SearchTool {
  readonly provider = 'random';
  readonly fingerprint?: string;
  readonly #source: PassageSource;
  readonly #seed: number;

  constructor(source: PassageSource, seed: number) {
    this.#source = source;
    this.#seed = seed;
    if (source.fingerprint !== undefined) this.fingerprint = `${source.fingerprint}:${seed}`;
  }

  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    return withDeadline('RandomSearch.search', options, async () => this.#draw(request));
  }

  #draw({ query, topK, exclude }: SearchRequest): SearchResult[] {
    const random = new RandomStream(this.#seed, 'random-search', query);
    const drawn = new Set<number>();
    const results: SearchResult[] = [];
    while (results.length < topK && drawn.size < this.#source.size) {
      const ordinal = random.below(this.#source.size);
      if (drawn.has(ordinal)) continue;
      drawn.add(ordinal);
      const { id, documentId, title, text } = this.#source.passageAt(ordinal);
      if (!exclude?.has(id)) results.push({ id, documentId, title, text, score: 0 });
    }
    return results;
  }
}
