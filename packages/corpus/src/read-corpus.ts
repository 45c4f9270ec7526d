// One door for all formats: picks the reader by a file's content, or reads a folder file by file.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, InputError } from '@masksearch/core';
import { fileStart, readFileText } from './file-bytes.ts';
import { readJsonlDocuments } from './jsonl-documents.ts';
import { readParquet } from './parquet-documents.ts';
import type { ReadOptions } from './read-options.ts';
import { readText } from './text-documents.ts';
import { readWikipedia } from './wikipedia.ts';

export type CorpusFormat = 'wikipedia' | 'jsonl' | 'parquet' | 'text';

const FORMATS =
  'a MediaWiki dump (.xml), JSON lines (.jsonl), text (.txt, .md), each plain or compressed with bzip2 or gzip, or Parquet (.parquet)';

/**
 * Streams the documents of a file, or of all files of a folder in the order of their names. In a folder every text
 * file is one document; a text file given alone has one document per block between blank lines.
 *
 * @throws {InputError} there is nothing at `path`, its format is none of ours, or it is damaged.
 */
export async function* readCorpus(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<Document> {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    yield* readFile(path, 'block', options);
    return;
  }
  const names = readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
  if (names.length === 0) {
    throw new InputError(`${path}: expected files of documents, found an empty folder.`);
  }
  for (const name of names) yield* readFile(join(path, name), 'file', options);
}

async function* readFile(
  path: string,
  unit: 'block' | 'file',
  options: ReadOptions,
): AsyncGenerator<Document> {
  switch (await detectFormat(path)) {
    case 'wikipedia':
      return yield* readWikipedia(path, options);
    case 'jsonl':
      return yield* readJsonlDocuments(path, options);
    case 'parquet':
      return yield* readParquet(path, options);
    case 'text':
      return yield* readText(path, { ...options, unit });
  }
}

/**
 * The format of a file, by its extension and where that says nothing by its first characters.
 * @throws {InputError} the file is absent or of no known format.
 */
export async function detectFormat(path: string): Promise<CorpusFormat> {
  if (fileStart(path, 4).toString('latin1') === 'PAR1') return 'parquet';
  const extension = /\.(\w+)$/.exec(path.replace(/\.(bz2|gz)$/i, ''))?.[1]?.toLowerCase();
  if (extension === 'xml') return 'wikipedia';
  if (extension === 'jsonl' || extension === 'ndjson') return 'jsonl';
  if (extension === 'txt' || extension === 'md') return 'text';
  if (extension === 'parquet') {
    throw new InputError(
      `${path}: expected a Parquet file, received one that does not start with PAR1.`,
    );
  }
  const start = await textStart(path);
  if (/^<mediawiki[\s>]|^<\?xml/.test(start)) return 'wikipedia';
  if (/^\{\s*"/.test(start)) return 'jsonl';
  throw new InputError(`${path}: expected ${FORMATS}, received something else.`, {
    data: { file: path },
  });
}

async function textStart(path: string): Promise<string> {
  for await (const text of readFileText(path)) {
    const start = text.replace(/^\ufeff/, '').trimStart();
    if (start !== '') return start.slice(0, 100);
  }
  return '';
}
