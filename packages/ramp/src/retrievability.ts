// Can what was masked be found in the corpus, without the passage it was taken from?
import { splitSentences } from '@masksearch/core';
import type { SearchResult, Span } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import type { Paragraph } from './eligibility.ts';
import { withoutDisambiguation } from './gazetteer.ts';
import { countOccurrences } from './words.ts';

export interface EvidenceOptions {
  readonly search: SearchTool;
  /** Passages that must not count. */
  readonly exclude: ReadonlySet<string>;
  /** How many results are looked through. */
  readonly topK: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Searches without the hidden passages; a query that was asked before is not asked again. */
export class EvidenceSearch {
  readonly #options: EvidenceOptions;
  readonly #asked = new Map<string, Promise<SearchResult[]>>();

  constructor(options: EvidenceOptions) {
    this.#options = options;
  }

  results(query: string): Promise<SearchResult[]> {
    const known = this.#asked.get(query);
    if (known) return known;
    const { search, exclude, topK, timeoutMs, signal } = this.#options;
    const answer = search
      .search({ query, topK, exclude }, { timeoutMs, ...(signal ? { signal } : {}) })
      .then((results) => results.filter(({ id }) => !exclude.has(id)));
    this.#asked.set(query, answer);
    return answer;
  }
}

/**
 * For each slot the rank (1 = best) of the first search result that holds its text or an alias, or null.
 * The query is the title and the slot's sentence without what the masks hide. A number or date without a
 * letter stands in many passages by chance, so its passage must name the paragraph's subject as well.
 *
 * @throws {TimeoutError | CancelledError} from the search tool, like all its other errors.
 */
export async function evidenceRanks(
  paragraph: Paragraph,
  slots: readonly Span[],
  evidence: EvidenceSearch,
): Promise<(number | null)[]> {
  return Promise.all(
    slots.map(async (slot) => {
      const results = await evidence.results(slotQuery(paragraph, slots, slot));
      const rank = results.findIndex((result) => isEvidence(result, slot, paragraph));
      return rank < 0 ? null : rank + 1;
    }),
  );
}

/** Title and sentence(s) of the slot, without the text of any slot. */
export function slotQuery(
  paragraph: { readonly text: string; readonly title: string },
  slots: readonly Span[],
  slot: Span,
): string {
  const { text, title } = paragraph;
  const pieces = [title];
  for (const sentence of splitSentences(text)) {
    if (sentence.end <= slot.start || slot.end <= sentence.start) continue;
    let from = sentence.start;
    for (const { start, end } of slots) {
      if (end <= from || start >= sentence.end) continue;
      pieces.push(text.slice(from, Math.max(from, start)));
      from = end;
    }
    pieces.push(text.slice(from, Math.max(from, sentence.end)));
  }
  return pieces.join(' ').replace(/\s+/gu, ' ').trim();
}

function isEvidence(result: SearchResult, slot: Span, { title, aliases }: Paragraph): boolean {
  const text = `${result.title}\n${result.text}`;
  const names = (things: readonly string[]) =>
    things.some((thing) => countOccurrences(text, thing) > 0);
  if (!names([slot.text, ...slot.aliases])) return false;
  return /\p{L}/u.test(slot.text) || names([withoutDisambiguation(title), ...aliases]);
}
