// Reads the spans that a language model listed for a text. What it wrote is data: parsed, never run.
import { parseRecord, InputError } from '@masksearch/core';
import type { Span } from '@masksearch/core';
import { z } from 'zod';
import { spanOf } from './spans.ts';
import { countOccurrences, isWordBounded } from './words.ts';

const listSchema = z.array(z.string().min(1));

export interface ModelSpans {
  /** In text order. */
  readonly spans: readonly Span[];
  /** Listed, but not in the text as whole words. */
  readonly absent: readonly string[];
  /** Listed, and more than once in the text. */
  readonly repeated: readonly string[];
}

/**
 * Finds each listed string in the text.
 * @param output A JSON list of non-empty strings and nothing else.
 * @throws {InputError} it is anything else.
 */
export function readModelSpans(text: string, output: string): ModelSpans {
  let value: unknown;
  try {
    value = JSON.parse(output);
  } catch (cause) {
    throw new InputError(
      `readModelSpans: expected a JSON list of strings, received ${JSON.stringify(output.slice(0, 60))}.`,
      { cause },
    );
  }
  const spans: Span[] = [];
  const absent: string[] = [];
  const repeated: string[] = [];
  for (const item of new Set(parseRecord(listSchema, value, 'readModelSpans'))) {
    const start = text.indexOf(item);
    const count = countOccurrences(text, item);
    if (count > 1) repeated.push(item);
    else if (count === 0 || start < 0 || !isWordBounded(text, start, start + item.length)) {
      absent.push(item);
    } else spans.push(spanOf(text, [start, start + item.length], 'model'));
  }
  spans.sort((a, b) => a.start - b.start);
  return { spans, absent, repeated };
}
