// Spans of a passage: from the document's annotations, and how spans of several sources merge.
import { InputError } from '@masksearch/core';
import type { Document, Passage, Span } from '@masksearch/core';

/** A span of `text` at [start, end). */
export function spanOf(
  text: string,
  [start, end]: readonly [number, number],
  kind: string,
  aliases: readonly string[] = [],
): Span {
  return { start, end, text: text.slice(start, end), kind, aliases: [...aliases] };
}

/**
 * The document's annotated spans that lie within the passage, with offsets into the passage's text.
 * @throws {InputError} the passage is not a piece of the document, or a span's text is not at its offsets.
 */
export function annotatedSpans(document: Document, passage: Passage): Span[] {
  const end = passage.start + passage.text.length;
  if (document.text.slice(passage.start, end) !== passage.text) {
    throw new InputError(
      `annotatedSpans(${passage.id}): expected the passage to be characters ${passage.start} to ${end} of document ${document.id}, received another text.`,
    );
  }
  return document.spans
    .filter((span) => span.start >= passage.start && span.end <= end)
    .map((span) => {
      const local = { ...span, start: span.start - passage.start, end: span.end - passage.start };
      checkSpan(`annotatedSpans(${passage.id})`, passage.text, local);
      return local;
    });
}

/** @throws {InputError} `text` does not hold the span's text at the span's offsets. */
export function checkSpan(where: string, text: string, span: Span): void {
  const found = text.slice(span.start, span.end);
  if (found !== span.text || span.start >= span.end) {
    throw new InputError(
      `${where}: expected span ${JSON.stringify(span.text)} at [${span.start}, ${span.end}), received ${JSON.stringify(found)}; offsets are UTF-16 code units.`,
    );
  }
}

/** True if two spans share a character. */
export function overlaps(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

/**
 * Joins spans of several sources, most trusted first: a span that overlaps one of an earlier source is
 * dropped. Spans of one source may overlap. Sorted by start, then end.
 */
export function mergeSpans(sources: readonly (readonly Span[])[]): Span[] {
  const merged: Span[] = [];
  for (const source of sources) {
    const earlier = [...merged];
    merged.push(...source.filter((span) => !earlier.some((other) => overlaps(span, other))));
  }
  return merged.sort((a, b) => a.start - b.start || a.end - b.end);
}
