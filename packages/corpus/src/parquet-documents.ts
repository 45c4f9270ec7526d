// Documents from Parquet files with the columns of Hugging Face's Wikipedia: id, title, text.
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Document, InputError } from '@masksearch/core';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { requireFile } from './file-bytes.ts';
import { plainDocument } from './jsonl-documents.ts';
import type { ReadOptions } from './read-options.ts';

export interface ParquetOptions extends ReadOptions {
  /** Names of the columns; an absent id column gives `<file>:<row>`, an absent title column empty titles. */
  readonly columns?: { readonly id?: string; readonly title?: string; readonly text?: string };
}

type ColumnNames = Readonly<Record<'id' | 'title' | 'text', string>>;

/**
 * Streams the rows of a Parquet file, one row group at a time.
 * @throws {InputError} the file is damaged, cut off, or has no text column; names file and row group.
 */
export async function* readParquet(
  path: string,
  options: ParquetOptions = {},
): AsyncGenerator<Document> {
  requireFile(path);
  const columns: ColumnNames = { id: 'id', title: 'title', text: 'text', ...options.columns };
  const handle = await open(path, 'r');
  try {
    const file = await bufferOf(handle, path);
    const { metadata, names } = await damagedIfThrown(path, 'footer', () => readFooter(file));
    const present = presentColumns(names, columns, path);
    let rowStart = 0;
    for (const [group, { num_rows }] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(num_rows);
      const rows = await damagedIfThrown(path, `row group ${group}`, () =>
        parquetReadObjects({ file, metadata, columns: present, rowStart, rowEnd, compressors }),
      );
      if (rows.length !== rowEnd - rowStart) {
        throw new InputError(
          `${path}: expected ${rowEnd - rowStart} rows in row group ${group}, received ${rows.length}.`,
          { data: { file: path, group } },
        );
      }
      for (const [i, row] of rows.entries()) {
        const document = toDocument(row, columns, rowStart + i, path);
        if (document.text.trim() === '') options.onSkip?.('empty', `${path}: row ${rowStart + i}`);
        else yield document;
      }
      rowStart = rowEnd;
    }
  } finally {
    await handle.close();
  }
}

/** Reads ranges of the file; a range outside it, as a damaged footer may ask for, is refused. */
async function bufferOf(handle: FileHandle, path: string): Promise<AsyncBuffer> {
  const byteLength = (await handle.stat()).size;
  const read = async (start: number, end: number): Promise<ArrayBuffer> => {
    if (!(start >= 0 && start <= end && end <= byteLength)) {
      throw new InputError(
        `${path}: expected a range in 0..${byteLength}, received ${start}..${end}.`,
      );
    }
    const bytes = new Uint8Array(end - start);
    await handle.read(bytes, 0, bytes.length, start);
    return bytes.buffer;
  };
  return {
    byteLength,
    slice(start, end = byteLength) {
      const bytes = read(start, end);
      bytes.catch(() => {}); // the reader starts several and leaves the others alone when one fails
      return bytes;
    },
  };
}

async function damagedIfThrown<T>(path: string, what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(
      `${path}: expected an intact Parquet file, received one whose ${what} cannot be read (${reason}).`,
      { data: { file: path, part: what }, cause: error },
    );
  }
}

async function readFooter(file: AsyncBuffer): Promise<{ metadata: FileMetaData; names: string[] }> {
  const metadata = await parquetMetadataAsync(file);
  const names = parquetSchema(metadata).children.map((child) => child.element.name);
  return { metadata, names };
}

function presentColumns(names: readonly string[], columns: ColumnNames, path: string): string[] {
  if (!names.includes(columns.text)) {
    throw new InputError(
      `${path}: expected a column ${JSON.stringify(columns.text)}, received the columns ${names.join(', ')}.`,
      { data: { file: path, columns: names } },
    );
  }
  return Object.values(columns).filter((name) => names.includes(name));
}

function toDocument(
  row: Readonly<Record<string, unknown>>,
  columns: ColumnNames,
  rowNumber: number,
  path: string,
): Document {
  const text = row[columns.text] ?? '';
  const title = row[columns.title] ?? '';
  const id = row[columns.id] ?? `${basename(path)}:${rowNumber}`;
  if (typeof text !== 'string' || typeof title !== 'string') {
    throw new InputError(
      `${path}: row ${rowNumber}: expected text and title to be strings, received ${typeof text} and ${typeof title}.`,
      { data: { file: path, row: rowNumber } },
    );
  }
  if (typeof id !== 'string' && typeof id !== 'number' && typeof id !== 'bigint') {
    throw new InputError(
      `${path}: row ${rowNumber}: expected the id to be a string or an integer, received ${typeof id}.`,
      { data: { file: path, row: rowNumber } },
    );
  }
  return plainDocument({ id: String(id), title, text, source: basename(path) });
}
