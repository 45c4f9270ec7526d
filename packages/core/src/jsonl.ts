// JSON Lines: one record a line, errors that name file and line, and a torn last line that is survived.
import {
  createReadStream,
  existsSync,
  ftruncateSync,
  openSync,
  closeSync,
  readSync,
  fstatSync,
  fsyncSync,
  writeSync,
  mkdirSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { ZodType } from 'zod';
import { InputError } from './errors.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { textLines } from './text-lines.ts';

/** Validates `value`, or throws an InputError that says where, what was expected and what came. */
export function parseRecord<T>(schema: ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue && issue.path.length > 0 ? issue.path.map(String).join('.') : 'the record';
  throw new InputError(`${where}: ${path}: ${issue?.message ?? 'is invalid'}.`, {
    data: { where, path },
    cause: result.error,
  });
}

function parseLine<T>(schema: ZodType<T>, line: string, where: string): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new InputError(`${where}: expected one JSON value, received ${preview(line)}.`, {
      data: { where },
      cause: error,
    });
  }
  return parseRecord(schema, value, where);
}

function preview(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}

/**
 * Streams the records of a JSONL file. Empty lines are skipped.
 * @throws {InputError} `file:line: …` for the first line that is not valid; also when the file is absent.
 */
export async function* readJsonl<T>(path: string, schema: ZodType<T>): AsyncGenerator<T> {
  if (!existsSync(path)) throw new InputError(`${path}: expected a JSONL file, found none.`);
  const bytes = createReadStream(path) as AsyncIterable<Uint8Array>;
  for await (const { line, lineNumber } of textLines(bytes, path)) {
    if (line.trim() !== '') yield parseLine(schema, line, `${path}:${lineNumber}`);
  }
}

/** All records of a JSONL file. @throws {InputError} as `readJsonl`. */
export async function readAllJsonl<T>(path: string, schema: ZodType<T>): Promise<T[]> {
  const records: T[] = [];
  for await (const record of readJsonl(path, schema)) records.push(record);
  return records;
}

/** Writes a whole JSONL file atomically. */
export function writeJsonl(path: string, records: Iterable<unknown>): void {
  const lines: string[] = [];
  for (const record of records) lines.push(`${JSON.stringify(record)}\n`);
  writeFileAtomic(path, lines.join(''));
}

/**
 * Appends records to a JSONL file, one whole line at a time. On opening, a torn last line (left by
 * a kill at any byte) is cut off, so the file always holds whole records.
 */
export class JsonlWriter {
  readonly #descriptor: number;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, 'a+');
    truncateTornLine(this.#descriptor);
  }

  write(record: unknown): void {
    writeSync(this.#descriptor, `${JSON.stringify(record)}\n`);
  }

  /** Forces what was written to disk. */
  sync(): void {
    fsyncSync(this.#descriptor);
  }

  close(): void {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }
}

function truncateTornLine(descriptor: number): void {
  const newline = 0x0a;
  let end = fstatSync(descriptor).size;
  const buffer = Buffer.alloc(65536);
  while (end > 0) {
    const length = Math.min(buffer.length, end);
    const start = end - length;
    readSync(descriptor, buffer, 0, length, start);
    const last = buffer.subarray(0, length).lastIndexOf(newline);
    if (last >= 0) {
      ftruncateSync(descriptor, start + last + 1);
      return;
    }
    end = start;
  }
  ftruncateSync(descriptor, 0);
}
