// Documents from JSON lines: our own records, and the id/contents rows of Search-R1, FlashRAG and Pyserini.
import {
  type Document,
  documentSchema,
  InputError,
  parseRecord,
  RECORD_VERSION,
} from '@masksearch/core';
import { basename } from 'node:path';
import { z } from 'zod';
import { readFileLines } from './file-bytes.ts';
import type { ReadOptions } from './read-options.ts';

const idSchema = z.union([z.string().min(1), z.number()]).transform(String);

/** `contents` holds the title in quotes on its first line, and then the text. Other keys are ignored. */
const contentsRowSchema = z.object({ id: idSchema, contents: z.string() });

/** Rows of Hugging Face's Wikipedia and of DPR. Other keys are ignored. */
const textRowSchema = z.object({ id: idSchema, title: z.string().default(''), text: z.string() });

/**
 * Streams a JSONL file (plain, bzip2 or gzip) whose lines are Document records, `{id, contents}` rows or
 * `{id, title?, text}` rows. Empty lines are passed over.
 *
 * @throws {InputError} `file:line: …` for the first line that is none of these or whose spans do not fit its text.
 */
export async function* readJsonlDocuments(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<Document> {
  const source = basename(path);
  for await (const { line, lineNumber } of readFileLines(path)) {
    if (line.trim() === '') continue;
    const where = `${path}:${lineNumber}`;
    const document = toDocument(parseJson(line, where), where, source);
    if (document.text.trim() === '') options.onSkip?.('empty', where);
    else yield document;
  }
}

function parseJson(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    const start = line.length > 60 ? `${line.slice(0, 60)}…` : line;
    throw new InputError(`${where}: expected one JSON object, received ${JSON.stringify(start)}.`, {
      data: { where },
      cause: error,
    });
  }
}

function toDocument(value: unknown, where: string, source: string): Document {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (keys.includes('version')) return checkSpans(parseRecord(documentSchema, value, where), where);
  if (keys.includes('contents')) {
    const { id, contents } = parseRecord(contentsRowSchema, value, where);
    return plainDocument({ id, ...splitContents(contents), source });
  }
  if (keys.includes('text')) {
    return plainDocument({ ...parseRecord(textRowSchema, value, where), source });
  }
  throw new InputError(
    `${where}: expected a Document record, {"id", "contents"} or {"id", "title", "text"}, received ${keys.length === 0 ? 'no object with keys' : `the keys ${keys.slice(0, 8).join(', ')}`}.`,
    { data: { where } },
  );
}

function splitContents(contents: string): { title: string; text: string } {
  const quoted = /^"(.*)"\r?\n/.exec(contents);
  if (!quoted) return { title: '', text: contents };
  return { title: quoted[1] as string, text: contents.slice(quoted[0].length) };
}

function checkSpans(document: Document, where: string): Document {
  for (const { start, end, text } of document.spans) {
    const found = document.text.slice(start, end);
    if (found !== text) {
      throw new InputError(
        `${where}: expected the span [${start}, ${end}) to be ${JSON.stringify(text)}, received ${JSON.stringify(found)}.`,
        { data: { where, start, end } },
      );
    }
  }
  return document;
}

/** A document that is nothing but its text. */
export function plainDocument(fields: {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly source: string;
}): Document {
  const { id, title, text, source } = fields;
  return { version: RECORD_VERSION, id, title, aliases: [], text, spans: [], source };
}
