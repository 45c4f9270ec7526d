// Perplexity masking: of a paragraph's spans the k that a language model finds hardest to fill in, and that search still finds.
import { InputError } from '@masksearch/core';
import type { Span } from '@masksearch/core';
import { inTextOrder } from './select.ts';

/** One span to be scored: masked alone in its paragraph, everything on both sides in sight. */
export interface SpanToScore {
  readonly title: string;
  readonly text: string;
  readonly span: Span;
}

/** Mean log-probability per token (nats, ≤ 0) of each span as the answer to its gap, in the order given. */
export type ScoreSpans = (spans: readonly SpanToScore[]) => Promise<readonly number[]>;

/** A span with its score. */
export interface ScoredSpan {
  readonly span: Span;
  /** Nats per token. */
  readonly logProb: number;
}

/**
 * Scores all spans of a paragraph in one call.
 * @throws {InputError} the scorer returned another number of scores, or one that is no log-probability.
 */
export async function scoreAll(
  paragraph: { readonly title: string; readonly text: string },
  spans: readonly Span[],
  score: ScoreSpans,
): Promise<ScoredSpan[]> {
  const { title, text } = paragraph;
  const logProbs = await score(spans.map((span) => ({ title, text, span })));
  if (logProbs.length !== spans.length) {
    throw new InputError(
      `scoreSpans: expected ${spans.length} scores, received ${logProbs.length}.`,
    );
  }
  return spans.map((span, i) => {
    const logProb = logProbs[i] ?? NaN;
    if (!(logProb <= 0)) {
      throw new InputError(
        `scoreSpans: expected a log-probability ≤ 0 for ${JSON.stringify(span.text)}, received ${logProb}.`,
      );
    }
    return { span, logProb };
  });
}

/**
 * The k hardest spans that can be found when masked together: one that cannot gives way to the next hardest. Equal scores
 * are taken in text order.
 * @param ranksOf Per slot the rank of its evidence, or null; see `evidenceRanks`.
 * @returns spans in text order with their ranks, or undefined if fewer than k are left.
 */
export async function hardestSpans(
  scored: readonly ScoredSpan[],
  k: number,
  ranksOf: (slots: readonly Span[]) => Promise<readonly (number | null)[]>,
  requireRetrievable: boolean,
): Promise<{ chosen: ScoredSpan[]; ranks: readonly (number | null)[] } | undefined> {
  const left = [...scored].sort((a, b) => a.logProb - b.logProb || a.span.start - b.span.start);
  while (left.length >= k) {
    const slots = inTextOrder(left.slice(0, k).map(({ span }) => span));
    const ranks = await ranksOf(slots);
    const lost = slots.filter((_, i) => ranks[i] === null);
    if (!requireRetrievable || lost.length === 0) {
      const chosen = slots.map((slot) => left.find(({ span }) => span === slot) as ScoredSpan);
      return { chosen, ranks };
    }
    // Only the hardest of those that were not found goes: the others may be found without its mask beside them.
    const worst = left.findIndex(({ span }) => lost.includes(span));
    left.splice(worst, 1);
  }
  return undefined;
}

/** In [0, 1]: 1 − the geometric mean probability of a token, averaged over the slots. */
export function perplexityDifficulty(chosen: readonly ScoredSpan[]): number {
  const hardness = chosen.map(({ logProb }) => 1 - Math.exp(logProb));
  return hardness.reduce((sum, value) => sum + value, 0) / chosen.length;
}
