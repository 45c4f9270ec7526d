// Which spans of a paragraph may be masked, and why others may not.
import { MASK_MARKER } from '@masksearch/core';
import type { Span } from '@masksearch/core';
import { withoutDisambiguation } from './gazetteer.ts';
import { checkSpan } from './spans.ts';
import { countOccurrences, isWordBounded, words } from './words.ts';

export interface Paragraph {
  readonly text: string;
  /** What the document is about. */
  readonly title: string;
  readonly aliases: readonly string[];
}

export type RefusalReason =
  | 'not-word-bounded' // it would cut a word or a number
  | 'subject' // the title, one of its aliases, or a part of them
  | 'repeated' // the text, or another name of the same thing, can be read elsewhere in the paragraph
  | 'leading' // the masked paragraph would start with a mask
  | 'overlap'; // shares or touches a longer eligible span

export interface Eligibility {
  /** In text order; no two share or touch a character. */
  readonly eligible: readonly Span[];
  readonly refused: readonly { readonly span: Span; readonly reason: RefusalReason }[];
}

/** True if the text already holds the marker, in any case: its masks could not be told from ours. */
export function holdsMarker(text: string): boolean {
  return text.toLowerCase().includes(MASK_MARKER);
}

/**
 * Sorts spans into eligible and refused. Of overlapping spans the longest stays, then the first.
 * @throws {InputError} a span's text is not at its offsets.
 */
export function eligibleSpans(
  paragraph: Paragraph,
  spans: readonly Span[],
  options: { readonly allowLeadingMask: boolean },
): Eligibility {
  const refused: { span: Span; reason: RefusalReason }[] = [];
  const candidates: Span[] = [];
  for (const span of spans) {
    checkSpan('eligibleSpans', paragraph.text, span);
    const reason = refusal(paragraph, span, options.allowLeadingMask);
    if (reason) refused.push({ span, reason });
    else candidates.push(span);
  }
  candidates.sort((a, b) => b.end - b.start - (a.end - a.start) || a.start - b.start);
  const eligible: Span[] = [];
  for (const span of candidates) {
    const free = eligible.every((other) => span.end < other.start || other.end < span.start);
    if (free) eligible.push(span);
    else refused.push({ span, reason: 'overlap' });
  }
  eligible.sort((a, b) => a.start - b.start);
  return { eligible, refused };
}

function refusal(
  paragraph: Paragraph,
  span: Span,
  allowLeadingMask: boolean,
): RefusalReason | undefined {
  const { text } = paragraph;
  if (!isWordBounded(text, span.start, span.end)) return 'not-word-bounded';
  if (namesSubject(paragraph, span)) return 'subject';
  if (isRepeated(text, span)) return 'repeated';
  if (!allowLeadingMask && words(text.slice(0, span.start)).length === 0) return 'leading';
  return undefined;
}

/** True if the span is the title, an alias of it, or words within one of them. */
function namesSubject({ title, aliases }: Paragraph, span: Span): boolean {
  const subject = [title, withoutDisambiguation(title), ...aliases].map(normalise);
  const isPart = (name: string) => subject.some((whole) => ` ${whole} `.includes(` ${name} `));
  return isPart(normalise(span.text)) || span.aliases.some((a) => subject.includes(normalise(a)));
}

function normalise(name: string): string {
  return words(name.toLowerCase()).join(' ');
}

function isRepeated(text: string, span: Span): boolean {
  if (countOccurrences(text, span.text) !== 1) return true;
  const rest = `${text.slice(0, span.start)} ${text.slice(span.end)}`;
  return span.aliases.some((alias) => countOccurrences(rest, alias) > 0);
}
