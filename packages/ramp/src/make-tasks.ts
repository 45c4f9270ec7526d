// The task maker: documents in, RAMP tasks out, and a reason for every passage that gave none.
import { createHash } from 'node:crypto';
import { CancelledError, ConfigError, RandomStream, TimeoutError } from '@masksearch/core';
import type { Document, MaskTask, Passage, Span } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import type { RampConfig } from './config.ts';
import { eligibleSpans, holdsMarker } from './eligibility.ts';
import type { Paragraph } from './eligibility.ts';
import { extractSpans } from './extract.ts';
import type { Gazetteer } from './gazetteer.ts';
import {
  hardestSpans,
  perplexityDifficulty,
  scoreAll,
  type ScoredSpan,
  type ScoreSpans,
} from './hardest-spans.ts';
import { randomSpans } from './random-spans.ts';
import { EvidenceSearch, evidenceRanks } from './retrievability.ts';
import { selectSpans } from './select.ts';
import { annotatedSpans, mergeSpans } from './spans.ts';
import { makeTask, taskId } from './task.ts';
import { words } from './words.ts';

export interface MakeTasksOptions {
  readonly documents: AsyncIterable<Document> | Iterable<Document>;
  /** The passages of a document, as the index holds them. */
  readonly passagesOf: (document: Document) => readonly Passage[] | Promise<readonly Passage[]>;
  readonly search: SearchTool;
  readonly config: RampConfig;
  readonly seed: number;
  /** Known names, beside annotations and rules. */
  readonly gazetteer?: Gazetteer;
  /** Task ids of an earlier run; they are not made again. */
  readonly done?: ReadonlySet<string>;
  /** True for a paragraph that must stay out of training; see `createDecontaminator`. */
  readonly isContaminated?: (paragraph: { title: string; text: string }) => boolean;
  /** Needed for `spans: 'model'`: the spans that a model lists, checked against the text (see `readModelSpans`), or null. */
  readonly listSpans?: (paragraph: {
    title: string;
    text: string;
  }) => Promise<readonly Span[] | null>;
  /** Needed for `spans: 'perplexity'`. */
  readonly scoreSpans?: ScoreSpans;
  readonly signal?: AbortSignal;
}

export type RejectionReason =
  | 'marker-in-text' // the source already holds `[mask]`
  | 'too-short' // fewer words than minWords
  | 'too-long' // more words than maxWords
  | 'duplicate' // an earlier passage has the same id or the same text
  | 'contaminated' // shares text or title with an evaluation
  | 'too-few-spans' // fewer than kMax + 1 eligible spans
  | 'too-few-retrievable-spans' // fewer than kMax + 1 of them can be found elsewhere
  | 'not-retrievable' // no draw for some k whose slots can all be found
  | 'no-model-spans' // the model gave no list of spans
  | 'no-random-spans' // no room for random spans of the salient ones' lengths
  | 'search-timeout'; // the search tool did not answer in time

export interface Rejection {
  readonly rejected: { readonly documentId: string; readonly passageId: string };
  readonly reason: RejectionReason;
}

export type TaskOutcome = { readonly task: MaskTask } | Rejection;

/**
 * Makes tasks passage by passage, in the order of the documents; memory does not grow with the texts. A
 * passage gives a task for each of its ks or none, so every k draws on the same paragraphs. The ks are drawn
 * first. All draws are keyed by (seed, document, passage, k): no task depends on what else is made.
 *
 * @throws {ConfigError} `listSpans` or `scoreSpans` is needed and missing.
 * @throws {InputError} an annotation's text is not at its offsets. Errors of the search tool pass through,
 *   but for time-outs, which reject the passage. @throws {CancelledError} when `signal` fires.
 */
export async function* makeTasks(options: MakeTasksOptions): AsyncGenerator<TaskOutcome> {
  checkOptions(options);
  const seen = new Set<string>();
  for await (const document of options.documents) {
    const passages = await options.passagesOf(document);
    const sourceIds = passages.map(({ id }) => id);
    for (const passage of passages) {
      if (options.signal?.aborted)
        throw new CancelledError('makeTasks: cancelled.', options.signal.reason);
      const maker = new PassageTasks(options, document, passage, sourceIds);
      const outcome = isDuplicate(seen, passage) ? 'duplicate' : await maker.make();
      if (typeof outcome === 'string') {
        yield { rejected: { documentId: document.id, passageId: passage.id }, reason: outcome };
        continue;
      }
      for (const task of outcome) yield { task };
    }
  }
}

/** @throws {ConfigError} the way of choosing spans needs a function that is not there. */
function checkOptions({ config, listSpans, scoreSpans }: MakeTasksOptions): void {
  const needed = { model: listSpans, perplexity: scoreSpans, salient: true, random: true };
  if (needed[config.spans] !== undefined) return;
  const name = config.spans === 'model' ? 'listSpans' : 'scoreSpans';
  throw new ConfigError(
    `makeTasks: expected the option ${name} with spans ${config.spans}, received none.`,
  );
}

/** Remembers a hash of each passage's id and of its text without case and spacing. */
function isDuplicate(seen: Set<string>, passage: Passage): boolean {
  const folded = passage.text.toLowerCase().replace(/\s+/gu, ' ').trim();
  const keys = [`id:${passage.id}`, `text:${folded}`].map((key) =>
    createHash('sha256').update(key).digest('base64').slice(0, 16),
  );
  const known = keys.some((key) => seen.has(key));
  for (const key of keys) seen.add(key);
  return known;
}

/** The work on one passage. */
class PassageTasks {
  readonly #options: MakeTasksOptions;
  readonly #document: Document;
  readonly #passage: Passage;
  readonly #paragraph: Paragraph;
  readonly #hidden: ReadonlySet<string>;
  readonly #evidence: EvidenceSearch;
  readonly #kMax: number;

  constructor(
    options: MakeTasksOptions,
    document: Document,
    passage: Passage,
    sourceIds: readonly string[],
  ) {
    const { config, search, signal } = options;
    this.#options = options;
    this.#document = document;
    this.#passage = passage;
    this.#paragraph = {
      text: passage.text,
      title: document.title,
      aliases: document.aliases,
    };
    this.#hidden = new Set(config.excludeDocument ? sourceIds : [passage.id]);
    this.#evidence = new EvidenceSearch({
      search,
      exclude: this.#hidden,
      topK: config.evidenceTopK,
      timeoutMs: config.searchTimeoutMs,
      signal,
    });
    this.#kMax = Math.max(...config.ks);
  }

  /** The passage's tasks that are not done yet, or why it gives none. */
  async make(): Promise<MaskTask[] | RejectionReason> {
    const ks = this.#drawKs();
    const open = ks.filter((k) => !this.#options.done?.has(taskId(this.#passage.id, k)));
    if (open.length === 0) return [];
    const unfit = this.#unfit();
    if (unfit) return unfit;
    const spans = await this.#spans();
    if (spans === null) return 'no-model-spans';
    const { eligible } = eligibleSpans(this.#paragraph, spans, this.#options.config);
    if (eligible.length <= this.#kMax) return 'too-few-spans';
    try {
      return await this.#makeAll(eligible, ks, open);
    } catch (error) {
      if (error instanceof TimeoutError) return 'search-timeout';
      throw error;
    }
  }

  #drawKs(): number[] {
    const { config, seed } = this.#options;
    const stream = new RandomStream(seed, 'ramp-ks', this.#document.id, this.#passage.id);
    const drawn = stream.sample(config.ks, config.ksPerPassage ?? config.ks.length);
    return drawn.sort((a, b) => a - b);
  }

  #unfit(): RejectionReason | undefined {
    const { config, isContaminated } = this.#options;
    const { text, title } = this.#paragraph;
    if (holdsMarker(text)) return 'marker-in-text';
    const wordCount = words(text).length;
    if (wordCount < config.minWords) return 'too-short';
    if (wordCount > config.maxWords) return 'too-long';
    return isContaminated?.({ text, title }) ? 'contaminated' : undefined;
  }

  async #spans(): Promise<readonly Span[] | null> {
    const { config, gazetteer, listSpans } = this.#options;
    if (config.spans === 'model') return (await listSpans?.(this.#paragraph)) ?? null;
    const { text } = this.#paragraph;
    const sources = [annotatedSpans(this.#document, this.#passage)];
    if (gazetteer) sources.push(gazetteer.find(text));
    const unannotated = this.#document.spans.length === 0;
    if (config.rules === 'always' || (config.rules === 'unannotated' && unannotated)) {
      sources.push(extractSpans(text));
    }
    return mergeSpans(sources);
  }

  async #makeAll(
    eligible: readonly Span[],
    ks: readonly number[],
    open: readonly number[],
  ): Promise<MaskTask[] | RejectionReason> {
    const { config } = this.#options;
    const filtersPool = config.requireRetrievable && config.spans !== 'random';
    const pool = filtersPool ? await this.#retrievable(eligible) : eligible;
    if (pool.length <= this.#kMax) return 'too-few-retrievable-spans';
    const { scoreSpans } = this.#options;
    const scored =
      config.spans === 'perplexity' && scoreSpans !== undefined
        ? await scoreAll(this.#paragraph, pool, scoreSpans)
        : null;
    const tasks: MaskTask[] = [];
    for (const k of ks) {
      const task = scored === null ? await this.#draw(pool, k) : await this.#hardest(scored, k);
      if (typeof task === 'string') return task;
      if (open.includes(k)) tasks.push(task);
    }
    return tasks;
  }

  /** The spans that search finds when each is masked alone. */
  async #retrievable(spans: readonly Span[]): Promise<Span[]> {
    const found = await Promise.all(
      spans.map((span) => evidenceRanks(this.#paragraph, [span], this.#evidence)),
    );
    return spans.filter((_, i) => found[i]?.[0] !== null);
  }

  async #draw(pool: readonly Span[], k: number): Promise<MaskTask | RejectionReason> {
    const { config, seed } = this.#options;
    const stream = new RandomStream(seed, 'ramp', this.#document.id, this.#passage.id, k);
    let reason: RejectionReason = 'not-retrievable';
    for (let draw = 0; draw < config.draws; draw++) {
      const salient = selectSpans(pool, k, stream);
      const slots =
        config.spans !== 'random'
          ? salient
          : randomSpans(this.#paragraph, salient, {
              stream,
              allowLeadingMask: config.allowLeadingMask,
            });
      if (!slots) {
        reason = 'no-random-spans';
        continue;
      }
      const ranks = await evidenceRanks(this.#paragraph, slots, this.#evidence);
      if (config.requireRetrievable && ranks.includes(null)) {
        reason = 'not-retrievable';
        continue;
      }
      return this.#task(slots, ranks);
    }
    return reason;
  }

  async #hardest(scored: readonly ScoredSpan[], k: number): Promise<MaskTask | RejectionReason> {
    const found = await hardestSpans(
      scored,
      k,
      (slots) => evidenceRanks(this.#paragraph, slots, this.#evidence),
      this.#options.config.requireRetrievable,
    );
    if (found === undefined) return 'not-retrievable';
    const { chosen, ranks } = found;
    const slots = chosen.map(({ span }) => span);
    return this.#task(slots, ranks, perplexityDifficulty(chosen));
  }

  #task(slots: readonly Span[], ranks: readonly (number | null)[], difficulty?: number): MaskTask {
    return makeTask({
      passage: this.#passage,
      slots,
      excludedPassages: [...this.#hidden],
      ranks,
      topK: this.#options.config.evidenceTopK,
      kMax: this.#kMax,
      difficulty,
    });
  }
}
