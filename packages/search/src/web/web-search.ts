// A web search service as a search tool: paced, retried, its results in one form with their source and terms.
import {
  ConfigError,
  InputError,
  RateLimiter,
  type SearchResult,
  type Secret,
  secretFromEnvironment,
  withDeadline,
} from '@masksearch/core';
import { requestJson, type RequestPolicy } from '../http/request-json.ts';
import { checkSearchRequest } from '../search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { plainText } from '../pages/html-text.ts';
import { WEB_PROVIDERS, type WebProviderName } from './providers.ts';
import type { WebProvider, WebResult } from './web-provider.ts';

export interface WebSearchOptions {
  /** Address of the service in place of its own; needed where everyone runs their own. */
  readonly base?: string;
  /** Default 1. */
  readonly callsPerSecond?: number;
  readonly policy?: Partial<RequestPolicy>;
}

/**
 * Opens a service; its keys come from the environment.
 * @throws {ConfigError} a key is not set, or there is no address.
 */
export function openWebSearch(name: WebProviderName, options: WebSearchOptions = {}): WebSearch {
  const provider = WEB_PROVIDERS[name];
  return new WebSearch(
    provider,
    provider.keyVariables.map((name) => secretFromEnvironment(name)),
    options,
  );
}

/**
 * Results are those of the live web: they change, so record them (`RecordSearch`) where a run must be repeatable. The id
 * of a result is its address; scores are the service's own or fall with the rank.
 */
export class WebSearch implements SearchTool {
  readonly provider: string;
  readonly #provider: WebProvider;
  readonly #keys: readonly Secret[];
  readonly #base: URL;
  readonly #limiter: RateLimiter;
  readonly #policy: Partial<RequestPolicy>;

  constructor(provider: WebProvider, keys: readonly Secret[], options: WebSearchOptions = {}) {
    const address = options.base ?? provider.base;
    const base = address === null ? null : URL.parse(address.replace(/\/*$/, '/'));
    if (base === null || !/^https?:$/.test(base.protocol)) {
      throw new ConfigError(
        `WebSearch: expected the address of a ${provider.name} server, received ${JSON.stringify(address)}.`,
      );
    }
    this.provider = provider.name;
    this.#provider = provider;
    this.#keys = keys;
    this.#base = base;
    const { callsPerSecond = 1 } = options;
    this.#limiter = new RateLimiter({ requestsPerMinute: 60 * callsPerSecond, isEven: true });
    this.#policy = options.policy ?? {};
  }

  /** @throws as `requestJson`; no error holds a key. */
  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    const { query, topK, exclude } = request;
    if (query.trim() === '') return [];
    const { name, maxResults } = this.#provider;
    return withDeadline(`WebSearch(${name})`, options, async (signal) => {
      (await this.#limiter.acquire(0, signal)).release(); // spaced out, not limited in number
      const count = Math.min(topK + (exclude?.size ?? 0), maxResults);
      const ask = { query, count, base: this.#base, keys: this.#keys };
      const answer = await requestJson({
        ...this.#provider.request(ask),
        where: `WebSearch(${name})`,
        secrets: this.#keys,
        policy: this.#policy,
        signal,
      });
      return this.#normalise(this.#read(answer))
        .filter(({ id }) => !exclude?.has(id))
        .slice(0, topK);
    });
  }

  #read(answer: unknown): WebResult[] {
    try {
      return this.#provider.read(answer);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const { name } = this.#provider;
      throw new InputError(
        `WebSearch(${name}): expected the documented format of ${name}; ${error.message}`,
      );
    }
  }

  /** Each address once, the first counts. */
  #normalise(results: readonly WebResult[]): SearchResult[] {
    const { name, licence } = this.#provider;
    const found = new Map<string, SearchResult>();
    for (const { title, url: address, text, score } of results) {
      const url = URL.parse(address);
      if (url === null || !/^https?:$/.test(url.protocol)) continue;
      url.hash = '';
      const id = url.href;
      if (found.has(id)) continue;
      found.set(id, {
        id,
        documentId: id,
        title: plainText(title),
        text: plainText(text),
        score: score ?? 1 / (found.size + 1),
        url: id,
        provider: name,
        licence,
      });
    }
    return [...found.values()];
  }
}
