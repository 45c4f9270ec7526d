// A language model that plays a search engine, as in ZeroSearch: useful results at first, more and more noise later.
import { createHash } from 'node:crypto';
import { ConfigError, RandomStream, type SearchResult, withDeadline } from '@masksearch/core';
import { z } from 'zod';
import { checkSearchRequest } from './search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from './search-tool.ts';

/** Any chat function: what is asked, what was answered. */
export type AskModel = (
  prompt: { readonly system: string; readonly user: string },
  options: { readonly signal: AbortSignal },
) => Promise<string>;

export interface SimulatedSearchOptions {
  readonly ask: AskModel;
  /** Recorded as `simulated:<name>`. */
  readonly name: string;
  /** Decides with each query whether its results are noise. */
  readonly seed: number;
  /** Probability of noise now; see `noiseSchedule`. */
  readonly noise: () => number;
}

export interface NoiseSchedule {
  /** Probability of noise at the start and at the end, in 0..1. */
  readonly start: number;
  readonly end: number;
  /** How late the noise comes: 1 is linear. */
  readonly base: number;
}

/** ZeroSearch (arXiv:2505.04588) Eq. 4 with base 4. */
export const DEFAULT_NOISE: NoiseSchedule = { start: 0, end: 0.5, base: 4 };

/**
 * Probability of noise after a share of the training: start + (bᵗ − 1) / (b − 1) · (end − start).
 * @throws {ConfigError} a probability is outside 0..1 or the base not positive.
 */
export function noiseSchedule(schedule: NoiseSchedule): (progress: number) => number {
  const { start, end, base } = schedule;
  if (![start, end].every((value) => value >= 0 && value <= 1) || !(base > 0)) {
    throw new ConfigError(
      `noiseSchedule: expected start and end in 0..1 and base > 0, received ${JSON.stringify(schedule)}.`,
    );
  }
  return (progress) => {
    const t = Math.min(1, Math.max(0, progress));
    const share = base === 1 ? t : (base ** t - 1) / (base - 1);
    return start + share * (end - start);
  };
}

const SYSTEM =
  'You are a search engine. Answer with a JSON list of documents, each {"title": …, "text": …} with one paragraph of text, and nothing else.';
const documentsSchema = z.array(z.object({ title: z.string(), text: z.string() }));

/** Characters kept of a document. */
const TEXT_CHARACTERS = 2000;

/**
 * Equal queries are noise or not together, for one probability; the texts are the model's. Answers that are no JSON are
 * read as paragraphs.
 */
export class SimulatedSearch implements SearchTool {
  readonly provider: string;
  readonly #options: SimulatedSearchOptions;

  constructor(options: SimulatedSearchOptions) {
    this.provider = `simulated:${options.name}`;
    this.#options = options;
  }

  /** @throws what the chat function throws; {TimeoutError | CancelledError} */
  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    const { query, topK, exclude } = request;
    if (query.trim() === '') return [];
    const { ask, seed, noise } = this.#options;
    const isNoise = new RandomStream(seed, 'simulated-search', query).uniform() < noise();
    const kind = isNoise
      ? 'that look relevant but do not help: they lack the answer or are about something else'
      : 'that are useful: they hold the facts that the query asks for';
    const count = topK + (exclude?.size ?? 0);
    const user = `Query: ${query}\nGive ${count} documents ${kind}.`;
    const text = await withDeadline(`SimulatedSearch(${this.provider})`, options, (signal) =>
      ask({ system: SYSTEM, user }, { signal }),
    );
    return readDocuments(text)
      .map((document, rank) => this.#result(document, rank))
      .filter(({ id }) => !exclude?.has(id))
      .slice(0, topK);
  }

  #result({ title, text }: { title: string; text: string }, rank: number): SearchResult {
    const hash = createHash('sha256')
      .update(JSON.stringify([title, text]))
      .digest('hex');
    const id = `simulated:${hash.slice(0, 16)}`;
    const shown = text.slice(0, TEXT_CHARACTERS).toWellFormed();
    const { provider } = this;
    return { id, documentId: id, title, text: shown, score: 1 / (rank + 1), provider };
  }
}

function readDocuments(answer: string): { title: string; text: string }[] {
  const list = answer.slice(answer.indexOf('['), answer.lastIndexOf(']') + 1);
  try {
    const parsed = documentsSchema.safeParse(JSON.parse(list));
    if (parsed.success) return parsed.data;
  } catch {
    // Read as paragraphs.
  }
  return answer
    .split(/\n\s*\n/)
    .map((text) => ({ title: '', text: text.trim() }))
    .filter(({ text }) => text !== '');
}
