// Rule for terms in English text: quoted phrases and words with the endings of technical language.
import type { Span } from '@masksearch/core';
import { spanOf } from './spans.ts';
import { isWordBounded } from './words.ts';

const QUOTED = /(?<=[“"])[\p{L}\p{N}][^“”"\n]{1,60}(?=[”"])/gu;
const MAX_QUOTED_WORDS = 5;
const TECHNICAL =
  /(?:[a-z]+(?:ic|al|ar|ive|ous) )?[a-z]{3,}(?:olog(?:y|ist|ical)|ograph(?:y|er)|ometry|onomy|istry|itis|osis|emia|ectomy|phobia|genesis|dynamics|lysis|tropy|ism|oid|ium|itude)(?:s)?/gu;

/** Terms: quoted phrases of up to five words; technical words, with an adjective before. */
export function termSpans(text: string): Span[] {
  const spans: Span[] = [];
  for (const { 0: found, index } of text.matchAll(QUOTED)) {
    if (found.split(/\s+/u).length <= MAX_QUOTED_WORDS) add(index, found);
  }
  for (const { 0: found, index } of text.matchAll(TECHNICAL)) add(index, found);
  return spans;

  function add(start: number, found: string): void {
    const trimmed = found.replace(/[\s.,;:!?]+$/u, '');
    const end = start + trimmed.length;
    if (isWordBounded(text, start, end)) spans.push(spanOf(text, [start, end], 'term'));
  }
}
