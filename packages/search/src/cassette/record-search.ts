// Records every call of a search tool, so that what ran on it can run again without it.
import { IntegrityError, MaskSearchError, type SearchResult, withDeadline } from '@masksearch/core';
import { checkSearchRequest } from '../search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { CassetteFile } from './cassette-file.ts';
import { type CassetteRow, excludeOf } from './cassette-row.ts';

/**
 * Passes calls on and appends each to a cassette. What the cassette already answers is answered from it, so a web
 * search that is recorded twice costs once, and everybody gets what a replay will give. Failures and time-outs are
 * recorded too, but asked again the next time; cancelled calls are not recorded.
 */
export class RecordSearch implements SearchTool {
  readonly provider: string;
  readonly fingerprint?: string;
  readonly #tool: SearchTool;
  readonly #file: CassetteFile;

  /**
   * @param path The cassette; created where there is none, continued where there is one.
   * @throws {IntegrityError} it was recorded from another tool or another index.
   */
  constructor(tool: SearchTool, path: string) {
    this.provider = tool.provider;
    if (tool.fingerprint !== undefined) this.fingerprint = tool.fingerprint;
    this.#tool = tool;
    this.#file = new CassetteFile(path, 'append');
    const { origin } = this.#file;
    const index = tool.fingerprint ?? null;
    if (origin !== undefined && (origin.provider !== tool.provider || origin.index !== index)) {
      this.#file.close();
      throw new IntegrityError(
        `${path}: expected a cassette of ${tool.provider} (${index ?? 'no index'}), received one of ${origin.provider} (${origin.index ?? 'no index'}); record into a new file.`,
      );
    }
  }

  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    const known = this.#file.find(request);
    if (known !== undefined && known.error === undefined) return known.results;
    const outcome = await this.#ask(request, options);
    this.#file.append(this.#rowOf(request, outcome));
    if ('thrown' in outcome) throw outcome.thrown;
    // Another call may have written its answer to the same request first; that one counts from now on.
    return this.#file.find(request)?.results ?? outcome.results;
  }

  close(): void {
    this.#file.close();
  }

  async #ask(request: SearchRequest, options: SearchOptions): Promise<Outcome> {
    try {
      const results = await withDeadline('RecordSearch.search', options, (signal) =>
        this.#tool.search(request, { ...options, signal }),
      );
      return { results };
    } catch (thrown) {
      const code = recordedCode(thrown);
      if (code === undefined) throw thrown;
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      return { results: [], error: { code, message }, thrown };
    }
  }

  #rowOf(request: SearchRequest, { results, error }: Outcome): CassetteRow {
    const { query, topK } = request;
    return {
      version: 1,
      provider: this.provider,
      index: this.fingerprint ?? null,
      query,
      topK,
      exclude: excludeOf(request),
      results: [...results],
      ...(error === undefined ? {} : { error }),
    };
  }
}

type Outcome = Pick<CassetteRow, 'results' | 'error'> & { readonly thrown?: unknown };

/** Under which code a failure is recorded; undefined for those that say nothing about the tool's answer. */
function recordedCode(error: unknown): 'timeout' | 'unavailable' | 'input' | undefined {
  if (!MaskSearchError.isInstance(error)) return 'unavailable';
  const { code } = error;
  if (code === 'cancelled' || code === 'integrity') return undefined;
  return code === 'timeout' || code === 'input' ? code : 'unavailable';
}
