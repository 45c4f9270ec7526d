// An index on an OpenSearch (or Elasticsearch) server as a search tool.
import { ConfigError, parseRecord, type SearchResult, Secret } from '@masksearch/core';
import { z } from 'zod';
import { requestJson, type RequestPolicy } from '../http/request-json.ts';
import { checkSearchRequest } from '../search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';

export interface OpenSearchOptions {
  /** Of the index, e.g. `http://127.0.0.1:9200/wiki`. */
  readonly url: string;
  /** `user:password`. */
  readonly credentials?: Secret | undefined;
  readonly policy?: Partial<RequestPolicy>;
}

const hitSchema = z.looseObject({
  _id: z.string(),
  _score: z.number().nullish(),
  _source: z.looseObject({
    title: z.string().nullish(),
    text: z.string().nullish(),
    contents: z.string().nullish(),
    documentId: z.string().nullish(),
  }),
});
const answerSchema = z.looseObject({
  timed_out: z.boolean().nullish(),
  _shards: z.looseObject({ failed: z.number().nullish() }).nullish(),
  hits: z.looseObject({ hits: z.array(hitSchema) }),
});

/** Fields that are searched, and read: `title` and `text`, or FlashRAG's `contents`. */
const FIELDS = ['title', 'text', 'contents'];

/**
 * Scores are the server's; for those of our own index give it `similarity.default: {type: BM25, k1: 0.9, b: 0.4}`. Equal
 * scores are ordered by id. Answers of some shards only are an error.
 */
export class OpenSearchTool implements SearchTool {
  readonly provider = 'opensearch';
  readonly #url: URL;
  readonly #secrets: readonly Secret[];
  readonly #headers: Readonly<Record<string, string>>;
  readonly #policy: Partial<RequestPolicy>;

  /** @throws {ConfigError} the address is not that of an index. */
  constructor({ url: address, credentials, policy = {} }: OpenSearchOptions) {
    const url = URL.parse(`${address.replace(/\/+$/, '')}/_search`);
    if (url === null || !/^https?:$/.test(url.protocol) || url.pathname === '/_search') {
      throw new ConfigError(
        `OpenSearchTool: expected the address of an index, such as http://127.0.0.1:9200/wiki, received ${JSON.stringify(address)}.`,
      );
    }
    const encoded = new Secret(Buffer.from(credentials?.reveal() ?? ' ').toString('base64'));
    this.#url = url;
    this.#policy = policy;
    this.#secrets = credentials === undefined ? [] : [credentials, encoded];
    this.#headers = credentials === undefined ? {} : { authorization: `Basic ${encoded.reveal()}` };
  }

  /** @throws as `requestJson`. */
  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    const { query, topK, exclude } = request;
    const must = { multi_match: { query, fields: FIELDS, type: 'cross_fields' } };
    const must_not = exclude?.size ? [{ ids: { values: [...exclude].sort() } }] : [];
    const answer = await requestJson({
      where: 'OpenSearchTool',
      url: this.#url,
      headers: this.#headers,
      secrets: this.#secrets,
      policy: this.#policy,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      body: {
        size: topK,
        query: { bool: { must, must_not } },
        allow_partial_search_results: false,
      },
    });
    return parseRecord(answerSchema, answer, 'OpenSearchTool')
      .hits.hits.map(({ _id, _score, _source }) => ({
        id: _id,
        documentId: _source.documentId ?? _id,
        title: _source.title ?? '',
        text: _source.text ?? _source.contents ?? '',
        score: _score ?? 0,
      }))
      .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
  }
}
