// A search tool behind HTTP: any server that speaks Search-R1's `/retrieve`.
import {
  InputError,
  parseRecord,
  type SearchResult,
  type Secret,
  UnavailableError,
} from '@masksearch/core';
import type { CorpusStatistics } from '../corpus-statistics.ts';
import { requestJson, type JsonRequest, type RequestPolicy } from '../http/request-json.ts';
import { checkSearchRequest } from '../search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { type IndexInfo, indexInfoSchema, readResponse, termsResponseSchema } from './wire.ts';

export interface RetrieveOptions {
  readonly policy?: Partial<RequestPolicy>;
  /** Sent as a bearer token. */
  readonly key?: Secret | undefined;
}

/**
 * Asks one server. Excluded passages are left out here, so any server will do: it is asked for as many more.
 * Scores that a server does not send are 0.
 */
export class RetrieveClient implements SearchTool {
  readonly provider = 'retrieve';
  readonly fingerprint?: string;
  readonly url: URL;
  readonly #options: RetrieveOptions;

  /**
   * @param url Of the server, e.g. `http://127.0.0.1:8000`, or of its `/retrieve`.
   * @throws {InputError} it is no http(s) URL.
   */
  constructor(url: string, options: RetrieveOptions & { readonly fingerprint?: string } = {}) {
    this.url = serverUrl(url);
    this.#options = options;
    if (options.fingerprint !== undefined) this.fingerprint = options.fingerprint;
  }

  /** @throws {UnavailableError | InputError | TimeoutError | CancelledError} as `requestJson`. */
  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    return this.#retrieve(request, options, {});
  }

  /** As `search`, scored with the statistics of the whole corpus; only our own servers can. */
  async searchAsPart(
    request: SearchRequest,
    statistics: CorpusStatistics,
    options: SearchOptions = {},
  ): Promise<SearchResult[]> {
    const { passages, totalLength, documentFrequencies } = statistics;
    return this.#retrieve(request, options, {
      statistics: {
        passages,
        totalLength,
        documentFrequencies: [...documentFrequencies],
      },
    });
  }

  /** What the server searches, or undefined if it does not say: Search-R1's own servers do not. */
  async info(options: SearchOptions = {}): Promise<IndexInfo | undefined> {
    try {
      const value = await this.#request('index', options, undefined);
      return parseRecord(indexInfoSchema, value, `${this.url.origin}/index`);
    } catch (error) {
      const isRefusal =
        error instanceof UnavailableError && typeof error.data['status'] === 'number';
      if (isRefusal) return undefined;
      throw error;
    }
  }

  /** How many passages of the server hold each term. */
  async documentFrequencies(
    terms: readonly string[],
    options: SearchOptions = {},
  ): Promise<number[]> {
    const value = await this.#request('statistics', options, { terms });
    const where = `${this.url.origin}/statistics`;
    const { documentFrequencies } = parseRecord(termsResponseSchema, value, where);
    if (documentFrequencies.length === terms.length) return documentFrequencies;
    throw new InputError(
      `${where}: expected ${terms.length} frequencies, received ${documentFrequencies.length}.`,
    );
  }

  async #retrieve(
    request: SearchRequest,
    options: SearchOptions,
    more: Readonly<Record<string, unknown>>,
  ): Promise<SearchResult[]> {
    checkSearchRequest(request);
    const { query, topK, exclude } = request;
    const body = {
      queries: [query],
      topk: topK + (exclude?.size ?? 0),
      return_scores: true, // Search-R1's server fails on false
      ...more,
    };
    const value = await this.#request('retrieve', options, body);
    const where = `${this.url.origin}/retrieve`;
    const [results = []] = readResponse(value, { where, queries: 1 });
    return results.filter(({ id }) => !exclude?.has(id)).slice(0, topK);
  }

  #request(path: string, options: SearchOptions, body: unknown): Promise<unknown> {
    const { key, policy } = this.#options;
    const request: JsonRequest = {
      where: `RetrieveClient(${this.url.origin})`,
      url: new URL(path, this.url),
      body,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      ...(policy === undefined ? {} : { policy }),
      ...(key === undefined
        ? {}
        : { secrets: [key], headers: { authorization: `Bearer ${key.reveal()}` } }),
    };
    return requestJson(request);
  }
}

/** The folder that `/retrieve` lies in. */
function serverUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InputError(
      `RetrieveClient: expected a URL such as http://127.0.0.1:8000, received ${JSON.stringify(text)}.`,
    );
  }
  url.pathname = `${url.pathname.replace(/\/(retrieve\/?)?$/, '')}/`;
  url.search = '';
  url.hash = '';
  return url;
}
