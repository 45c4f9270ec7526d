// Answers from a cassette alone: no retriever, the same results.
import {
  InputError,
  IntegrityError,
  type SearchResult,
  TimeoutError,
  UnavailableError,
  withDeadline,
} from '@masksearch/core';
import { checkSearchRequest } from '../search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { CassetteFile } from './cassette-file.ts';
import type { CassetteRow } from './cassette-row.ts';

/**
 * Replays what `RecordSearch` wrote, failures included. A request that was never recorded is an `IntegrityError`,
 * which ends a run rather than an episode.
 */
export class ReplaySearch implements SearchTool {
  /** That of the recorded tool, so that records made with it are the same. */
  readonly provider: string;
  readonly fingerprint?: string;
  readonly #file: CassetteFile;

  /**
   * @throws {InputError} there is no cassette at `path`, or it holds no call.
   * @throws {IntegrityError} it holds calls of several tools.
   */
  constructor(path: string) {
    this.#file = new CassetteFile(path, 'read');
    const { origin } = this.#file;
    if (origin === undefined) {
      this.#file.close();
      throw new InputError(`${path}: expected recorded calls, found none.`);
    }
    this.provider = origin.provider;
    if (origin.index !== null) this.fingerprint = origin.index;
  }

  /** Recorded requests. */
  get size(): number {
    return this.#file.size;
  }

  /** @throws {IntegrityError} the request was not recorded. Also what the recorded call threw. */
  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    return withDeadline('ReplaySearch.search', options, async () => {
      const row = this.#file.find(request);
      if (row === undefined) throw this.#unknown(request);
      if (row.error !== undefined) throw recordedError(row.error);
      return row.results;
    });
  }

  close(): void {
    this.#file.close();
  }

  #unknown({ query, topK, exclude }: SearchRequest): IntegrityError {
    const asked = JSON.stringify(query.length > 80 ? `${query.slice(0, 80)}…` : query);
    return new IntegrityError(
      `${this.#file.path}: expected a recorded answer to ${asked} (topK ${topK}, ${exclude?.size ?? 0} excluded), found none among ${this.size} calls (${this.#file.damagedLines} damaged lines); record it with the same configuration and seed.`,
      { data: { file: this.#file.path, query } },
    );
  }
}

function recordedError({ code, message }: NonNullable<CassetteRow['error']>): Error {
  switch (code) {
    case 'timeout':
      return new TimeoutError(message);
    case 'input':
      return new InputError(message);
    case 'unavailable':
      return new UnavailableError(message);
    default:
      return code satisfies never;
  }
}
