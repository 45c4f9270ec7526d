// Web results with the text of their pages in place of snippets.
import { MaskSearchError, type SearchResult } from '@masksearch/core';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { fetchPage, type PageOptions } from './fetch-page.ts';

/**
 * Fetches the page of every result of another tool. A result whose page cannot be had keeps its snippet; so do results
 * without an address.
 */
export class PageSearch implements SearchTool {
  readonly provider: string;
  readonly #tool: SearchTool;
  readonly #options: PageOptions;

  constructor(tool: SearchTool, options: PageOptions = {}) {
    this.provider = tool.provider;
    this.#tool = tool;
    this.#options = options;
  }

  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    const results = await this.#tool.search(request, options);
    return Promise.all(results.map((result) => this.#withPage(result, options.signal)));
  }

  async #withPage(result: SearchResult, signal: AbortSignal | undefined): Promise<SearchResult> {
    if (result.url === undefined) return result;
    try {
      const { title, text } = await fetchPage(result.url, { ...this.#options, signal });
      return { ...result, title: title || result.title, text: text || result.text };
    } catch (error) {
      if (MaskSearchError.isInstance(error) && error.code !== 'cancelled') return result;
      throw error;
    }
  }
}
