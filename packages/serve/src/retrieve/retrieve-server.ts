// An index, or any search tool, behind Search-R1's `/retrieve`; over an index it can be a shard of a larger corpus.
import { setImmediate } from 'node:timers/promises';
import { type SearchResult, withDeadline } from '@masksearch/core';
import {
  ANALYSIS_NAME,
  Bm25Index,
  DEFAULT_TOP_K,
  type IndexInfo,
  type RetrieveRequest,
  retrieveRequestSchema,
  type SearchTool,
  termsRequestSchema,
  toWireDocument,
} from '@masksearch/search';
import { Admission } from '../http/admission.ts';
import { HttpError } from '../http/http-error.ts';
import {
  type Call,
  type ListenOptions,
  type Route,
  type RunningServer,
  startServer,
} from '../http/server.ts';

export interface RetrieveServerOptions extends ListenOptions {
  readonly tool: SearchTool;
  /** Passages per query where a request does not say; default 3, as in Search-R1. */
  readonly topK?: number;
  readonly limits?: Partial<RetrieveLimits>;
}

export interface RetrieveLimits {
  /** Requests worked on at once, and those that wait; more get 503. */
  readonly concurrency: number;
  readonly queue: number;
  readonly maxBodyBytes: number;
  /** Queries of one request. */
  readonly maxQueries: number;
  /** Passages per query. */
  readonly maxTopK: number;
  /** Milliseconds that one query may take. */
  readonly searchTimeoutMs: number;
}

const DEFAULT_LIMITS: RetrieveLimits = {
  concurrency: 16,
  queue: 512,
  maxBodyBytes: 8 * 2 ** 20,
  maxQueries: 4096,
  maxTopK: 1000,
  searchTimeoutMs: 30_000,
};

/**
 * Starts the server. Overload is told with 503 and `Retry-After`: verl's client takes every 4xx, 429 too, for final.
 * @throws as `startServer`.
 */
export function startRetrieveServer(options: RetrieveServerOptions): Promise<RunningServer> {
  const service = new RetrieveService(options);
  return startServer({
    ...options,
    maxBodyBytes: service.limits.maxBodyBytes,
    routes: service.routes(),
    errorBody: ({ message }) => ({ detail: message }),
  });
}

class RetrieveService {
  readonly limits: RetrieveLimits;
  readonly #tool: SearchTool;
  readonly #topK: number;
  readonly #admission: Admission;

  constructor({ tool, topK = DEFAULT_TOP_K, limits }: RetrieveServerOptions) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.#tool = tool;
    this.#topK = topK;
    this.#admission = new Admission(this.limits);
  }

  routes(): Route[] {
    const { provider, fingerprint } = this.#tool;
    const health = { status: 'ok', provider };
    const info: IndexInfo = {
      provider,
      fingerprint: fingerprint ?? null,
      bm25: bm25Of(this.#tool),
    };
    return [
      { method: 'POST', path: '/retrieve', handle: (call) => this.#retrieve(call) },
      { method: 'POST', path: '/statistics', handle: (call) => this.#statistics(call) },
      { method: 'GET', path: '/index', handle: async (call) => call.send(200, info) },
      {
        method: 'GET',
        path: '/health',
        isOpen: true,
        handle: async (call) => call.send(200, health),
      },
    ];
  }

  async #retrieve(call: Call): Promise<void> {
    const request = await call.json(retrieveRequestSchema);
    this.#check(request);
    await this.#admission.run(call.signal, async () => {
      const result = [];
      for (const query of request.queries) {
        const found = await this.#search(query, request, call.signal);
        result.push(request.return_scores === true ? found.map(scored) : found.map(toWireDocument));
        await setImmediate(); // others get their turn between the queries of a large batch
      }
      call.send(200, { result });
    });
  }

  #check({ queries, topk }: RetrieveRequest): void {
    const { maxQueries, maxTopK } = this.limits;
    if (queries.length > maxQueries) {
      throw new HttpError(
        400,
        `queries: expected at most ${maxQueries}, received ${queries.length}`,
      );
    }
    if ((topk ?? 0) > maxTopK) {
      throw new HttpError(400, `topk: expected at most ${maxTopK}, received ${topk}`);
    }
  }

  #search(
    query: string,
    { topk, statistics }: RetrieveRequest,
    signal: AbortSignal,
  ): Promise<SearchResult[]> {
    const request = { query, topK: topk || this.#topK };
    const options = { timeoutMs: this.limits.searchTimeoutMs, signal };
    // A tool that does not heed its signal must not hold a place here.
    return withDeadline('retrieve-server', options, async (either) => {
      const inner = { ...options, signal: either };
      if (statistics === undefined || statistics === null) return this.#tool.search(request, inner);
      const documentFrequencies = new Map(statistics.documentFrequencies);
      const corpus = { ...statistics, documentFrequencies };
      return indexOf(this.#tool).searchAsPart(request, corpus, inner);
    });
  }

  async #statistics(call: Call): Promise<void> {
    const index = indexOf(this.#tool);
    const { terms } = await call.json(termsRequestSchema);
    call.send(200, { documentFrequencies: index.documentFrequencies(terms) });
  }
}

function scored(result: SearchResult) {
  return { document: toWireDocument(result), score: result.score };
}

/** @throws {HttpError} the tool is no BM25 index, so it cannot be a shard. */
function indexOf(tool: SearchTool): Bm25Index {
  if (tool instanceof Bm25Index) return tool;
  throw new HttpError(
    404,
    `statistics are those of a BM25 index; this server has ${tool.provider}`,
  );
}

function bm25Of(tool: SearchTool): IndexInfo['bm25'] {
  if (!(tool instanceof Bm25Index)) return null;
  const { k1, b, passages, totalLength } = tool.header;
  return { analysis: ANALYSIS_NAME, k1, b, passages, totalLength };
}
