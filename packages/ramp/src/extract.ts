// The rule-based extractor: dates, names, numbers and terms of plain English text.
import type { Span } from '@masksearch/core';
import { dateSpans, numberSpans } from './dates-and-numbers.ts';
import { nameSpans } from './names.ts';
import { mergeSpans } from './spans.ts';
import { termSpans } from './terms.ts';

/** Spans found by rule, in text order; of overlapping ones dates win over names, numbers and terms. */
export function extractSpans(text: string): Span[] {
  return mergeSpans([dateSpans(text), nameSpans(text), numberSpans(text), termSpans(text)]);
}
