// Helpers of this package's tests.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Document } from '@masksearch/core';
import type { ReadOptions, SkipReason } from './read-options.ts';
import { plainDocument } from './jsonl-documents.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

/** Folder of real files that are not in the repository. */
export const DATA = process.env['MASKSEARCH_DATA'] ?? join(repository, '../shared/data');

/** Name suffix and condition for tests that need a file of `DATA`. */
export function needs(file: string): { readonly missing: boolean; readonly note: string } {
  const missing = !existsSync(join(DATA, file));
  return { missing, note: missing ? ` [skipped: no ${join(DATA, file)}]` : '' };
}

/** Reads everything and counts what was skipped. */
export async function collect(
  read: (options: ReadOptions) => AsyncIterable<Document>,
): Promise<{ documents: Document[]; skipped: Partial<Record<SkipReason, number>> }> {
  const skipped: Partial<Record<SkipReason, number>> = {};
  const documents: Document[] = [];
  const onSkip = (reason: SkipReason) => (skipped[reason] = (skipped[reason] ?? 0) + 1);
  for await (const document of read({ onSkip })) documents.push(document);
  return { documents, skipped };
}

export function documentOf(text: string): Document {
  return plainDocument({ id: 'd', title: 'T', text, source: 'test' });
}
