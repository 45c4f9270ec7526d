// Draws the spans of one task from a paragraph's eligible spans.
import { InputError } from '@masksearch/core';
import type { RandomStream, Span } from '@masksearch/core';

/**
 * `k` spans without replacement, in text order.
 * @throws {InputError} there are fewer than `k`.
 */
export function selectSpans(eligible: readonly Span[], k: number, stream: RandomStream): Span[] {
  if (!Number.isInteger(k) || k < 1 || k > eligible.length) {
    throw new InputError(
      `selectSpans: expected k to be in 1..${eligible.length} eligible spans, received ${k}.`,
    );
  }
  return inTextOrder(stream.sample(eligible, k));
}

export function inTextOrder(spans: readonly Span[]): Span[] {
  return [...spans].sort((a, b) => a.start - b.start);
}
