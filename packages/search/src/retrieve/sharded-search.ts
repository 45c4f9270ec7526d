// One corpus on several servers: asks all, merges with the scores and the order of a single index.
import { createHash } from 'node:crypto';
import { InputError, type SearchResult, withDeadline } from '@masksearch/core';
import { ANALYSIS_NAME, analyzeEnglish } from '../english-analysis.ts';
import type { CorpusStatistics } from '../corpus-statistics.ts';
import { checkSearchRequest } from '../search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { RetrieveClient, type RetrieveOptions } from './retrieve-client.ts';
import type { IndexInfo } from './wire.ts';

/** Terms whose frequencies are remembered. */
const REMEMBERED_TERMS = 200_000;

type Bm25Info = NonNullable<IndexInfo['bm25']>;

/**
 * Connects to one server, or to several that hold the parts of one corpus, in its order.
 *
 * @throws {InputError} a URL is none; or of several servers one cannot be a shard, or they differ in analysis or
 *   parameters.
 * @throws {UnavailableError} a server cannot be reached.
 */
export async function connectRetrieve(
  urls: readonly string[],
  options: RetrieveOptions = {},
): Promise<SearchTool> {
  const clients = urls.map((url) => new RetrieveClient(url, options));
  const infos = await Promise.all(clients.map((client) => client.info()));
  const [url = ''] = urls;
  if (urls.length === 1) {
    const fingerprint = infos[0]?.fingerprint ?? undefined;
    return new RetrieveClient(url, {
      ...options,
      ...(fingerprint === undefined ? {} : { fingerprint }),
    });
  }
  return new ShardedSearch(
    clients,
    infos.map((info, i) => checkShard(info, urls[i] ?? '')),
  );
}

interface ShardInfo {
  readonly fingerprint: string | null;
  readonly bm25: Bm25Info;
}

function checkShard(info: IndexInfo | undefined, url: string): ShardInfo {
  const bm25 = info?.bm25 ?? null;
  if (info === undefined || bm25 === null) {
    throw new InputError(
      `connectRetrieve: expected ${url} to tell its BM25 statistics, it does not; several servers must be \`masksearch retrieve-server\`.`,
    );
  }
  return { fingerprint: info.fingerprint, bm25 };
}

/**
 * BM25 over shards, exact: the servers score with the frequencies and lengths of the whole corpus. Equal scores are
 * ordered by shard, then by position in it, which is the order of the corpus that was cut into them.
 */
export class ShardedSearch implements SearchTool {
  readonly provider = 'retrieve';
  readonly fingerprint?: string;
  readonly #shards: readonly RetrieveClient[];
  readonly #passages: number;
  readonly #totalLength: number;
  /** Of the whole corpus, by term; least recently added first. */
  readonly #frequencies = new Map<string, number>();

  /** @throws {InputError} the shards differ in analysis or parameters, or there is none. */
  constructor(shards: readonly RetrieveClient[], infos: readonly ShardInfo[]) {
    checkAlike(infos.map(({ bm25 }) => bm25));
    this.#shards = shards;
    this.#passages = infos.reduce((sum, { bm25 }) => sum + bm25.passages, 0);
    this.#totalLength = infos.reduce((sum, { bm25 }) => sum + bm25.totalLength, 0);
    const prints = infos.map(({ fingerprint }) => fingerprint);
    if (!prints.includes(null)) {
      this.fingerprint = createHash('sha256').update(prints.join('\n')).digest('hex');
    }
  }

  /** @throws as `RetrieveClient.search`, if any shard fails: a part of the corpus is no answer. */
  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    return withDeadline('ShardedSearch.search', options, async (signal) => {
      const statistics = await this.#statisticsOf(request.query, signal);
      const parts = await this.#askAll(signal, (shard, either) =>
        shard.searchAsPart(request, statistics, { signal: either }),
      );
      return merge(parts, request.topK);
    });
  }

  async #statisticsOf(query: string, signal: AbortSignal): Promise<CorpusStatistics> {
    const terms = [...new Set(analyzeEnglish(query))];
    const unknown = terms.filter((term) => !this.#frequencies.has(term));
    const found = new Map<string, number>();
    if (unknown.length > 0) {
      const parts = await this.#askAll(signal, (shard, either) =>
        shard.documentFrequencies(unknown, { signal: either }),
      );
      for (const [i, term] of unknown.entries()) {
        found.set(
          term,
          parts.reduce((sum, counts) => sum + (counts[i] ?? 0), 0),
        );
      }
    }
    const known = terms.map((term): [string, number] => [
      term,
      found.get(term) ?? this.#frequencies.get(term) ?? 0,
    ]);
    for (const [term, frequency] of found) this.#remember(term, frequency);
    return {
      passages: this.#passages,
      totalLength: this.#totalLength,
      documentFrequencies: new Map(known.filter(([, frequency]) => frequency > 0)),
    };
  }

  #remember(term: string, frequency: number): void {
    this.#frequencies.set(term, frequency);
    for (const oldest of this.#frequencies.keys()) {
      if (this.#frequencies.size <= REMEMBERED_TERMS) return;
      this.#frequencies.delete(oldest);
    }
  }

  /** All shards at once; when one fails the others are told to stop. */
  async #askAll<T>(
    signal: AbortSignal,
    ask: (shard: RetrieveClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T[]> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    try {
      return await Promise.all(this.#shards.map((shard) => ask(shard, either)));
    } catch (error) {
      failed.abort();
      throw error;
    }
  }
}

/** Lists are sorted already; a stable sort keeps shard and position for equal scores. */
function merge(parts: readonly SearchResult[][], topK: number): SearchResult[] {
  return parts
    .flat()
    .sort((a, b) => b.score - a.score)
    .slice(0, topK);
}

function checkAlike(infos: readonly Bm25Info[]): void {
  const [first] = infos;
  if (first === undefined) throw new InputError('ShardedSearch: expected a shard, received none.');
  if (first.analysis !== ANALYSIS_NAME) {
    throw new InputError(
      `ShardedSearch: expected shards with analysis ${ANALYSIS_NAME}, received ${first.analysis}; build their indexes again.`,
    );
  }
  const parametersOf = ({ analysis, k1, b }: Bm25Info): string => `${analysis}, k1 ${k1}, b ${b}`;
  const other = infos.find((info) => parametersOf(info) !== parametersOf(first));
  if (other === undefined) return;
  throw new InputError(
    `ShardedSearch: expected shards of one kind, received ${parametersOf(first)} and ${parametersOf(other)}.`,
  );
}
