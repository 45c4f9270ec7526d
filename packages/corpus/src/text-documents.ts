// Documents from plain text: one per file, or one per block between blank lines.
import { basename, extname } from 'node:path';
import type { Document } from '@masksearch/core';
import { readFileLines, readFileText } from './file-bytes.ts';
import { plainDocument } from './jsonl-documents.ts';
import type { ReadOptions } from './read-options.ts';

export interface TextOptions extends ReadOptions {
  /** `block` (default): blank lines separate documents, named `<file>:<line>`. `file`: the file is one document. */
  readonly unit?: 'block' | 'file';
}

/**
 * Streams the documents of a UTF-8 text file (plain, bzip2 or gzip). The title is the file's name without extension
 * for a whole file, and empty for a block.
 * @throws {InputError} the file is absent or not UTF-8.
 */
export async function* readText(path: string, options: TextOptions = {}): AsyncGenerator<Document> {
  const documents = options.unit === 'file' ? readWholeFile(path) : readBlocks(path);
  let count = 0;
  for await (const document of documents) {
    count++;
    yield document;
  }
  if (count === 0) options.onSkip?.('empty', path);
}

async function* readWholeFile(path: string): AsyncGenerator<Document> {
  const parts: string[] = [];
  for await (const part of readFileText(path)) parts.push(part);
  const text = parts.join('').trim();
  const id = basename(path);
  const title = id.slice(0, id.length - extname(id).length) || id;
  if (text !== '') yield plainDocument({ id, title, text, source: id });
}

async function* readBlocks(path: string): AsyncGenerator<Document> {
  const source = basename(path);
  let lines: string[] = [];
  let firstLine = 0;
  const finish = (): Document => {
    const text = lines.join('\n').trim();
    lines = [];
    return plainDocument({ id: `${source}:${firstLine}`, title: '', text, source });
  };
  for await (const { line, lineNumber } of readFileLines(path)) {
    if (line.trim() !== '') {
      if (lines.length === 0) firstLine = lineNumber;
      lines.push(line);
    } else if (lines.length > 0) {
      yield finish();
    }
  }
  if (lines.length > 0) yield finish();
}
